"""The figure of several seeds of the same training, compared with chance and a known solution."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.labels import SHORT, label
from rnnjax.analysis.plots import BLACK
from rnnjax.analysis.run_plots import COLOURS
from rnnjax.extras import extra

with extra("plots"):
    from matplotlib.figure import Figure


class SeedCurve(NamedTuple):
    """The evaluations of one seed; `solved` and `diverged` are the update at which that happened, if it did."""

    label: str
    updates: np.ndarray
    losses: np.ndarray
    scores: np.ndarray
    solved: int | None = None
    diverged: int | None = None


class Panel(NamedTuple):
    """The axis label of a panel, and horizontal lines by name."""

    name: str
    levels: Mapping[str, float]


def seed_curves(title: str, curves: Sequence[SeedCurve], loss: Panel, score: Panel) -> Figure:
    """Loss (logarithmic) and score against updates: one line per seed, with a ring where it solved the task.

    A cross at the top marks where a seed diverged.
    """
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    figure.suptitle(label(title), fontsize=10)
    panels = figure.subplots(1, 2)
    for axes, panel in zip(panels, (loss, score), strict=True):
        for style, (name, level) in zip((":", "--", "-."), panel.levels.items(), strict=False):
            axes.axhline(level, color=BLACK, linewidth=0.9, linestyle=style, label=label(f"{name} ({level:.3g})"))
        axes.set(xlabel="updates", ylabel=label(panel.name, SHORT))
        axes.grid(alpha=0.3)
    for index, curve in enumerate(curves):
        colour = COLOURS[index % len(COLOURS)]
        for axes, values in zip(panels, (curve.losses, curve.scores), strict=True):
            axes.plot(curve.updates, values, color=colour, linewidth=1.3, label=label(curve.label))
            if curve.solved is not None:
                at = np.searchsorted(curve.updates, curve.solved)
                ring = {"markersize": 9, "markerfacecolor": "none", "markeredgecolor": colour}
                axes.plot(curve.solved, values[at], "o", **ring)
            if curve.diverged is not None:
                place = {"transform": axes.get_xaxis_transform(), "clip_on": False}
                axes.plot(curve.diverged, 1, "X", color=colour, markersize=7, **place)
    panels[0].set_yscale("log")
    panels[1].set_ylim(-0.03, 1.03)
    few = len(curves) + 2 <= len(COLOURS)
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        shown = len(handles) if few else len(handles) - len(curves)
        axes.legend(handles[:shown], labels[:shown], frameon=False, fontsize=8)
    return figure
