"""Runs with known future inputs and static covariates: used again, resumed, without the future of values, checked."""

import csv
import functools
import io
import json
import shutil

import numpy as np
import pytest
from complaints import complaint_of, last_of_each
from resealed import change_forecaster
from sales_files import COUNT, HORIZON, write

from experiments.forecast import __main__ as forecast
from experiments.forecast.trained import open_run

# Of float32, whose sums depend on how many windows are computed together: 0 was measured.
TOGETHER = 1e-6
TINY = [
    "--series",
    "shop",
    "--context",
    "5",
    "--horizon",
    f"{HORIZON}",
    "--season",
    "7",
    "--hidden",
    "4",
    "--seeds",
    "2",
]
TINY += ["--recurrence", "scan", "--epochs", "2", "--no-statistical"]
COVARIATES = ["--known", "promo", "price", "--static", "climate", "size"]
RUNS = {
    "direct": ["--linear", "--relative", "season", "--extra", "visits"],
    "recursive": ["--strategy", "recursive", "--head", "gaussian", "--paths", "20"],
}
complaint = functools.partial(complaint_of, forecast)


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    source = write(folder / "sales.csv")
    options = [*TINY, *COVARIATES, *RUNS[request.param]]
    forecast.main(["file", "--source", str(source), *options, "--run-folder", str(folder / "run")])
    return folder / "run"


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A run without known future rows."""
    folder = tmp_path_factory.mktemp("short")
    source = write(folder / "sales.csv", known=1)
    forecast.main(
        last_of_each(["file", "--source", source, *TINY, *COVARIATES, "--seeds", "1", "--run-folder", folder / "run"])
    )
    return folder / "run"


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def predicted(capsys, *arguments):
    capsys.readouterr()
    forecast.main(["predict", *map(str, arguments)])
    return read(capsys.readouterr().out)


def medians(rows):
    return np.array([float(row["0.5"]) for row in rows])


def test_a_run_is_used_again_and_resumed(run, capsys):
    before = (run / "forecasts.csv").read_text()
    assert predicted(capsys, run) == read(before)
    forecast.main(["evaluate", str(run)])
    out = capsys.readouterr().out
    line = next(
        line
        for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        if line.get("forecast") == "mean forecast of the seeds"
    )
    assert f"{line['mae']:.4g}" in out
    forecast.main(["--resume", str(run)])
    assert (run / "forecasts.csv").read_text() == before


def test_the_future_of_the_values_changes_nothing(run, tmp_path, capsys):
    """The values that were there in training are taken away: the same forecasts come out."""
    left = 8
    source = write(tmp_path / "shorter.csv", count=COUNT - left)
    found = predicted(capsys, run, "--source", source)
    known = str(np.datetime64("2001-01-01") + COUNT - left - 1)
    wanted = [row for row in read((run / "test_forecasts.csv").read_text()) if row["known"] == known]
    assert [(row["series"], row["date"]) for row in found] == [(row["series"], row["date"]) for row in wanted]
    if open_run(run).config.strategy == "direct":  # the paths of the others have keys of their own
        np.testing.assert_allclose(medians(found), medians(wanted), rtol=TOGETHER)


@pytest.mark.parametrize("column", ["promo", "price"])
def test_a_known_value_changes_the_forecasts_from_its_step_on(column, run, tmp_path, capsys):
    """The second step of the north; a direct network reads the known values of all steps for each of them."""
    date = str(np.datetime64("2001-01-01") + COUNT + 1)
    changed = write(
        tmp_path / "changed.csv",
        change=lambda row: {column: 9.0} if (str(row["date"]), row["shop"]) == (date, "north") else None,
    )
    before, after = (medians(predicted(capsys, run, *own)) for own in ([], ["--source", changed]))
    np.testing.assert_array_equal(before[HORIZON:], after[HORIZON:])
    assert (np.abs(before - after)[1:HORIZON] > 1e-4).all()
    if open_run(run).config.strategy == "recursive":
        assert before[0] == after[0]


@pytest.mark.parametrize("change", [{"climate": "cold"}, {"size": 1}])
def test_a_static_value_changes_the_forecasts_of_its_series(change, run, tmp_path, capsys):
    source = write(tmp_path / "other.csv", change=lambda row: change if row["shop"] == "south" else None)
    before, after = (medians(predicted(capsys, run, *own)) for own in ([], ["--source", source]))
    np.testing.assert_array_equal(before[:HORIZON], after[:HORIZON])
    assert np.abs(before - after)[HORIZON:].max() > 1e-4


def test_values_of_series_that_do_not_fit(short, tmp_path, capsys):
    for shops, message in (
        ({"north": ("mild", 1), "south": ("warm", 4)}, "column 'climate' as in training, ['cold', 'warm'], got 'mild'"),
        ({"north": ("cold", "big"), "south": ("warm", 4)}, "a number in column 'size', as in training, got 'big'"),
    ):
        source = write(tmp_path / "other.csv", shops=shops)
        for command in ("predict", "evaluate"):
            status, error = complaint(capsys, command, short, "--source", source)
            assert (status, message in error, "for 'north'" in error) == (1, True, True), error


def test_without_the_known_future_only_forecasts_are_missing(short, tmp_path, capsys):
    assert not (short / "forecasts.csv").exists()
    assert (short / "test_forecasts.csv").exists()
    words = "'north', 2001-05-02T00:00:00: expected numbers in the known columns (promo, price) of 3 dates after the "
    status, error = complaint(capsys, "predict", short)
    assert (status, f"sales.csv, {words}last value, got those of 1" in error) == (1, True), error
    forecast.main(["evaluate", str(short)])
    assert "their mean" not in capsys.readouterr().out  # one seed
    gap = write(
        tmp_path / "gap.csv",
        change=lambda row: {"price": ""} if (str(row["date"]), row["shop"]) == ("2001-05-03", "south") else None,
    )
    status, error = complaint(capsys, "predict", short, "--source", gap)
    assert "gap.csv, 'south', 2001-05-03T00:00:00: expected numbers in the known columns" in error
    assert len(predicted(capsys, short, "--source", write(tmp_path / "whole.csv"))) == 2 * HORIZON


HOSTILE = {
    "none": (["static"], [], "static: expected a list of 2, got []"),
    "fields": (["static", 0], {"name": "climate"}, "static: expected the fields ['mean', 'name', 'spread', 'values']"),
    "name": (["static", 0, "name"], "other", "static: expected the column 'climate', got 'other'"),
    "texts": (["static", 0, "values"], [7], "static: expected str, got 7"),
    "no list": (["static", 0, "values"], "cold", "static: expected a list, got 'cold'"),
    "twice": (["static", 0, "values"], ["cold", "cold"], "static: expected different texts, got ['cold', 'cold']"),
    "many": (["static", 0, "values"], [str(i) for i in range(1_001)], "static: expected at most 1,000 items"),
    "further": (["static", 0, "values"], ["cold", "warm", "mild"], "mean: expected the shape ["),
    "spread": (["static", 1, "spread"], 0, "spread: expected numbers above 0, got 0"),
    "mean": (["static", 1, "mean"], "much", "mean: expected numbers, got 'much'"),
    "known": (["scalings", 0, "known"], [[0.0], [1.0]], "known: expected the shape [2, 2], got [2, 1]"),
    "scale": (["scalings", 0, "known"], [[0.0, 0.0], [1.0, 0.0]], "known: expected numbers above 0, got [1.0, 0.0]"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_values_of_a_stranger_are_checked(name, short, tmp_path, capsys):
    place, value, message = HOSTILE[name]
    copy = shutil.copytree(short, tmp_path / "run")
    change_forecaster(copy, place, value)
    status, error = complaint(capsys, "predict", copy)
    assert (status, message in error) == (1, True), error
    assert "values.json" in error


def test_what_is_read_is_what_was_written(short):
    trained = open_run(short)
    assert trained.fitted.to_json() == json.loads((short / "forecaster" / "values.json").read_text())
    kernel = trained.params["recurrent"]["layers_0"]["cell"]["input"]["kernel"]
    # The value, two calendar features of each of two cycles, the climate, the size, and two known columns of each step.
    assert kernel.shape[1] == 1 + 4 + 2 + 1 + 2 * HORIZON


BAD = {
    "target": (["--known", "value"], "known: expected other columns than those of value and extra, got 'value'", 2),
    "extra": (["--known", "promo", "--extra", "promo"], "known: expected other columns than those of value and", 2),
    "column": (["--known", "rain"], "expected a column 'rain', got", 1),
    "same": (["--static", "date2"], "expected a column 'date2', got", 1),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options_end_with_one_line(name, tmp_path, capsys):
    options, message, code = BAD[name]
    source = write(tmp_path / "file.csv")
    status, error = complaint(capsys, "file", "--source", source, *TINY, *options)
    assert (status, message in error) == (code, True), error
