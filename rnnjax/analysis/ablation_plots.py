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
# Curves of a panel, its base not counted: with more they cannot be told from each other.
MOST_CURVES = 5


class MeanCurve(NamedTuple):
    """A variant's seeds, each with its steps and scores."""

    name: str
    seeds: Sequence[tuple[Sequence[int], Sequence[float]]]


class Interval(NamedTuple):
    """A variant's scores, one a seed, and the interval of their mean where there is one."""

    name: str
    scores: Sequence[float]
    low: float | None
    high: float | None


class Group(NamedTuple, Generic[Member]):
    """Variants that are compared with each other."""

    title: str
    members: Sequence[Member]


def band(
    seeds: Sequence[tuple[Sequence[int], Sequence[float]]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Steps, and the mean, least and greatest score of the seeds at each.

    A seed that was stopped early (it had solved its task, or diverged) keeps its last score.
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
    """Each variant's mean over its seeds, in a band from the worst to the best of them.

    A group has a panel, or as many as its variants need; its first variant, in black, is in each of them.
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
    size = -(-len(others) // count)  # as many in each as can be
    return [
        Group(
            group.title if count == 1 else f"{group.title} ({number + 1} of {count})",
            [first, *others[number * size : (number + 1) * size]],
        )
        for number in range(count)
    ]


def interval_figure(groups: Sequence[Group[Interval]], score: str) -> Figure:
    """A line a variant: every seed's score, their mean, and the interval of the mean; group by group.

    The group's first variant, its base, is marked by a line down through the group.
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
