"""The figure that compares runs: a panel a measure, a colour and a mark a run."""

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

# Okabe and Ito's, which colour-blind readers tell apart; the later ones are dashed, too.
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", BLACK, "#999999")
SOLID = 4
# Marks nearer than this (in points, across and up) would touch.
TOUCHING = (10.0, 10.0)


class Panel(NamedTuple):
    """A measure: what it is drawn against, and how."""

    name: str
    against: str
    noisy: bool = False  # a point is one batch's
    logarithmic: bool = False
    best: Callable[[np.ndarray], Any] | None = None  # gives the index of the best point


class RunCurves(NamedTuple):
    """A run: a short mark, what the legend says of it, and its points `(N, 2)` by the names of panels."""

    mark: str
    label: str
    points: Mapping[str, np.ndarray]


def comparison_figure(runs: Sequence[RunCurves], panels: Sequence[Panel]) -> Figure:
    """Every measure of the panels that any of the runs has, each run in its colour, its mark at the end of its curve.

    Single batches are faint lines, their running mean (of a fiftieth of a run; geometric where the axis is
    logarithmic) is a strong one; a ring is around the best epoch. Raises ValueError for more runs than colours, and
    where there is nothing to draw.
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
        figure.draw_without_rendering()  # only now it is known where the ends are
        for axes, found in zip(grid, ends, strict=False):
            _mark(axes, runs, found)
    return figure


def smooth(points: np.ndarray, window: int, geometric: bool = False) -> np.ndarray:
    """Means over windows of points `(N, 2)` that follow each other, each at its window's last point.

    Windows begin a tenth of their width apart; one ends at the last point.
    """
    x, y = points.T
    windows = np.lib.stride_tricks.sliding_window_view(np.log(y) if geometric else y, window)
    chosen = np.arange(len(windows) - 1, -1, -max(1, window // 10))[::-1]
    means = windows[chosen].mean(axis=1)
    return np.stack([x[chosen + window - 1], np.exp(means) if geometric else means], axis=1)


def _style(index: int) -> dict[str, Any]:
    return {"color": COLOURS[index], "linestyle": "-" if index < SOLID else "--"}


def _draw(axes: Axes, panel: Panel, runs: Sequence[RunCurves]) -> dict[int, tuple[float, float]]:
    """Draws a panel; returns where the curve of each run ends, by the run's place."""
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
    if panel.noisy:  # a few wild batches must not press all else together
        _limit(axes, np.concatenate(shown), logarithmic)
    return ends


def _limit(axes: Axes, shown: np.ndarray, logarithmic: bool) -> None:
    low, high = float(shown.min()), float(shown.max())
    if logarithmic:
        axes.set_ylim(low / 1.5, high * 1.5)
    elif high > low:
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))


def _mark(axes: Axes, runs: Sequence[RunCurves], ends: Mapping[int, tuple[float, float]]) -> None:
    """Each run's mark beside its curve's end, those that would touch one above the other."""
    scale = 72 / axes.figure.dpi  # points a pixel
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
