"""Backtests: every cut-off is a run of its own, which sees only what is before, and the table is theirs."""

import dataclasses
import functools
import json

import numpy as np
import pytest
from complaints import complaint_of

from experiments.forecast import __main__ as forecast
from experiments.forecast.backtest import Fold, backtest_table, folds
from experiments.forecast.config import Forecast
from experiments.forecast.data import prepare
from experiments.forecast.scores import Scores
from rnnjax.data.series import Columns, read_series

COUNT = 100
TINY = ["--context", "4", "--horizon", "3", "--season", "7", "--hidden", "4", "--recurrence", "scan", "--epochs", "2"]
TINY += ["--seeds", "2", "--no-statistical", "--batch-size", "16"]
complaint = functools.partial(complaint_of, forecast)


def write(path, changed_from=COUNT):
    rng = np.random.default_rng(0)
    rows = [f"{np.datetime64('2001-01-01') + day},{np.sin(day) + rng.normal():.6f}" for day in range(COUNT)]
    rows[changed_from:] = [f"{row.partition(',')[0]},{100 + i}" for i, row in enumerate(rows[changed_from:])]
    path.write_text("\n".join(["date,value", *rows]) + "\n")
    return path


def test_the_cut_offs_by_hand(tmp_path):
    source = write(tmp_path / "file.csv")
    config = Forecast(source=str(source), context=4, horizon=3, validation=0.2, test=0.3, backtest=3)
    series = read_series(source, Columns())
    found = []
    for fold in folds(config, series):
        assert fold == dataclasses.replace(
            config, backtest=None, until=fold.until, validation=fold.validation, test=fold.test
        )
        parts = prepare(fold)
        (one,) = parts.scaled
        found.append((fold.until, *one.ends))
    # 70 dates, and then three times 10; 20 of validation before each.
    assert found == [("2001-03-22T00:00:00", 50, 70, 80), ("2001-04-01T00:00:00", 60, 80, 90), (None, 70, 90, 100)]
    with pytest.raises(ValueError, match="at least 3 dates, the horizon, got 30 dates of the test part in 11 parts"):
        folds(dataclasses.replace(config, backtest=11), series)


def test_the_table_by_hand():
    def scores(mase, coverage):
        own = Scores(1.0, 1.0, mase, 0.1, mase / 2, 0.2, (0.5, coverage, 0.9), (1.0, 2.0 * mase, 3.0))
        return {"drift": own._replace(mase=2.0), "network: one seed": own, "network: all seeds": own}

    found = backtest_table([Fold("2001-01-01", scores(1.0, 0.7)), Fold("2002-01-01", scores(2.0, 0.9))])
    rows = {line[:30].strip(): line[30:].split() for line in found.splitlines()[2:]}
    assert rows["drift"] == ["2.000", "2.000", "2.000", "0.000"]
    assert rows["network: all seeds"] == ["1.000", "2.000", "1.500", "0.707"]
    assert rows["CRPS, all seeds"] == ["0.500", "1.000", "0.750", "0.354"]
    assert rows["80% interval covers, all seeds"] == ["0.700", "0.900", "0.800", "0.141"]
    assert rows["80% interval width, all seeds"] == ["2.000", "4.000", "3.000", "1.414"]


def scores_of(path):
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{**line, "seal": None} for line in lines if line["kind"] == "score"]


@pytest.mark.slow
def test_every_cut_off_is_a_run_that_sees_only_what_is_before(tmp_path, capsys):
    folder, other = tmp_path / "backtest", tmp_path / "other"
    for path, changed in ((folder, COUNT), (other, 90)):
        source = write(tmp_path / f"{path.name}.csv", changed)
        forecast.main(["file", "--source", str(source), *TINY, "--backtest", "2", "--run-folder", str(path)])
    out = capsys.readouterr().out
    assert (other / "backtest.txt").read_text() in out
    # Of 100 dates the last 20 are those of two parts; in the other file the second part is another one.
    assert scores_of(folder / "cut1") == scores_of(other / "cut1")
    assert scores_of(folder / "cut2") != scores_of(other / "cut2")
    for name, until in (("cut1", "2001-04-01T00:00:00"), ("cut2", None)):
        assert json.loads((folder / name / "config.json").read_text())["until"] == until
    mases = [scores_of(folder / name)[0]["mase"] for name in ("cut1", "cut2")]
    (row,) = [row for row in (folder / "backtest.txt").read_text().splitlines() if row.startswith("last value")]
    assert row.split()[2:4] == [f"{mase:.3f}" for mase in mases]
    capsys.readouterr()
    forecast.main(["predict", str(folder / "cut1")])
    assert [line.split(",")[1] for line in capsys.readouterr().out.splitlines()[1:]] == [
        *("2001-04-01", "2001-04-02", "2001-04-03")
    ]
    forecast.main(["predict", str(folder / "cut1"), "--source", str(tmp_path / "backtest.csv")])
    assert "2001-04-11" in capsys.readouterr().out


def test_bad_dates_and_parts_end_with_one_line(tmp_path, capsys):
    source = str(write(tmp_path / "file.csv"))
    for options, message, code in (
        (["--until", "soon"], "until: expected a date like 2001-01-31, got 'soon'", 2),
        (["--until", "2000-01-01"], "until: expected a date after 2001-01-01T00:00:00, the first of 'value'", 1),
        (["--backtest", "0"], "backtest: expected at least 1, got 0", 2),
        (["--backtest", "7"], "got 20 dates of the test part in 7 parts", 1),
        (["--backtest", "2", "--resume", "somewhere"], "backtest: expected none with --resume", 2),
    ):
        status, error = complaint(capsys, "file", "--source", source, *TINY, *options)
        assert (status, message in error) == (code, True), error
