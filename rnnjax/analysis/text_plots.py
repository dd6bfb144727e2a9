"""Figures over the words of a text: class probabilities after each word, and the gates of a cell at each word.

Blue and vermilion are colours of Okabe and Ito; heat maps use Matplotlib's cividis (shares) and PuOr (signed values).
Colour-blind readers can distinguish all of them.
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
# The maximum number of words written under an axis.
LABELLED = 40
TURNS = 5


def turning_words(verdicts: np.ndarray, count: int, apart: int = 1) -> np.ndarray:
    """The indices of the words after which the probability changed most, sorted, at least `apart` from each other.

    The change of the first word is counted from 0.5.
    """
    changes = np.abs(np.diff(verdicts, prepend=0.5))
    chosen: list[int] = []
    for step in np.argsort(-changes, kind="stable"):
        if len(chosen) < count and all(abs(step - other) >= apart for other in chosen):
            chosen.append(int(step))
    return np.sort(chosen)


def verdict_figure(words: Sequence[str], verdicts: np.ndarray, positive: str) -> Figure:
    """The probability `(T,)` of the class `positive` after each word, and the words that changed it most.

    Raises ValueError unless there is one probability per word, and at least one word.
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
        # Above the axes, where there are no points, and far enough apart not to overlap.
        for step in turning_words(verdicts, TURNS, apart=len(words) // 15):
            axes.axvline(step, color="0.8", linewidth=0.8, zorder=0)
            axes.text(
                step, 1.08, label(words[step], SHORT), rotation=45, ha="left", va="bottom", weight="bold", fontsize=9
            )
    figure.colorbar(shown, label=f"probability of {label(positive, SHORT)}", ticks=[0, 0.5, 1])
    return figure


def step_figure(words: Sequence[str], trace: Mapping[str, np.ndarray], title: str = "") -> Figure:
    """Heat maps of every gate and state `(T, H)` over the words, one panel each.

    Units are sorted by `hidden` at the last word; those of an array with a different size are not sorted. Raises
    ValueError unless there is one step per word, and at least one word.
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
