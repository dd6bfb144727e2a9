"""The figures to plan with: what is measured is the network that is named, alone and in two processes."""

import functools

import pytest

from benchmarks import scaling
from benchmarks import scaling_work as work
from benchmarks.tables import table
from rnnjax.commands import run


def assert_row(row, case):
    assert {name: row[name] for name in ("time", "hidden", "texts")} == {"time": 4, "hidden": 3, "texts": 4}
    assert (row["processes"], row["devices"]) == case.spread
    # Embedding, two directions of four gates, and a head of one logit.
    numbers = 20_000 * 64 + 2 * 4 * 3 * (64 + 3 + 1) + 6 + 1
    assert row["bytes"] == 4 * numbers
    for name in ("step", "reduce", "batch"):
        low, middle, high = row[name]
        assert 0 < low <= middle <= high


@pytest.mark.slow
def test_two_processes_are_measured(monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    case = work.Case(time=4, hidden=3, batch=4, processes=2, devices=1, rounds=2)
    (row,) = scaling.measure_all([case])
    assert_row(row, case)


def test_a_process_that_fails_is_an_error(monkeypatch, capfd):
    monkeypatch.setenv("JAX_PLATFORMS", "nothing")
    with pytest.raises(ChildProcessError, match="processes: expected all of 1 to end well, got a failure"):
        list(scaling.measure_all([work.Case(time=4, hidden=3, batch=4, processes=1, devices=1, rounds=2)]))
    assert "nothing" in capfd.readouterr().err


def test_each_axis_is_measured_by_itself():
    cases = scaling.Scaling(times=(5, 9), hiddens=(2, 3), batch=8, processes=(1, 4), devices=(2,)).cases()
    assert [(case.time, case.hidden, *case.spread) for case in cases] == [
        (5, 2, 1, 1),
        (9, 2, 1, 1),
        (9, 3, 1, 1),
        (9, 2, 1, 2),
        (9, 2, 4, 1),
    ]


def test_the_table_says_what_a_word_costs():
    row = {"time": 100, "hidden": 8, "processes": 2, "devices": 1, "texts": 20, "bytes": 3_000_000}
    row |= {"step": [9.0, 10.0, 12.0], "reduce": [1.0, 2.0, 3.0], "batch": [0.1, 0.2, 0.3]}
    assert table(scaling.COLUMNS, [row]).splitlines()[-1] == (
        "| 100 | 8 | 2 x 1 | 10.0 (9.00 to 12.0) | 5.00 | 200,000 | 3.0 MB | 2.00 | 0.20 |"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--times", "0"], "times: expected at least 1, got 0"),
        (["--hiddens"], "hiddens: expected at least one, got none"),
        (["--batch", "3"], "batch: expected a multiple of 2 processes or devices, got 3"),
    ],
)
def test_bad_options_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        run(scaling.PROGRAM, functools.partial(scaling.main, arguments))
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert error.count("\n") == 1
