"""A trained forecaster is used again: it forecasts as the run did, from its folder alone, and damage is refused."""

import csv
import functools
import io
import json
import shutil

import numpy as np
import pytest
from complaints import complaint_of
from resealed import adopt, change_config, change_forecaster, change_object

from experiments.forecast import __main__ as forecast
from experiments.forecast.trained import open_run

COUNT = 120
# Of float32, whose sums depend on how many windows are computed together: 2.5e-10 was measured.
TOGETHER = 1e-7
OPTIONS = [
    *("--series", "shop", "--extra", "price", "--context", "6", "--horizon", "3", "--season", "7"),
    *("--relative", "season", "--linear", "--hidden", "4", "--recurrence", "scan", "--epochs", "2", "--seeds", "2"),
    "--no-statistical",
]
complaint = functools.partial(complaint_of, forecast)


def write(path, count=COUNT, shops=("north", "south"), step=1, cents=100):
    """A file of a value and a price for each shop and day."""
    lines = ["date,shop,value,price"]
    for shop in shops:
        rng = np.random.default_rng(shop == "south")
        for day in range(count):
            date = np.datetime64("2001-01-01") + step * day
            value = 50 + 9 * (shop == "south") + 5 * np.sin(2 * np.pi * day / 7) + rng.normal()
            lines.append(f"{date},{shop},{value:.6f},{cents * rng.uniform(1, 2):.6f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    source = write(folder / "sales.csv")
    forecast.main(["file", "--source", str(source), *OPTIONS, "--run-folder", str(folder / "run")])
    return folder / "run"


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def predicted(capsys, *arguments):
    capsys.readouterr()
    forecast.main(["predict", *map(str, arguments)])
    return read(capsys.readouterr().out)


def test_it_forecasts_after_the_end_of_the_file_as_the_run_did(run, capsys):
    found = predicted(capsys, run)
    assert found == read((run / "forecasts.csv").read_text())
    assert [row["date"] for row in found[:3]] == ["2001-05-01", "2001-05-02", "2001-05-03"]


@pytest.mark.parametrize("left", [3, 11])
def test_a_file_that_ends_earlier_is_forecast_as_the_test_part_was(left, run, tmp_path, capsys):
    """Nothing but the file up to its end is used, and the scaling is that of the run."""
    found = predicted(capsys, run, "--source", write(tmp_path / "shorter.csv", COUNT - left))
    known = str(np.datetime64("2001-01-01") + COUNT - left - 1)
    rows = [row for row in read((run / "test_forecasts.csv").read_text()) if row["known"] == known]
    assert [(row["series"], row["date"]) for row in found] == [(row["series"], row["date"]) for row in rows]
    for one, other in zip(found, rows, strict=True):
        for level in ("0.025", "0.5", "0.9"):
            np.testing.assert_allclose(float(one[level]), float(other[level]), rtol=TOGETHER)


def test_a_file_that_begins_later_is_scaled_as_the_run_was(run, tmp_path, capsys):
    rows = write(tmp_path / "whole.csv").read_text().splitlines(keepends=True)
    later = tmp_path / "later.csv"
    later.write_text(rows[0] + "".join(row for row in rows[1:] if row >= "2001-03-01"))
    found, wanted = predicted(capsys, run, "--source", later), read((run / "forecasts.csv").read_text())
    for one, other in zip(found, wanted, strict=True):
        assert (one["series"], one["date"]) == (other["series"], other["date"])
        for level in ("0.025", "0.5", "0.9"):
            np.testing.assert_allclose(float(one[level]), float(other[level]), rtol=TOGETHER)


def test_a_file_that_ends_before_the_test_part_is_forecast_too(run, tmp_path, capsys):
    found = predicted(capsys, run, "--source", write(tmp_path / "early.csv", 60))
    assert [row["date"] for row in found[:3]] == ["2001-03-02", "2001-03-03", "2001-03-04"]
    assert all(0 < float(row["0.025"]) <= float(row["0.5"]) <= float(row["0.975"]) < 100 for row in found)


def test_one_of_the_series_is_forecast_alone_or_in_another_order(run, tmp_path, capsys):
    both = predicted(capsys, run)
    alone = predicted(capsys, run, "--source", write(tmp_path / "south.csv", shops=("south",)))
    turned = predicted(capsys, run, "--source", write(tmp_path / "turned.csv", shops=("south", "north")))
    assert [row["series"] for row in turned] == ["south"] * 3 + ["north"] * 3
    for one, other in zip([*alone, *turned], [*both[3:], *both[3:], *both[:3]], strict=True):
        assert (one["series"], one["date"]) == (other["series"], other["date"])
        np.testing.assert_allclose(float(one["0.5"]), float(other["0.5"]), rtol=TOGETHER)


def test_it_scores_the_same_file_as_the_run_did(run, capsys):
    capsys.readouterr()
    forecast.main(["evaluate", str(run)])
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if line["kind"] == "score" and line["forecast"].startswith(("linear", "seasonal")):
            (row,) = [row for row in out.splitlines() if row.startswith(line["forecast"] + " ")][:1]
            assert f"{line['mase']:.3f}" in row
    own = next(line for line in lines if line.get("forecast") == "mean forecast of the seeds")
    errors, intervals = [row for row in out.splitlines() if row.startswith("  their mean forecast")]
    assert f"{own['mae']:.4g}" in errors
    assert f"{own['coverage']['0.8']:.1%}" in intervals
    assert f"{own['width']['0.8']:.3f}" in intervals


def test_what_is_fitted_to_the_training_part_needs_one(copy, tmp_path, capsys):
    capsys.readouterr()
    change_config(copy, statistical=True)
    adopt(copy, copy / "forecaster")
    forecast.main(["evaluate", str(copy)])
    assert "exponential smoothing, chosen by the validation part" in capsys.readouterr().out
    late = tmp_path / "late.csv"
    rows = write(tmp_path / "whole.csv").read_text().splitlines(keepends=True)
    late.write_text(rows[0] + "".join(row for row in rows[1:] if row >= "2001-03-20"))
    forecast.main(["evaluate", str(copy), "--source", str(late)])
    out = capsys.readouterr().out
    assert "no exponential smoothing, ARIMA and Theta method: they are fitted" in out
    assert "exponential smoothing, chosen" not in out


def test_it_scores_the_dates_that_are_asked_for(run, tmp_path, capsys):
    longer = write(tmp_path / "longer.csv", COUNT + 20)
    counts = {}
    for since in (None, "2001-05-01"):
        capsys.readouterr()
        forecast.main(["evaluate", str(run), "--source", str(longer), *(["--since", since] if since else [])])
        counts[since] = capsys.readouterr().out.splitlines()[0].split(", ")[1:]
    # 24 dates of the test part and 20 further ones, of each of two series; 2 origins are too late.
    assert counts == {
        None: ["from 2001-04-07 on", "84 windows"],
        "2001-05-01": ["from 2001-05-01 on", "36 windows"],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shops": ("north", "east")}, "expected series of the run, ['north', 'south'], got 'east'"),
        ({"step": 2}, "expected dates 1 day apart, as in the run, got 2 days"),
        ({"count": 12}, "expected a context of 6, after a season of 7, to fit in the series, got 12 dates of 'north'"),
    ],
)
def test_series_that_do_not_fit_the_run(change, message, run, tmp_path, capsys):
    source = write(tmp_path / "other.csv", **change)
    for command in ("predict", "evaluate"):
        status, error = complaint(capsys, command, run, "--source", source)
        assert (status, message in error) == (1, True), error


def test_dates_that_cannot_be_scored(run, capsys):
    status, error = complaint(capsys, "evaluate", run, "--since", "soon")
    assert (status, "since: expected a date like 2001-01-31, got 'soon'" in error) == (1, True), error
    status, error = complaint(capsys, "evaluate", run, "--since", "2001-04-29")
    assert (status, "at least 3 dates of 'north' from 2001-04-29 on (--since)" in error) == (1, True), error
    assert "got 2 after 118" in error


def test_an_unfinished_run_and_other_folders(copy, capsys):
    shutil.rmtree(copy / "forecaster")
    status, error = complaint(capsys, "predict", copy)
    assert (status, "expected forecaster/ in" in error) == (1, True), error
    assert "a run writes it when it has finished" in error
    (copy / "forecaster").symlink_to(copy / "checkpoints")
    assert "expected a file or folder, got a symbolic link" in complaint(capsys, "predict", copy)[1]
    assert "run folder: expected config.json in" in complaint(capsys, "predict", copy / "figures")[1]


def test_a_changed_byte_is_noticed(copy, capsys):
    for file in sorted(path for path in (copy / "forecaster").rglob("*") if path.is_file() and path.stat().st_size):
        whole = file.read_bytes()
        file.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        status, error = complaint(capsys, "predict", copy)
        assert (status, "expected" in error) == (1, True), (file.name, error)
        file.write_bytes(whole)
    assert predicted(capsys, copy)


def test_the_forecaster_of_another_run_is_refused(run, copy, capsys):
    change_object(copy / "environment.json", run="other")
    status, error = complaint(capsys, "predict", copy)
    assert (status, "expected the result of this run (run other)" in error) == (1, True), error


HOSTILE = {
    "fields": (["other"], 1, "values: expected the fields"),
    "names": (["names"], ["north", "north"], "names: expected 1 to 100,000 different names"),
    "no names": (["names"], [], "names: expected 1 to 100,000 different names, got []"),
    "dropped": (["dropped"], ["east", 7], "dropped: expected str, got 7"),
    "no list": (["dropped"], "east", "dropped: expected at most 100,000 names, got 'east'"),
    "slots": (["frequency", "slots"], 2, "frequency: expected steps of seconds within a day"),
    "week": (["frequency", "week"], "0000000", "week: expected a 1 or 0 for each of seven days, got '0000000'"),
    "opens": (["frequency", "opens"], -1, "opens: expected 0 to 86399, got -1"),
    "name": (["names"], ["north", 7], "names: expected str, got 7"),
    "season": (["season"], 0, "season: expected 1 to 1000000000, got 0"),
    "cuts": (["cuts"], ["2001-04-07", "2001-03-14"], "cuts: expected two dates in order"),
    "date": (["cuts"], ["soon", "later"], "cuts: expected two dates in order, got ['soon', 'later']"),
    "no date": (["cuts"], ["NaT", "2001-03-14"], "cuts: expected two dates in order, got ['NaT', '2001-03-14']"),
    "dates": (["cuts"], ["2001-03-14"], "cuts: expected two dates in order, got ['2001-03-14']"),
    "unit": (["frequency", "unit"], "moon", "frequency: expected month, working day or second, got 'moon'"),
    "step": (["frequency", "step"], 10**10, "frequency: expected 1 to 1000000000, got 10000000000"),
    "scale": (["scalings", 0, "scale"], 0, "scale: expected numbers above 0, got 0"),
    "extra": (["scalings", 0, "extra"], [[1.0], [0.0]], "extra: expected numbers above 0, got [0.0]"),
    "scalings": (["scalings"], [], "scalings: expected a list of 2, got []"),
    "words": (["linear_scales"], ["many", "few"], "linear_scales: expected numbers, got ['many', 'few']"),
    "huge": (["linear_scales"], [10**400, 1], "linear_scales: expected numbers, got [1000"),
    "shape": (["residuals"], [1.0], "residuals: expected the shape [2], got [1]"),
    "none": (["residuals"], None, "residuals: expected scales with the option linear only, got None"),
    "no calibration": (["calibration"], None, "calibration: expected offsets unless intervals is network, got None"),
    "offsets": (["calibration", "offsets"], [[[0.0] * 3] * 3] * 2, "offsets: expected the shape [3, 3, 3], got [2, 3"),
    "units": (["calibration", "units"], [[0.0] * 3] * 2, "units: expected the shape [3, 3], got [2, 3]"),
    "relative": (["linear", "relative"], "other", "relative: expected one of ['none', 'last', 'season', 'window']"),
    "order": (["linear", "order"], 7, "order: expected 1 to 6, got 7"),
    "weights": (["linear", "models", 0, "weights"], [[1.0]], "weights: expected the shape"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_values_of_a_stranger_are_checked(name, copy, capsys):
    place, value, message = HOSTILE[name]
    change_forecaster(copy, place, value)
    status, error = complaint(capsys, "predict", copy)
    assert (status, message in error) == (1, True), error
    assert "values.json" in error


def test_what_is_read_is_what_was_written(run):
    trained = open_run(run)
    values = json.loads((run / "forecaster" / "values.json").read_text())
    assert trained.fitted.to_json() == values
    assert trained.config.seeds == 2
