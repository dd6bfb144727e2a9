"""The figure that compares runs: one panel per metric, one colour and mark per run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.analysis.labels import SHORT, label
from rnnjax.analysis.plots import BLACK, BLUE, ORANGE
from rnnjax.extras import extra

with extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

# The colours of Okabe and Ito, which colour-blind readers can distinguish; those after `SOLID` are also dashed.
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", BLACK, "#999999")
SOLID = 4
# Marks closer than this (horizontally and vertically, in points) would overlap.
TOUCHING = (10.0, 10.0)


class Panel(NamedTuple):
    """A metric, the quantity on its x axis, and drawing options."""

    name: str
    against: str
    noisy: bool = False  # each point is one batch
    logarithmic: bool = False
    best: Callable[[np.ndarray], Any] | None = None  # returns the index of the best point


class RunCurves(NamedTuple):
    """A run: a short mark, its legend text, and its points `(N, 2)` by panel name."""

    mark: str
    label: str
    points: Mapping[str, np.ndarray]


def comparison_figure(runs: Sequence[RunCurves], panels: Sequence[Panel]) -> Figure:
    """The panels for which any run has points; each run has a colour and a mark at the end of its curve.

    Faint lines are single batches, strong lines their running mean (over a fiftieth of a run; geometric on a
    logarithmic axis); a ring marks the best epoch. Raises ValueError for more runs than colours, and if there is
    nothing to draw.
    """
    if not 1 <= len(runs) <= len(COLOURS):
        raise ValueError(f"runs: expected 1 to {len(COLOURS)}, got {len(runs)}")
    panels = [panel for panel in panels if any(len(run.points.get(panel.name, ())) for run in runs)]
    if not panels:
        raise ValueError("runs: expected steps or epochs in the metrics of at least one, found none")
    columns = len(panels) if len(panels) <= 3 else (len(panels) + 1) // 2
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(max(6.4, 4 * columns), 3.2 * rows + 0.25 * len(runs)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    handles = [
        Line2D([], [], label=label(f"{run.mark}  {run.label}"), **_style(index)) for index, run in enumerate(runs)
    ]
    figure.legend(handles=handles, frameon=False, loc="outside lower left", fontsize=9)
    ends = [_draw(axes, panel, runs) for axes, panel in zip(grid, panels, strict=False)]
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if len(runs) > 1:
        figure.draw_without_rendering()  # needed to know the positions of the ends
        for axes, found in zip(grid, ends, strict=False):
            _mark(axes, runs, found)
    return figure


def smooth(points: np.ndarray, window: int, geometric: bool = False) -> np.ndarray:
    """Means over windows of consecutive points `(N, 2)`, each at the last point of its window.

    Windows start a tenth of their width apart; the last one ends at the last point.
    """
    x, y = points.T
    windows = np.lib.stride_tricks.sliding_window_view(np.log(y) if geometric else y, window)
    chosen = np.arange(len(windows) - 1, -1, -max(1, window // 10))[::-1]
    means = windows[chosen].mean(axis=1)
    return np.stack([x[chosen + window - 1], np.exp(means) if geometric else means], axis=1)


def _style(index: int) -> dict[str, Any]:
    return {"color": COLOURS[index], "linestyle": "-" if index < SOLID else "--"}


def _draw(axes: Axes, panel: Panel, runs: Sequence[RunCurves]) -> dict[int, tuple[float, float]]:
    """Draws a panel; returns the end of the curve of each run, by index of the run."""
    curves = {
        index: np.asarray(run.points[panel.name], float)
        for index, run in enumerate(runs)
        if len(run.points.get(panel.name, ()))
    }
    logarithmic = panel.logarithmic and all((points[:, 1] > 0).all() for points in curves.values())
    ends, shown = {}, []
    for index, points in curves.items():
        window = max(1, len(points) // 50) if panel.noisy else 1
        mean = smooth(points, window, logarithmic)
        if window > 1:
            axes.plot(*points.T, color=COLOURS[index], alpha=0.18 if len(curves) < 3 else 0.09, linewidth=0.7, zorder=1)
            shown.append(np.quantile(points[:, 1], [0.02, 0.98]))
        few = {"marker": "o", "markersize": 3.5} if panel.against == "epoch" or len(points) == 1 else {}
        axes.plot(*mean.T, linewidth=1.6, **_style(index), **few)
        if panel.best is not None:
            best = points[panel.best(points[:, 1])]
            axes.plot(*best, "o", markersize=9, markerfacecolor="none", markeredgecolor=COLOURS[index])
        ends[index] = (mean[-1, 0], mean[-1, 1])
        shown.append(mean[:, 1])
    axes.set(xlabel=panel.against, ylabel=label(panel.name, SHORT))
    axes.margins(x=0.07, y=0.1)
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if panel.noisy:  # so that outliers do not compress the rest of the panel
        _limit(axes, np.concatenate(shown), logarithmic)
    return ends


def _limit(axes: Axes, shown: np.ndarray, logarithmic: bool) -> None:
    low, high = float(shown.min()), float(shown.max())
    if logarithmic:
        axes.set_ylim(low / 1.5, high * 1.5)
    elif high > low:
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def _mark(axes: Axes, runs: Sequence[RunCurves], ends: Mapping[int, tuple[float, float]]) -> None:
    """Draws the mark of each run next to the end of its curve; marks that would overlap are moved up."""
    scale = 72 / axes.figure.dpi  # points per pixel
    places = {index: scale * axes.transData.transform(end) for index, end in ends.items()}
    taken: list[np.ndarray] = []
    for index in sorted(places, key=lambda index: places[index][1]):
        place = places[index].copy()
        while any((np.abs(place - other) < TOUCHING).all() for other in taken):
            place[1] += 1
        taken.append(place)
        axes.annotate(
            runs[index].mark,
            ends[index],
            (6, place[1] - places[index][1]),
            textcoords="offset points",
            color=COLOURS[index],
            fontsize=9,
            weight="bold",
            va="center",
            annotation_clip=False,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
