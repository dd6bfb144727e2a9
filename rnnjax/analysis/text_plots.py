"""Figures over the words of a text: probabilities or surprisals of each word, and the gates of a cell at each word.

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
SURPRISALS = LinearSegmentedColormap.from_list("surprisals", ["white", ORANGE])
# The maximum number of words written under an axis.
LABELLED = 40
TURNS = 5


def turning_words(verdicts: np.ndarray, count: int, apart: int = 1) -> np.ndarray:
    """The indices of the words after which the probability changed most, sorted, at least `apart` from each other.

    The change of the first word is counted from 0.5.
    """
    return _largest(np.abs(np.diff(verdicts, prepend=0.5)), count, apart)


def _largest(values: np.ndarray, count: int, apart: int) -> np.ndarray:
    """The indices of the largest values, sorted, at least `apart` from each other."""
    chosen: list[int] = []
    for step in np.argsort(-values, kind="stable"):
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
    _label_words(axes, words if few else None, "word read" if few else "word number")
    axes.set(ylim=(-0.06, 1.06), ylabel=f"probability of {label(positive, SHORT)}")
    _name_words(axes, words, turning_words(verdicts, TURNS, apart=_apart(words)))
    figure.colorbar(shown, label=f"probability of {label(positive, SHORT)}", ticks=[0, 0.5, 1])
    return figure


def surprisal_figure(words: Sequence[str], bits: np.ndarray, chance: float, unit: str = "word") -> Figure:
    """The surprisal `(T,)` of each word in bits as a bar, their mean, and the words with the largest.

    `chance` is the surprisal of every word under equal probabilities, `unit` the name of what the words are. A NaN has
    no bar. Raises ValueError unless there is one surprisal per word, and at least one that is a number.
    """
    bits = np.asarray(bits, np.float64)
    if bits.shape != (len(words),) or not np.isfinite(bits).any():
        raise ValueError(f"bits: expected one for each of {len(words)} words, at least one number, got {bits.shape}")
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    few = len(words) <= LABELLED
    colours = SURPRISALS(np.nan_to_num(bits) / chance)
    edges = {"edgecolor": BLACK, "linewidth": 0.6 if few else 0.2}
    axes.bar(np.arange(len(words)), np.nan_to_num(bits), width=0.8 if few else 1.0, color=colours, **edges)
    mean = float(np.nanmean(bits))
    axes.axhline(mean, color=BLUE, linewidth=1.2, linestyle="--", label=f"mean {mean:.2f} bits")
    axes.axhline(chance, color="0.5", linewidth=0.8, linestyle=":", label=f"equal probabilities {chance:.2f} bits")
    _label_words(axes, words if few else None, unit if few else f"{unit} number")
    axes.set(xlim=(-0.6, len(words) - 0.4), ylabel="surprisal in bits")
    _name_words(axes, words, _largest(np.nan_to_num(bits), TURNS, _apart(words)))
    figure.legend(frameon=False, ncols=2, loc="outside lower right")
    return figure


def step_figure(words: Sequence[str], trace: Mapping[str, np.ndarray], title: str = "", unit: str = "word") -> Figure:
    """Heat maps of every gate and state `(T, H)` over the words, one panel each.

    Units are sorted by `hidden` at the last word; those of an array with a different size are not sorted. `unit` is the
    name of what the words are. Raises ValueError unless there is one step per word, and at least one word.
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
    few = len(words) <= LABELLED
    _label_words(panels[-1], words if few else None, f"{unit} read" if few else f"{unit} number")
    if title:
        figure.suptitle(label(title), fontsize=11)
    return figure


def _label_words(axes: Axes, words: Sequence[str] | None, title: str) -> None:
    axes.set_xlabel(title)
    if words is None:
        return
    size = 10 if len(words) <= LABELLED // 2 else 8
    shown = [label(word, SHORT) for word in words]
    axes.set_xticks(range(len(words)), shown, rotation=60, ha="right", rotation_mode="anchor", fontsize=size)


def _apart(words: Sequence[str]) -> int:
    """How far apart named words must be, so that their names do not overlap."""
    return 1 if len(words) <= LABELLED else len(words) // 15


def _name_words(axes: Axes, words: Sequence[str], steps: np.ndarray) -> None:
    """Names some of the words: in bold where all are written, otherwise above the axes, where nothing is drawn."""
    if len(words) <= LABELLED:
        for step in steps:
            axes.get_xticklabels()[step].set_weight("bold")
        return
    style = {"rotation": 45, "ha": "left", "va": "bottom", "weight": "bold", "fontsize": 9}
    for step in steps:
        axes.axvline(step, color="0.8", linewidth=0.8, zorder=0)
        axes.text(step, 1.02, label(words[step], SHORT), transform=axes.get_xaxis_transform(), **style)
