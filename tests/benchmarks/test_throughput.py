"""The throughput benchmark in its smallest setting: every case is a row, and a wrong result is not timed."""

import functools
import json
from typing import Any

import jax
import pytest
from complaints import last_of_each

from benchmarks import throughput
from benchmarks.recurrences.cases import BASELINE, RECURRENCES, SEQUENTIAL, Case, from_row
from rnnjax import Scan
from rnnjax.commands import run

pytestmark = pytest.mark.usefixtures("quick_compile")

SIZES = ["--times", "3", "--batches", "2", "--hiddens", "2", "--input", "2", "--rounds", "1", "--devices", "2"]


def measure(path, *arguments) -> Any:
    """The outcomes that the command appends to a file of rows."""
    throughput.main([*SIZES, "--rows", str(path), *arguments])
    return read(path)


def read(path) -> Any:
    return [from_row(json.loads(line))[0] for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def every_recurrence(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    measure(path, "--recurrences", *SEQUENTIAL, "--cells", "gru", "--compile-limit", "3")
    return path


@pytest.mark.slow
def test_every_recurrence_is_a_row_with_its_numbers(every_recurrence):
    outcomes = read(every_recurrence)
    assert {outcome.case.recurrence for outcome in outcomes} == set(SEQUENTIAL)
    for outcome in outcomes:
        if outcome.case.recurrence == "Unrolled()":
            assert outcome.reason == "not compiled: a graph of 3 steps (--compile-limit 3)"
            assert outcome.speed is None
            continue
        assert outcome.status == "measured"
        assert 0 < max(outcome.deviation) < 1e-5
        assert outcome.lower_seconds > 0
        assert outcome.compile_seconds > 0
        assert outcome.temp_bytes > 0
        speed = outcome.speed
        assert speed.tokens_per_second == pytest.approx(6 / speed.step_seconds.middle)
        # Both matrix products of 2 sequences x 3 steps, 2 inputs and 2 hidden features, 3 gates; thrice in training.
        flop = 3 * 2 * (2 * 3) * (2 + 2) * (3 * 2)
        assert speed.gflop_per_second == pytest.approx(flop / speed.step_seconds.middle / 1e9)
        assert speed.peak_share == pytest.approx(speed.gflop_per_second / speed.peak_gflop_per_second)
        if outcome.case.recurrence == BASELINE:
            assert speed.scan_ratio == (1, 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["forward", "gradient"])
def test_tasks_and_dtypes(task, tmp_path):
    outcomes = measure(
        tmp_path / "rows", "--tasks", task, "--dtypes", "float32", "bfloat16", "--recurrences", "Chunked()"
    )
    full, half = outcomes
    assert (full.case.task, full.case.dtype, half.case.dtype) == (task, "float32", "bfloat16")
    assert max(full.deviation) < 1e-5 < max(half.deviation) < 1e-1
    assert full.speed.scan_ratio is None  # nobody to compare with


class Wrong(Scan):
    """Right but for a thousandth."""

    def __call__(self, cell, params, *arguments, **options):
        return super().__call__(cell, jax.tree.map(lambda leaf: 1.001 * leaf, params), *arguments, **options)


class WrongBackwards(Scan):
    """Right values; the gradient of the inputs is lost."""

    def __call__(self, cell, params, inputs, *arguments, **options):
        return super().__call__(cell, params, jax.lax.stop_gradient(inputs), *arguments, **options)


class Failing(Scan):
    def __call__(self, *arguments, **options):
        raise TypeError("no such thing\nand more of it")


@pytest.mark.slow
@pytest.mark.parametrize("recurrence", [Wrong(), WrongBackwards()], ids=["values", "gradients"])
def test_a_wrong_result_is_not_timed_and_ends_the_command_with_an_error(recurrence, tmp_path, monkeypatch):
    monkeypatch.setitem(RECURRENCES, "Wrong()", recurrence)
    with pytest.raises(ValueError, match="1 of 2 cases gave wrong numbers and were not timed"):
        measure(tmp_path / "rows", "--recurrences", "Scan()", "Wrong()")
    wrong, right = read(tmp_path / "rows")
    assert wrong.status == "wrong"
    assert "wrong: deviation of values" in wrong.reason
    assert wrong.speed is None
    assert (right.case.recurrence, right.status) == ("Scan()", "measured")


def test_a_case_that_fails_is_a_row_with_its_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(RECURRENCES, "Failing()", Failing())
    failed, right = measure(tmp_path / "rows", "--recurrences", "Scan()", "Failing()")
    assert failed.reason == "TypeError: no such thing"
    assert right.status == "measured"
    assert "1 of 2 cases failed" in capsys.readouterr().out


@pytest.mark.slow
def test_resuming_measures_what_is_missing_only(every_recurrence, tmp_path, capsys):
    path = tmp_path / "rows"
    lines = every_recurrence.read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["case"]["recurrence"] != "Chunked()"]
    path.write_text("".join(kept) + lines[0][:40])  # a kill cut the last row off
    axes = ["--recurrences", *SEQUENTIAL, "--cells", "gru", "--compile-limit", "3"]
    throughput.main([*SIZES, *axes, "--rows", str(path), "--resume"])
    assert f"{len(SEQUENTIAL)} cases, {len(SEQUENTIAL) - 1} of them in {path} already" in capsys.readouterr().out
    text = path.read_text()
    assert text.startswith("".join(kept))
    assert [outcome.case.recurrence for outcome in read(path)][-1] == "Chunked()"
    assert len(read(path)) == len(SEQUENTIAL)


def test_a_dry_run_lists_and_measures_nothing(tmp_path, capsys):
    throughput.main([*SIZES, "--rows", str(tmp_path / "rows"), "--dry-run", "--cells", "lstm", "elman"])
    out = capsys.readouterr().out
    assert "elman train float32 B=2 T=3 I=2 H=2 Chunked()" in out
    assert "8 cases in 2 groups, 0 not compiled; 1 rounds on 2 cpu devices" in out
    assert not (tmp_path / "rows").exists()


def failure(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        run(throughput.PROGRAM, functools.partial(throughput.main, last_of_each(arguments)))
    return stop.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recurrences", "Scan(2)"], "recurrences: expected some of Scan(), "),
        (["--times", "0"], "times: expected at least 1, got 0"),
        (["--rounds", "0"], "rounds: expected at least 1, got 0"),
        (["--batches", "3", "--devices", "2"], "batches: expected batches that 2 devices can share, got 3"),
        (["--resume"], "resume: expected --rows FILE"),
        (["--resume", "--rows", "none.jsonl"], "rows: expected a file to continue, got none.jsonl"),
        (["--rows", "."], "rows: expected a new path, got ., which exists"),
        (["--cells"], "cells: expected at least one, got none"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys):
    code, error = failure(capsys, arguments)
    assert code in (1, 2)
    assert message in error
    assert len(error.splitlines()) == 1


def test_rows_of_other_settings_are_not_mixed(every_recurrence, capsys):
    before = every_recurrence.read_text()
    code, error = failure(capsys, [*SIZES, "--rounds", "2", "--rows", str(every_recurrence), "--resume"])
    assert code == 1
    assert "measured differently, rounds: expected 2, got 1; use a new file" in error
    assert every_recurrence.read_text() == before


def test_a_case_is_checked():
    with pytest.raises(ValueError, match=r"task: expected one of .*, got 'eval'"):
        Case("lstm", "Scan()", 1, 1, 1, 1, "float32", "eval")  # pyright: ignore[reportArgumentType]
