"""Markdown tables of outcomes."""

from collections.abc import Callable, Collection, Sequence

from benchmarks.recurrences.cases import Outcome
from benchmarks.tables import quartiles, shown, table

COLUMNS: dict[str, Callable[[Outcome], object]] = {
    "cell": lambda outcome: outcome.case.cell,
    "task": lambda outcome: outcome.case.task,
    "dtype": lambda outcome: outcome.case.dtype,
    "B": lambda outcome: outcome.case.batch,
    "I": lambda outcome: outcome.case.input,
    "H": lambda outcome: outcome.case.hidden,
    "T": lambda outcome: outcome.case.time,
    "recurrence": lambda outcome: f"`{outcome.case.recurrence}`",
    "deviation": lambda outcome: shown(outcome.deviation and max(outcome.deviation), ".1e"),
    "lower s": lambda outcome: shown(outcome.lower_seconds, ".2f"),
    "compile s": lambda outcome: shown(outcome.compile_seconds, ".2f"),
    "step ms (quartiles)": lambda outcome: quartiles(outcome.speed and outcome.speed.step_seconds, 1e3),
    "tokens/s": lambda outcome: shown(outcome.speed and outcome.speed.tokens_per_second, ",.0f"),
    "GFLOP/s": lambda outcome: shown(outcome.speed and outcome.speed.gflop_per_second, ".3g"),
    "share of peak": lambda outcome: shown(outcome.speed and outcome.speed.peak_share, ".1%"),
    "temp MB": lambda outcome: shown(outcome.temp_bytes, ".1f", 1e-6),
    # or the reason why there is none
    "ratio to Scan (quartiles)": lambda outcome: (
        quartiles(outcome.speed.scan_ratio) if outcome.speed else outcome.reason
    ),
}


def speed_table(outcomes: Sequence[Outcome], without: Collection[str] = ()) -> str:
    """One row for each outcome, without some of the columns."""
    return table({name: cell for name, cell in COLUMNS.items() if name not in without}, outcomes)
