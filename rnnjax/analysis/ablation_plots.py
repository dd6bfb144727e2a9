"""Figures of ablations: learning curves with bands, and scores with intervals."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from rnnjax.analysis.labels import SHORT, label
from rnnjax.analysis.plots import BLACK
from rnnjax.analysis.run_plots import COLOURS
from rnnjax.extras import extra

with extra("plots"):
    from matplotlib.figure import Figure

Member = TypeVar("Member")
COLUMNS = 2
# Maximum number of curves in a panel, without the base: more could not be distinguished.
MOST_CURVES = 5


class MeanCurve(NamedTuple):
    """The seeds of a variant, each with its steps and scores."""

    name: str
    seeds: Sequence[tuple[Sequence[int], Sequence[float]]]


class Interval(NamedTuple):
    """The scores of a variant, one per seed, and the confidence interval of their mean, if known."""

    name: str
    scores: Sequence[float]
    low: float | None
    high: float | None


class Group(NamedTuple, Generic[Member]):
    """Variants to compare with each other."""

    title: str
    members: Sequence[Member]


def band(
    seeds: Sequence[tuple[Sequence[int], Sequence[float]]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Steps, and the mean, minimum and maximum score of the seeds at each step.

    A seed that stopped early (because it solved its task or diverged) keeps its last score.
    """
    known = [seed for seed in seeds if len(seed[0])]
    if not known:
        return np.empty(0), np.empty(0), np.empty(0), np.empty(0)
    steps = np.unique(np.concatenate([np.asarray(seed[0]) for seed in known]))
    first = max(seed[0][0] for seed in known)
    steps = steps[steps >= first]
    values = np.stack([np.asarray(scores)[np.searchsorted(at, steps, side="right") - 1] for at, scores in known])
    return steps, values.mean(axis=0), values.min(axis=0), values.max(axis=0)


def curve_figure(groups: Sequence[Group[MeanCurve]], score: str) -> Figure:
    """The mean over the seeds of each variant, with a band from the minimum to the maximum.

    A group has one panel, or more if it has many variants; its first variant, in black, is in each of them.
    """
    panels = [part for group in groups for part in _panels(group)]
    rows, columns = -(-len(panels) // COLUMNS), min(COLUMNS, len(panels))
    figure = Figure(figsize=(6.4 * columns, 3.2 * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for number, (axes, group) in enumerate(zip(places, panels, strict=False)):
        if number and panels[number - 1].members[0] is group.members[0]:
            axes.sharex(places[number - 1])
            axes.sharey(places[number - 1])
        for index, curve in enumerate(group.members):
            steps, mean, low, high = band(curve.seeds)
            colour = COLOURS[index - 1] if index else BLACK
            axes.plot(steps, mean, color=colour, linewidth=1.4, label=label(curve.name))
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set(xlabel="steps", ylabel=label(score, SHORT))
        axes.set_title(label(group.title), fontsize=9)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for axes in places[len(panels) :]:
        axes.axis("off")
    return figure


def _panels(group: Group[MeanCurve]) -> list[Group[MeanCurve]]:
    first, *others = group.members
    count = max(-(-len(others) // MOST_CURVES), 1)
    size = -(-len(others) // count)  # an equal number in each, except the last
    return [
        Group(
            group.title if count == 1 else f"{group.title} ({number + 1} of {count})",
            [first, *others[number * size : (number + 1) * size]],
        )
        for number in range(count)
    ]


def interval_figure(groups: Sequence[Group[Interval]], score: str) -> Figure:
    """One row per variant, by group: the score of each seed, their mean, and the interval of the mean.

    A vertical line through the group marks the mean of its first variant, the base.
    """
    every = [member for group in groups for member in group.members]
    figure = Figure(figsize=(7.5, 1.2 + 0.28 * len(every)), layout="constrained")
    axes = figure.subplots()
    place = 0
    for index, group in enumerate(groups):
        colour = COLOURS[index % len(COLOURS)]
        top = place
        for member in group.members:
            if len(member.scores):
                axes.plot(member.scores, [place] * len(member.scores), "o", color=colour, alpha=0.35, markersize=4)
                axes.plot(np.mean(member.scores), place, "D", color=colour, markersize=5)
            else:
                axes.annotate("diverged", (0.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7)
            if member.low is not None and member.high is not None:
                axes.plot([member.low, member.high], [place, place], color=colour, linewidth=2)
            place += 1
        base = group.members[0].scores
        if len(base) and len(group.members) > 1:
            axes.plot([np.mean(base)] * 2, [top - 0.4, place - 0.6], color=BLACK, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(every)), [label(member.name) for member in every], fontsize=7)
    axes.set_ylim(place - 0.4, -0.6)
    axes.set_xlabel(f"{label(score)}: seeds, their mean, and its 95% interval")
    axes.grid(axis="x", alpha=0.3)
    return figure
