"""The benchmark in its smallest setting: it runs, and a wrong result is caught before it is timed."""

import jax
import pytest

from benchmarks import throughput
from rnnjax import Scan

SMALLEST = throughput.Case(cell="gru", batch=2, time=3, input=2, hidden=2, rounds=1, devices=2)


def test_every_recurrence_has_a_row():
    rows = throughput.report(SMALLEST).splitlines()[4:]
    assert [row.split("`")[1] for row in rows] == list(throughput.RECURRENCES)
    assert "1.00 (1.00 to 1.00)" in rows[0]


def test_what_is_not_compiled_says_why(monkeypatch):
    monkeypatch.setattr(
        throughput, "RECURRENCES", {name: throughput.RECURRENCES[name] for name in ("Scan()", "Unrolled()")}
    )
    case = throughput.Case(cell="elman", batch=2, time=3, input=2, hidden=2, rounds=1, devices=2, unrolled_limit=2)
    assert throughput.report(case).endswith("| `Unrolled()` | | | not compiled above T=2 |")


def test_a_wrong_gradient_is_not_timed(monkeypatch):
    class Wrong(Scan):
        def __call__(self, cell, params, *arguments, **options):
            return super().__call__(cell, jax.tree.map(lambda leaf: 1.001 * leaf, params), *arguments, **options)

    monkeypatch.setattr(throughput, "RECURRENCES", {"Scan()": Scan(), "Wrong()": Wrong()})
    with pytest.raises(ValueError, match=r"Wrong\(\): expected the gradients of Scan, got a deviation of"):
        throughput.report(SMALLEST)


def test_a_batch_that_does_not_divide_is_one_line(monkeypatch):
    with pytest.raises(SystemExit, match=r"benchmarks.throughput: batch: expected a multiple of 2 devices, got 3"):
        throughput.main(["--batch", "3", "--devices", "2"])


def test_sizes_below_one_are_named():
    with pytest.raises(ValueError, match="rounds: expected at least 1, got 0"):
        throughput.Case(rounds=0)
