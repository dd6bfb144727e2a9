"""Figures of forecasts: forecasts against actual values, and calibration."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.labels import label
from rnnjax.analysis.plots import BLACK, BLUE, ORANGE
from rnnjax.analysis.run_plots import COLOURS
from rnnjax.extras import extra

with extra("plots"):
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

GREEN = COLOURS[2]
# Black is reserved for lines that are not seeds.
SEED_COLOURS = tuple(colour for colour in COLOURS if colour != BLACK)
COLUMNS = 2


class ForecastPanel(NamedTuple):
    """One series around an origin; `quantiles (H, Q)` are at `levels`, and the middle one is the median."""

    title: str
    dates: np.ndarray  # (C,), before the origin
    history: np.ndarray
    future_dates: np.ndarray  # (H,)
    actual: np.ndarray
    quantiles: np.ndarray
    baseline: np.ndarray


def forecast_figure(panels: Sequence[ForecastPanel], levels: Sequence[float], name: str, baseline: str) -> Figure:
    """One panel per series: history, actual values, the forecast with its intervals, and the forecast of a baseline.

    No interval is drawn if all quantiles are equal.
    """
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.4 * columns if columns > 1 else 8, 0.5 + 3.1 * rows), layout="constrained")
    every = list(figure.subplots(rows, columns, squeeze=False).flat)
    middle = len(levels) // 2
    for axes, panel in zip(every, panels, strict=False):
        before = panel.dates[-1:], panel.history[-1:]  # so that lines are connected to the history
        dates = np.concatenate([before[0], panel.future_dates])
        axes.plot(panel.dates, panel.history, color=BLACK, linewidth=1.2, label="history")
        for low in range(middle):
            high = len(levels) - 1 - low
            if np.ptp(panel.quantiles, axis=-1).max() > 0:
                band = (np.concatenate([before[1], panel.quantiles[:, side]]) for side in (low, high))
                words = f"{levels[high] - levels[low]:.0%} interval"
                axes.fill_between(dates, *band, color=BLUE, alpha=0.12 + 0.1 * low, linewidth=0, label=words)
        lines = (
            (panel.actual, {"color": BLACK, "linestyle": ":", "linewidth": 1.6, "label": "actual"}),
            (panel.baseline, {"color": ORANGE, "linestyle": "--", "linewidth": 1.2, "label": label(baseline)}),
            (panel.quantiles[:, middle], {"color": BLUE, "linewidth": 1.6, "label": label(name)}),
        )
        for values, style in lines:
            axes.plot(dates, np.concatenate([before[1], values]), **style)
        axes.axvline(dates[0], color="0.6", linewidth=0.8)
        locator = AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.set_title(label(panel.title), fontsize=9)
        axes.grid(alpha=0.3)
        axes.margins(x=0.01)
    for axes in every[len(panels) :]:
        axes.axis("off")
    handles, labels = every[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


def calibration_figure(
    levels: Sequence[float], shares: Mapping[str, np.ndarray], by_step: Mapping[float, np.ndarray]
) -> Figure:
    """Left: the share of numbers below each quantile, `shares[name] (Q,)`, against the nominal share.

    Right: the share inside each interval by steps ahead, `by_step[nominal] (H,)`, against the nominal share.
    """
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=BLACK, linestyle=":", linewidth=1.2, label="calibrated")
    for index, (name, below) in enumerate(shares.items()):
        left.plot(
            levels, below, marker="o", markersize=4, color=SEED_COLOURS[index % len(SEED_COLOURS)], label=label(name)
        )
    left.set(xlabel="quantile", ylabel="share of numbers below it", xlim=(0, 1), ylim=(0, 1))
    for index, (nominal, inside) in enumerate(by_step.items()):
        colour = (GREEN, BLUE, ORANGE)[index % 3]
        steps = np.arange(1, len(inside) + 1)
        right.plot(steps, inside, marker="o", markersize=3.5, color=colour, label=f"{nominal:.0%} interval")
        right.axhline(nominal, color=colour, linestyle=":", linewidth=1.2)
    right.set(xlabel="steps ahead (dotted: nominal)", ylabel="share of numbers inside", ylim=(0, 1.02))
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.yaxis.set_major_formatter(PercentFormatter(1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    return figure


def loss_curves(training: np.ndarray, validation: np.ndarray, best: np.ndarray, names: Sequence[str]) -> Figure:
    """Losses `(E, S)` of each epoch and seed: training dashed, validation solid, a ring at the best epoch of a seed."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    epochs = np.arange(1, len(training) + 1)
    for row, name in enumerate(names):
        colour = SEED_COLOURS[row % len(SEED_COLOURS)]
        axes.plot(epochs, training[:, row], color=colour, linestyle="--", linewidth=1, alpha=0.7)
        axes.plot(epochs, validation[:, row], color=colour, linewidth=1.4, label=label(name))
        if best[row]:
            ring = {"markersize": 9, "markerfacecolor": "none", "markeredgecolor": colour}
            axes.plot(best[row], validation[best[row] - 1, row], "o", **ring)
    axes.plot([], [], color=BLACK, linewidth=1.4, label="validation")
    axes.plot([], [], color=BLACK, linestyle="--", linewidth=1, label="training")
    axes.plot([], [], "o", markersize=9, markerfacecolor="none", markeredgecolor=BLACK, label="best epoch, kept")
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return figure
