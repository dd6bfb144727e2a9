"""Series that end early, begin late or are constant: left out by name, kept by choice, and no obstacle to others."""

import csv
import dataclasses
import functools
import io

import numpy as np
import pytest
from complaints import complaint_of

from experiments.forecast import __main__ as forecast
from experiments.forecast.baselines import Remainder, linear_autoregression
from experiments.forecast.config import Forecast
from experiments.forecast.data import prepare

SPANS = {"whole": (0, 80), "early": (0, 30), "late": (75, 80), "constant": (0, 80), "two": (0, 2)}
TINY = ["--series", "shop", "--context", "4", "--horizon", "2", "--season", "5", "--hidden", "4", "--epochs", "1"]
TINY += ["--recurrence", "scan", "--no-statistical", "--seeds", "1", "--linear"]
complaint = functools.partial(complaint_of, forecast)


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["date,shop,value"]
    for shop, (first, end) in SPANS.items():
        for day in range(first, end):
            value = 7 if shop == "constant" else np.sin(day) + rng.normal()
            lines.append(f"{np.datetime64('2021-01-01') + day},{shop},{value}")
    path = tmp_path / "file.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def config_of(source, **options):
    return Forecast(source=str(source), series=("shop",), context=4, horizon=2, season=5, statistical=False, **options)


def test_unfit_series_are_left_out_by_name(source):
    table = prepare(config_of(source)).table
    assert [series.name for series in table.series] == ["whole"]
    assert set(table.dropped) == {"early", "late", "constant", "two"}
    notes = "\n".join(table.notes)
    for name, why in (
        ("two", "fewer than 3 values"),
        ("early", "one that fits in the validation part, got 2 steps and 0 dates"),
        ("late", "got 0 dates of 'late' before"),
        ("constant", "to vary, got 7 throughout"),
    ):
        (line,) = [line for line in notes.split("\n") if f"'{name}'" in line]
        assert why in line
        assert "--unfit" in line


def test_kept_series_are_trained_on_and_not_scored(source):
    parts = prepare(config_of(source, unfit="keep"))
    names = [series.name for series in parts.table.series]
    assert names == ["whole", "early", "constant"]
    assert set(parts.training.series) == {0, 1, 2}
    assert set(parts.last.series) == {0, 1, 2}
    assert set(parts.validation.series) == set(parts.test.series) == {0}
    constant = parts.scaled[2]
    assert (constant.scaling.mean, constant.scaling.spread, constant.scaling.scale) == (7, 1, 1)
    assert np.abs(parts.training.take(parts.training.series == 2).targets).max() == 0
    # Nothing is left over of a constant: its scale stays 1.
    linear = linear_autoregression(parts)
    assert Remainder.of(linear, parts.training).spread[2] == 1


@pytest.mark.slow
@pytest.mark.quick("keep")
@pytest.mark.parametrize("unfit", ["drop", "keep"])
def test_runs_with_unfit_series_are_used_again(unfit, source, tmp_path, capsys):
    run = tmp_path / "run"
    forecast.main(["file", "--source", str(source), *TINY, "--unfit", unfit, "--run-folder", str(run)])
    out = capsys.readouterr().out
    assert "'late', left out: horizon: expected" in out
    forecast.main(["predict", str(run)])
    found = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(found.out)))
    assert rows == list(csv.DictReader(io.StringIO((run / "forecasts.csv").read_text())))
    ends = {row["series"]: row["date"] for row in rows}
    whole = {"whole": "2021-03-23"}
    assert ends == (whole if unfit == "drop" else whole | {"early": "2021-02-01", "constant": "2021-03-23"})
    if unfit == "keep":
        assert all(abs(float(row["0.5"]) - 7) < 2 for row in rows if row["series"] == "constant")
    assert "series left out, as in the run: [" in found.err
    forecast.main(["evaluate", str(run)])
    scored = "'early': not scored, it has no whole horizon in these dates"
    assert (scored in capsys.readouterr().out) == (unfit == "keep")


def test_unfit_series_are_errors_by_choice(source, capsys):
    _, error = complaint(capsys, "file", "--source", source, *TINY, "--unfit", "error")
    assert "'two': expected at least 3 dates to infer their frequency, got 2 with a value" in error
    lines = source.read_text().splitlines(keepends=True)
    source.write_text("".join(line for line in lines if ",two," not in line))
    with pytest.raises(ValueError, match="horizon: expected one that fits in the validation part, got 2 steps and 0 d"):
        prepare(config_of(source, unfit="error"))
    source.write_text("".join(line for line in lines if "," in line and line.split(",")[1] in ("shop", "constant")))
    for unfit in ("drop", "error"):
        with pytest.raises(ValueError, match="the training part of 'constant' to vary, got 7 throughout"):
            prepare(dataclasses.replace(config_of(source), unfit=unfit))


def test_a_series_shorter_than_a_season_does_not_take_it_from_the_others(tmp_path):
    path, rng = tmp_path / "file.csv", np.random.default_rng(0)
    rows = [f"{np.datetime64('2021-01-01') + day},a,{rng.normal()}" for day in range(100)]
    rows += [f"{np.datetime64('2021-01-01') + day},b,{rng.normal()}" for day in range(54, 100)]
    path.write_text("\n".join(["date,shop,value", *rows]) + "\n")
    parts = prepare(dataclasses.replace(config_of(path), season=None, context=2, horizon=2))
    assert parts.windowing.season == 7
    assert (
        "'b', left out: season: expected one shorter than the training part, got 7 steps and 6" in parts.table.notes[0]
    )


def test_what_is_assumed_is_said_where_it_does_no_harm(tmp_path, capsys):
    path = tmp_path / "file.csv"
    rng = np.random.default_rng(0)
    rows = [f"{np.datetime64('2021-01-01') + day};{rng.normal():.4f}".replace(".", ",") for day in range(60)]
    path.write_text("\n".join(["date;value", *rows]) + "\n")
    options = [option for option in TINY if option not in ("--series", "shop")]
    run = tmp_path / "run"
    forecast.main(["file", "--source", str(path), *options, "--run-folder", str(run)])
    said = "file.csv: decimal commas, as in '"
    assert said in capsys.readouterr().out
    forecast.main(["predict", str(run)])
    found = capsys.readouterr()
    assert (said in found.out, said in found.err) == (False, True)
    # The options of the command for another file.
    other = tmp_path / "other.csv"
    other.write_text("day" + path.read_text()[4:].replace(",", "."))
    forecast.main(["predict", str(run), "--source", str(other), "--date", "day", "--separator", ";", "--decimal", "."])
    again = capsys.readouterr()
    assert (again.out, again.err) == (found.out, "")
    status, error = complaint(capsys, "file", "--source", path, *options, "--strict")
    assert (status, "expected nothing to assume (--strict), got columns separated by ';'; --separator" in error) == (
        1,
        True,
    )
