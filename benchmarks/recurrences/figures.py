"""Figures of the throughput benchmark: what each recurrence costs, against T."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from benchmarks.recurrences.cases import BASELINE, RECURRENCES
from benchmarks.recurrences.outcome import Outcome
from benchmarks.timing import Spread

# Okabe and Ito's colours, but for the yellow, which white paper hides.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#D55E00", "#009E73", "#0072B2", "#CC79A7")
WITH_COMMAS = FuncFormatter(lambda value, _: f"{value:,g}")
# Neighbours at one T stand this share of it apart, or their bars would hide each other.
ASIDE = 0.02
MARKERS, LINES = ("o", "s", "^", "D", "v"), ("-", "--", ":")
# What a panel draws of an outcome: a median and its quartiles (all one where there is one number), or nothing.
Quantity = Callable[[Outcome], Spread | None]


def tokens_per_second(outcome: Outcome) -> Spread | None:
    if outcome.speed is None:
        return None
    slow, step, quick = reversed(outcome.speed.step_seconds)
    tokens = outcome.case.batch * outcome.case.time
    return Spread(tokens / slow, tokens / step, tokens / quick)


def scan_ratio(outcome: Outcome) -> Spread | None:
    return None if outcome.speed is None else outcome.speed.scan_ratio


def compile_seconds(outcome: Outcome) -> Spread | None:
    return _exactly(outcome.compile_seconds)


def temp_megabytes(outcome: Outcome) -> Spread | None:
    return _exactly(outcome.temp_bytes and outcome.temp_bytes / 1e6)


def _exactly(value: float | None) -> Spread | None:
    """Nothing for nothing: a logarithmic axis has no place for zero."""
    return Spread(value, value, value) if value else None


def throughput_figure(title: str, outcomes: Sequence[Outcome]) -> Figure:
    """Tokens a second, the ratio to Scan, compile time and temporary memory against T, one line a recurrence.

    The outcomes differ in time and recurrence only. Bars are quartiles over rounds.
    """
    figure = Figure(figsize=(10, 7.4), layout="constrained")
    (upper_left, upper_right), (lower_left, lower_right) = figure.subplots(2, 2)
    draw(upper_left, outcomes, "tokens per second (more is better)", tokens_per_second)
    draw(upper_right, outcomes, f"step time / that of {BASELINE} (less is better)", scan_ratio)
    for axes in (upper_left, upper_right):
        axes.set_ylim(bottom=0)
    upper_left.yaxis.set_major_formatter(WITH_COMMAS)
    draw(lower_left, outcomes, "compile time (s)", compile_seconds)
    draw(lower_right, outcomes, "temporary memory (MB)", temp_megabytes)
    for axes in (lower_left, lower_right):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(WITH_COMMAS)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("T, steps of a sequence")
    figure.suptitle(title)
    lines = {}
    for axes in figure.axes:
        handles, names = axes.get_legend_handles_labels()
        lines |= dict(zip(names, handles, strict=True))
    names = sorted(lines, key=place)
    figure.legend([lines[name] for name in names], names, frameon=False, ncols=4, loc="outside lower center")
    return figure


def draw(axes: Axes, outcomes: Sequence[Outcome], name: str, quantity: Quantity) -> None:
    """One line a recurrence against a logarithmic T, with ticks at the measured lengths."""
    axes.set(xscale="log", ylabel=name)
    recurrences = sorted({outcome.case.recurrence for outcome in outcomes}, key=place)
    for rank, recurrence in enumerate(recurrences):
        mine = [outcome for outcome in outcomes if outcome.case.recurrence == recurrence]
        points = sorted((outcome.case.time, spread) for outcome in mine if (spread := quantity(outcome)) is not None)
        if not points:
            continue
        times, spreads = zip(*points, strict=True)
        index = place(recurrence)
        axes.errorbar(
            [time * (1 + ASIDE) ** (rank - (len(recurrences) - 1) / 2) for time in times],
            [spread.middle for spread in spreads],
            yerr=([s.middle - s.low for s in spreads], [s.high - s.middle for s in spreads]),
            label=recurrence,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linestyle=LINES[index // len(COLOURS) % len(LINES)],
            markersize=5,
            linewidth=1.5,
            capsize=3,
        )
    axes.set_xticks(sorted({outcome.case.time for outcome in outcomes}))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(WITH_COMMAS)
    axes.grid(alpha=0.3)


def place(recurrence: str) -> int:
    """Where the recurrence stands in the table: its colour is the same in every figure."""
    names = list(RECURRENCES)
    return names.index(recurrence) if recurrence in names else len(names)
