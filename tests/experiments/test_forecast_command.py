"""The command of forecasts: what it leaves, and one line for whatever is wrong with its options or its file."""

import csv
import functools
import json

import numpy as np
import pytest
from complaints import complaint_of
from matplotlib.image import imread

from experiments.forecast import __main__ as forecast
from experiments.forecast.config import Forecast
from experiments.forecast.files import date_words
from rnnjax.forecasting import LEVELS

ALL_DIGITS = 1e-14  # of mean errors, from numbers that are written as they are: 0 was measured


def test_it_learns_and_leaves_what_it_measured(tmp_path, capsys):
    path = tmp_path / "run"
    forecast.main(["smoke", "--epochs", "12", "--run-folder", str(path)])
    out = capsys.readouterr().out
    names = {"config.json", "environment.json", "metrics.jsonl", "figures", "forecaster"}
    names |= {"checkpoints", "status.json", "lock", "tensorboard"}
    assert {file.name for file in path.iterdir()} == names | {"forecasts.csv", "test_forecasts.csv"}
    for name in ("forecast", "learning_curves", "calibration"):
        assert imread(path / "figures" / f"{name}.png").std() > 0.05
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    by_name = {line["forecast"]: line for line in lines if line["kind"] == "score"}
    assert list(by_name) == [
        *("last value", "seasonal naive", "drift", "linear autoregression"),
        *("seed 0", "seed 1", "mean forecast of the seeds", "without calibration"),
    ]
    assert sum(line["kind"] == "epoch" for line in lines) == 12
    for name in ("coverage", "width"):
        assert set(by_name["seed 0"][name]) == {"0.5", "0.8", "0.95"}
        assert by_name["drift"][name] is None
    assert by_name["seed 0"]["crps"] < by_name["seed 0"]["mase"]
    assert by_name["drift"]["crps"] == pytest.approx(by_name["drift"]["mase"], rel=ALL_DIGITS)
    for words in (
        "YES: the mean forecast of 2 seeds beats every baseline; the best of them is the linear autoregression",
        f"{path}",
    ):
        assert words in out
    assert by_name["seed 0"]["mase"] < 0.5 * by_name["linear autoregression"]["mase"]
    with (path / "forecasts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["date"] for row in rows] == ["2001-08-23", "2001-08-24"]
    for row in rows:
        quantiles = [float(row[str(level)]) for level in LEVELS]
        # Calibration may narrow an interval down to the one inside it: neighbours may touch, but never cross.
        assert sorted(quantiles) == quantiles
        assert quantiles[0] < quantiles[-1]
    with (path / "test_forecasts.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert np.datetime64(row["date"]) - np.datetime64(row["known"]) == int(row["step"])
    for column, name in (("0.5", "mean forecast of the seeds"), ("drift", "drift")):
        errors = [abs(float(row[column]) - float(row["actual"])) for row in rows]
        assert np.isclose(np.mean(errors), by_name[name]["mae"], rtol=ALL_DIGITS, atol=0)


def test_all_dates_of_a_file_are_written_in_one_form():
    days = np.array(["2001-01-01", "2001-01-02"], "datetime64[s]")
    assert date_words(days).tolist() == ["2001-01-01", "2001-01-02"]
    hours = days + np.array([0, 3600])
    assert date_words(hours).tolist() == ["2001-01-01T00:00:00", "2001-01-02T01:00:00"]


complaint = functools.partial(complaint_of, forecast)


BAD_ARGUMENTS = {
    "fill limit": (["--fill-limit", "3"], "fill_limit: expected it with --fill, got 3 without"),
    "recursive quantiles": (["--strategy", "recursive"], "head: expected point or gaussian with a recursive strategy"),
    "recursive linear": (["temperatures", "--strategy", "recursive"], "linear: expected a direct strategy"),
    "recursive extra": (
        ["--strategy", "recursive", "--head", "point", "--extra", "volume"],
        "extra: expected no such columns with a recursive strategy and a horizon above 1, got volume",
    ),
    "shares": (["--validation", "0.5", "--test", "0.5"], "validation, test: expected shares that leave some dates"),
    "adaptation": (["--adaptation", "0"], "adaptation: expected a number above 0, got 0.0"),
    "test": (["--test", "0"], "test: expected a number above 0, got 0.0"),
    "horizon": (["--horizon", "0"], "horizon: expected at least 1, got 0"),
    "season": (["--season", "0"], "season: expected at least 1, got 0"),
    "seeds": (["--seeds", "0"], "seeds: expected at least 1, got 0"),
    "calendar": (["--calendar", "moon"], "moon"),
    "preset": (["bonds"], "got 'bonds'"),
    "value": (["file", "--value"], "value: expected at least one column, got none"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": "x"}, "missing: expected a list, got 'x'"),
        ({"missing": (1,)}, "missing: expected str, got 1"),
        ({"decimal": "x"}, r"decimal: expected one of \['.', ','\], got 'x'"),
        ({"date": ()}, "date: expected at least one column, got none"),
    ],
)
def test_options_that_may_be_left_out_are_checked(options, message):
    assert Forecast().missing is None
    with pytest.raises(ValueError, match=message):
        Forecast(**options)


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments_end_with_one_line(arguments, message, capsys):
    status, error = complaint(capsys, *arguments)
    assert (status, message in error) == (2, True), error


def rows(count, values=None, name="value"):
    """A file of so many days."""
    dates = np.datetime_as_string(np.datetime64("2001-01-01") + np.arange(count))
    values = [float(i % 7 + i) for i in range(count)] if values is None else values
    return f"date,{name}\n" + "".join(f"{date},{value}\n" for date, value in zip(dates, values, strict=True))


BAD_FILES = {
    "one line": (rows(1), [], "file.csv, 'value': expected at least 3 dates"),
    "nan": (rows(4, [1, "nan", 2, 3]), [], "file.csv, line 3, 'value', 2001-01-02T00:00:00: expected a number"),
    "gap": (rows(9).replace("2001-01-05", "2001-02-05"), [], "expected increasing dates, got 2001-01-06T00:00:00"),
    "gaps": (rows(9).replace("2001-01-09", "2001-01-12"), [], "got none at 2001-01-09T00:00:00 (3 missing in total)"),
    "duplicate": (rows(9).replace("01-05", "01-04"), [], "expected every date once, got 2001-01-04T00:00:00 twice"),
    "horizon": (rows(60), ["--horizon", "500"], "horizon: expected a context of 24 and a horizon of 500 to fit"),
    "season": (rows(60), ["--season", "36"], "expected one shorter than the training part, got 36 steps and 36 dates"),
    "late": (rows(60), ["--horizon", "12", "--context", "4", "--test", "0.1"], "in the test part, got 12 steps and 6"),
    "column": (rows(9, name="price"), [], "expected a column 'value', got ['date', 'price']"),
    "log": (rows(60, range(-30, 30)), ["--log"], "log: expected numbers above 0 in 'value', got -30 at 2001-01-01"),
    "flat": (rows(60, [3] * 60), [], "expected the training part of 'value' to vary, got 3 throughout"),
    "empty": ("", [], "expected a line of column names and at least one row, got an empty file"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "options", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_series_end_with_one_line_and_no_run_folder(text, options, message, tmp_path, capsys):
    path = tmp_path / "file.csv"
    path.write_text(text)
    folder = tmp_path / "run"
    status, error = complaint(capsys, "file", "--source", str(path), "--run-folder", str(folder), *options)
    assert (status, message in error) == (1, True), error
    assert not folder.exists()


def test_what_stands_in_the_way_is_said_before_any_work(tmp_path, capsys):
    (tmp_path / "theirs").touch()
    _, error = complaint(capsys, "smoke", "--run-folder", str(tmp_path))
    assert "run folder: expected a new path, got" in error
    assert "source: expected the name of a file, got none" in complaint(capsys, "file")[1]
    assert "source: expected a file, got none.csv" in complaint(capsys, "file", "--source", "none.csv")[1]
