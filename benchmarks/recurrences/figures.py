"""Figures of the throughput benchmark: the cost of each recurrence against T."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from benchmarks.recurrences.cases import BASELINE, RECURRENCES, Outcome
from benchmarks.timing import Spread

# Okabe and Ito's colours without the yellow, which is hard to see on white.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#D55E00", "#009E73", "#0072B2", "#CC79A7")
MARKERS, LINES = ("o", "s", "^", "D", "v"), ("-", "--", ":")
WITH_COMMAS = FuncFormatter(lambda value, _: f"{value:,g}")
ASIDE = 0.02  # markers at the same T are this share of it apart: they would hide each other


def tokens_per_second(outcome: Outcome) -> Spread | None:
    """The tokens of a step over the quartiles of its seconds."""
    tokens = outcome.case.batch * outcome.case.time
    return outcome.speed and Spread(*(tokens / seconds for seconds in reversed(outcome.speed.step_seconds)))


def exactly(value: float | None) -> Spread | None:
    """A number without quartiles; nothing for 0, which a logarithmic axis cannot show."""
    return Spread(value, value, value) if value else None


# Label, quantity and scale of each panel.
PANELS: tuple[tuple[str, Callable[[Outcome], Spread | None], str], ...] = (
    ("tokens per second (more is better)", tokens_per_second, "linear"),
    (f"step time / that of {BASELINE} (less is better)", lambda of: of.speed and of.speed.scan_ratio, "linear"),
    ("compile time (s)", lambda of: exactly(of.compile_seconds), "log"),
    ("temporary memory (MB)", lambda of: exactly(1e-6 * (of.temp_bytes or 0)), "log"),
)


def throughput_figure(title: str, outcomes: Sequence[Outcome]) -> Figure:
    """All panels against T, with a line for each recurrence and quartiles over rounds as bars.

    The outcomes differ in time and recurrence only.
    """
    figure = Figure(figsize=(10, 7.4), layout="constrained")
    lines = {}
    for axes, (label, quantity, scale) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        draw(axes, outcomes, quantity)
        axes.set(ylabel=label, yscale=scale)
        if scale == "log":
            axes.set_xlabel("T, steps of a sequence")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(WITH_COMMAS)
        handles, names = axes.get_legend_handles_labels()
        lines |= dict(zip(names, handles, strict=True))
    figure.suptitle(title)
    names = sorted(lines, key=place)
    figure.legend([lines[name] for name in names], names, frameon=False, ncols=4, loc="outside lower center")
    return figure


def draw(axes: Axes, outcomes: Sequence[Outcome], quantity: Callable[[Outcome], Spread | None]) -> None:
    """One line for each recurrence against a logarithmic T, with ticks at the measured lengths."""
    axes.set(xscale="log")
    recurrences = sorted({outcome.case.recurrence for outcome in outcomes}, key=place)
    for rank, recurrence in enumerate(recurrences):
        own = [outcome for outcome in outcomes if outcome.case.recurrence == recurrence]
        points = sorted((outcome.case.time, spread) for outcome in own if (spread := quantity(outcome)))
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
    """The index of the recurrence, which fixes its colour; unknown ones come last."""
    return [*RECURRENCES, recurrence].index(recurrence)
