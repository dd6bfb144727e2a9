"""Markdown tables of measured outcomes."""

from collections.abc import Sequence

from benchmarks.recurrences.outcome import Outcome
from benchmarks.tables import markdown, quartiles, shown

MEASURES = (
    "deviation",
    "lower s",
    "compile s",
    "step ms (quartiles)",
    "tokens/s",
    "GFLOP/s",
    "share of peak",
    "temp MB",
    "ratio to Scan (quartiles)",
)


def speed_table(outcomes: Sequence[Outcome]) -> str:
    """A row an outcome: how it was compiled and how fast it is, or the reason why not."""
    names = ("cell", "task", "dtype", "batch", "input", "hidden", "time")
    headers = ("cell", "task", "dtype", "B", "I", "H", "T", "recurrence", *MEASURES)
    return markdown(
        headers,
        [
            (*(getattr(outcome.case, name) for name in names), f"`{outcome.case.recurrence}`", *measures(outcome))
            for outcome in outcomes
        ],
    )


def group_table(outcomes: Sequence[Outcome]) -> str:
    """As `speed_table`, for outcomes that differ in time and recurrence only."""
    rows = [(outcome.case.time, f"`{outcome.case.recurrence}`", *measures(outcome)) for outcome in outcomes]
    return markdown(("T", "recurrence", *MEASURES), rows)


def measures(outcome: Outcome) -> tuple[str, ...]:
    """The cells under MEASURES. The reason takes the place of the ratio."""
    speed = outcome.speed
    return (
        shown(outcome.deviation and max(outcome.deviation), ".1e"),
        shown(outcome.lower_seconds, ".2f"),
        shown(outcome.compile_seconds, ".2f"),
        quartiles(speed and speed.step_seconds, 1e3),
        shown(speed and speed.tokens_per_second, ",.0f"),
        shown(speed and speed.gflop_per_second, ".3g"),
        shown(speed and speed.peak_share, ".1%"),
        shown(outcome.temp_bytes, ".1f", 1e-6),
        quartiles(speed.scan_ratio) if speed else outcome.reason or "",
    )
