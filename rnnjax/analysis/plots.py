"""Figures of a training run, in the colours of Okabe and Ito, which colour-blind readers can distinguish."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnjax.analysis.labels import SHORT, label
from rnnjax.class_scores import Reliability
from rnnjax.extras import extra

with extra("plots"):
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

BLUE, ORANGE, BLACK = "#0072B2", "#D55E00", "#000000"
# Limits of a confusion matrix, in classes: of numbers in its cells, of names on its axes, and of its growth.
NUMBERED, NAMED, LARGEST = 30, 60, 16


class Curve(NamedTuple):
    """A metric of every training step, and of validation after some of the steps."""

    name: str
    steps: Sequence[float]
    validation_steps: Sequence[int]
    validation: Sequence[float]


def learning_curves(curves: Sequence[Curve]) -> Figure:
    """Metrics against steps, one panel each: the running mean of the training batches, and validation per epoch.

    A perplexity has a logarithmic axis. Raises ValueError for no curve.
    """
    if not curves:
        raise ValueError("curves: expected at least one, got none")
    figure = Figure(figsize=(max(4.6, 4 * len(curves)), 3.6), layout="constrained")
    for axes, curve in zip(figure.subplots(1, len(curves), squeeze=False).ravel(), curves, strict=True):
        steps = curve.steps
        window = max(1, len(steps) // 50)
        mean = np.convolve(steps, np.ones(window) / window, mode="valid")
        words = f"training, mean of {window} steps" if window > 1 else "training"
        axes.plot(np.arange(1, len(steps) + 1), steps, color=BLUE, alpha=0.15, linewidth=0.8)
        axes.plot(np.arange(window, len(steps) + 1), mean, color=BLUE, label=words)
        axes.plot(
            curve.validation_steps, curve.validation, color=ORANGE, marker="o", linestyle="--", label="validation"
        )
        axes.set(xlabel="step", ylabel=label(curve.name.replace("_", " "), SHORT))
        if curve.name == "perplexity":
            axes.set_yscale("log")
            # Plain numbers instead of powers of ten.
            axes.yaxis.set_major_formatter(LogFormatter())
            axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def confusion_matrix(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Counts of true class (rows) against predicted class (columns), shaded by the share within the row.

    Cells have numbers for at most `NUMBERED` classes, and classes have names for at most `NAMED`. The figure grows with
    the number of classes up to `LARGEST` only.
    """
    size = len(classes)
    side = min(size, LARGEST)
    figure = Figure(figsize=(max(4.2, 1.2 + 0.7 * side), max(3.6, 0.8 + 0.6 * side)), layout="constrained")
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if size <= NUMBERED:
        for (true, predicted), count in np.ndenumerate(counts):
            colour = "white" if share[true, predicted] > 0.5 else "black"
            text = f"{count:,}\n{share[true, predicted]:.1%}"
            axes.text(predicted, true, text, ha="center", va="center", color=colour, fontsize=10 * side / size)
    if size <= NAMED:
        names = [label(name, SHORT) for name in classes]
        font = min(10.0, 400 / size)
        # Names that are wider than a column are written upwards.
        upright = max(map(len, names)) > 8 or size > LARGEST
        axes.set_xticks(range(size), names, fontsize=font, rotation=90 if upright else 0)
        axes.set_yticks(range(size), names, fontsize=font)
    number = "" if size <= NAMED else ", by its number from 0"
    axes.set(xlabel=f"predicted class{number}", ylabel=f"true class{number}")
    figure.colorbar(image, label="share of the true class")
    return figure


def reliability_figure(found: Reliability) -> Figure:
    """Accuracy against confidence, by bin, and the share of the rows in each bin below.

    A calibrated classifier is on the diagonal. Source: Niculescu-Mizil and Caruana 2005, "Predicting Good Probabilities
    with Supervised Learning".
    """
    figure = Figure(figsize=(4.6, 5), layout="constrained")
    curve, share = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bins, filled = len(found.rows), found.rows > 0
    left = np.arange(bins) / bins
    options = {"width": 1 / bins, "align": "edge", "edgecolor": "white", "color": BLUE}
    curve.bar(left[filled], found.accuracy[filled], alpha=0.35, **options)
    curve.plot([0, 1], [0, 1], color=BLACK, linestyle=":", label="calibrated")
    curve.plot(found.confidence[filled], found.accuracy[filled], color=ORANGE, marker="o", label="mean of a bin")
    curve.set(xlim=(0, 1), ylim=(0, 1.03), ylabel="accuracy")
    curve.set_title(f"expected calibration error {found.error:.4f}", fontsize=11)
    curve.grid(alpha=0.3)
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    share.bar(left, found.rows / found.rows.sum(), alpha=0.8, **options)
    share.set(xlabel="confidence: probability of the predicted class", ylabel="share of rows")
    return figure


def length_histogram(lengths: np.ndarray, longest: int, widths: Sequence[int]) -> Figure:
    """A histogram of sequence lengths, with the length at which they are cut and the batch widths."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    shown = np.quantile(lengths, 0.995)
    axes.hist(lengths[lengths <= shown], bins=80, color=BLUE, alpha=0.8)
    for i, width in enumerate(widths):
        words = "batch widths" if i == 0 else None
        axes.axvline(width, color=BLACK, linestyle=":", linewidth=1.4, label=words)
    cut = np.mean(lengths > longest)
    axes.axvline(longest, color=ORANGE, linestyle="--", label=f"cap {longest}: {cut:.1%} are cut")
    axes.set(xlabel="words per text (the longest 0.5% not shown)", ylabel="texts")
    axes.legend(frameon=False)
    return figure


def fold_accuracies(names: Sequence[str], accuracies: Sequence[np.ndarray]) -> Figure:
    """The accuracy of each model in every fold of a cross-validation as a dot, and its mean as a line."""
    figure = Figure(figsize=(8, 1.2 + 0.6 * len(names)), layout="constrained")
    axes = figure.subplots()
    for row, values in enumerate(accuracies):
        # Equal folds are drawn one above the other.
        _, ranks = np.unique(values, return_inverse=True)
        heights = [np.sum(ranks[:i] == rank) for i, rank in enumerate(ranks)]
        axes.plot(values, row - 0.08 * np.array(heights), "o", color=BLUE, alpha=0.7, markersize=6)
        words = "mean of the folds" if row == 0 else None
        axes.plot([np.mean(values)] * 2, [row - 0.35, row + 0.25], color=ORANGE, linewidth=2.5, label=words)
        axes.annotate(f"{np.mean(values):.3f}", (np.mean(values), row + 0.27), ha="center", va="top", color=ORANGE)
    axes.set_yticks(range(len(names)), [label(name, SHORT) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set(xlabel="accuracy (one dot per fold)")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(frameon=False, loc="outside upper right")
    return figure
