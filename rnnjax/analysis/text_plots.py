"""Figures over the words of a text: what a classifier thinks after each, and what a cell's gates do at each.

Blue for the one side and vermilion for the other are Okabe and Ito's, which colour-blind readers tell apart;
the heat maps are Matplotlib's cividis (shares) and PuOr (signed values), made for them too.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rnnjax.analysis.labels import SHORT, label
from rnnjax.analysis.plots import BLACK, BLUE, ORANGE
from rnnjax.extras import extra

with extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

VERDICTS = LinearSegmentedColormap.from_list("verdicts", [ORANGE, "white", BLUE])
# More words than these are not written under an axis.
LABELLED = 40
TURNS = 5


def turning_words(verdicts: np.ndarray, count: int, apart: int = 1) -> np.ndarray:
    """The words after which the probability changed most, in their order, no two nearer than `apart`.

    The first word changes it from 0.5, where two classes are level.
    """
    changes = np.abs(np.diff(verdicts, prepend=0.5))
    chosen: list[int] = []
    for step in np.argsort(-changes, kind="stable"):
        if len(chosen) < count and all(abs(step - other) >= apart for other in chosen):
            chosen.append(int(step))
    return np.sort(chosen)


def verdict_figure(words: Sequence[str], verdicts: np.ndarray, positive: str) -> Figure:
    """The probability `(T,)` of the class `positive` after each word, and the words that changed it most.

    Raises ValueError where there is not one probability a word, or no word.
    """
    verdicts = np.asarray(verdicts)
    if verdicts.shape != (len(words),) or not len(words):
        raise ValueError(f"verdicts: expected one for each of {len(words)} words, at least one, got {verdicts.shape}")
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    steps = np.arange(len(words))
    axes.axhline(0.5, color="0.5", linewidth=0.8, linestyle=":")
    axes.plot(steps, verdicts, color="0.45", linewidth=1)
    few = len(words) <= LABELLED
    size = 60 if few else 14
    shown = axes.scatter(
        steps, verdicts, c=verdicts, cmap=VERDICTS, vmin=0, vmax=1, s=size, edgecolors=BLACK, linewidths=0.6, zorder=3
    )
    _label_words(axes, words if few else None)
    axes.set(ylim=(-0.06, 1.06), ylabel=f"probability of {label(positive, SHORT)}")
    if few:
        for step in turning_words(verdicts, TURNS):
            axes.get_xticklabels()[step].set_weight("bold")
    else:
        # Over the axes, where no point is, and so far apart that they do not touch.
        for step in turning_words(verdicts, TURNS, apart=len(words) // 15):
            axes.axvline(step, color="0.8", linewidth=0.8, zorder=0)
            axes.text(
                step, 1.08, label(words[step], SHORT), rotation=45, ha="left", va="bottom", weight="bold", fontsize=9
            )
    figure.colorbar(shown, label=f"probability of {label(positive, SHORT)}", ticks=[0, 0.5, 1])
    return figure


def step_figure(words: Sequence[str], trace: Mapping[str, np.ndarray], title: str = "") -> Figure:
    """Heat maps of every gate and state `(T, H)` over the words, a panel each.

    The units stand in the order of what `hidden` is at the last word, those of a state of another size as they
    come. Raises ValueError where a trace has not one step a word, or there is no word.
    """
    for name, values in trace.items():
        if values.ndim != 2 or len(values) != len(words) or not len(words):
            raise ValueError(f"{name}: expected shape (T, H) for {len(words)} words, got {values.shape}")
    ranks = np.argsort(-np.nan_to_num(trace["hidden"][-1]), kind="stable")
    figure = Figure(figsize=(8, 1.1 + 1.2 * len(trace)), layout="constrained")
    panels = figure.subplots(len(trace), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(panels, trace.items(), strict=True):
        units = values.shape[1]
        order = ranks if units == len(ranks) else np.arange(units)
        share = np.nanmin(values) >= 0 and np.nanmax(values) <= 1
        limit = 1 if share else max(float(np.nanmax(np.abs(values))), 1e-6)
        image = axes.imshow(
            values[:, order].T,
            aspect="auto",
            interpolation="nearest",
            cmap="cividis" if share else "PuOr",
            vmin=0 if share else -limit,
            vmax=limit,
        )
        axes.set_ylabel(f"{label(name, SHORT)}\n{units} units")
        axes.set_yticks([])
        figure.colorbar(image, ax=axes, pad=0.01, label="share" if share else "value")
    _label_words(panels[-1], words if len(words) <= LABELLED else None)
    if title:
        figure.suptitle(label(title), fontsize=11)
    return figure


def _label_words(axes: Axes, words: Sequence[str] | None) -> None:
    if words is None:
        axes.set_xlabel("word number")
        return
    size = 10 if len(words) <= LABELLED // 2 else 8
    shown = [label(word, SHORT) for word in words]
    axes.set_xticks(range(len(words)), shown, rotation=60, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_xlabel("word read")
