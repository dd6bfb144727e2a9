"""Markdown tables of measured outcomes."""

from collections.abc import Iterable, Sequence

from benchmarks.recurrences.outcome import Outcome
from benchmarks.timing import Spread

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


def markdown(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under headers; what would break a cell is replaced."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in row)} |" for row in lines)


def speed_table(outcomes: Sequence[Outcome]) -> str:
    """A row an outcome: how it was compiled and how fast it is, or the reason why not."""
    headers = ("cell", "task", "dtype", "B", "I", "H", "T", "recurrence", *MEASURES)
    return markdown(
        headers,
        [
            (
                outcome.case.cell,
                outcome.case.task,
                outcome.case.dtype,
                *map(str, (outcome.case.batch, outcome.case.input, outcome.case.hidden, outcome.case.time)),
                f"`{outcome.case.recurrence}`",
                *measures(outcome),
            )
            for outcome in outcomes
        ],
    )


def group_table(outcomes: Sequence[Outcome]) -> str:
    """As `speed_table`, for outcomes that differ in time and recurrence only."""
    rows = [(str(outcome.case.time), f"`{outcome.case.recurrence}`", *measures(outcome)) for outcome in outcomes]
    return markdown(("T", "recurrence", *MEASURES), rows)


def measures(outcome: Outcome) -> tuple[str, ...]:
    """The cells under MEASURES. The reason takes the place of the ratio."""
    compiled = (
        "" if outcome.deviation is None else f"{max(outcome.deviation):.1e}",
        "" if outcome.lower_seconds is None else f"{outcome.lower_seconds:.2f}",
        "" if outcome.compile_seconds is None else f"{outcome.compile_seconds:.2f}",
    )
    memory = "" if outcome.temp_bytes is None else f"{outcome.temp_bytes / 1e6:.1f}"
    speed = outcome.speed
    if speed is None:
        return (*compiled, "", "", "", "", memory, outcome.reason or "")
    milliseconds = Spread(*(1e3 * seconds for seconds in speed.step_seconds))
    return (
        *compiled,
        quartiles(milliseconds),
        f"{speed.tokens_per_second:,.0f}",
        f"{speed.gflop_per_second:.3g}",
        f"{speed.peak_share:.1%}",
        memory,
        "" if speed.scan_ratio is None else quartiles(speed.scan_ratio),
    )


def quartiles(spread: Spread) -> str:
    """The median, and the quartiles behind it."""
    return f"{spread.middle:.3g} ({spread.low:.3g} to {spread.high:.3g})"
