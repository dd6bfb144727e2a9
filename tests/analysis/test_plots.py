"""Figures hold the numbers that they were given, under labelled axes."""

from typing import Any

import numpy as np
import pytest

from rnnjax.analysis import confusion_matrix, learning_curves, length_histogram, reliability_figure
from rnnjax.analysis.plots import Curve
from rnnjax.class_scores import Reliability


def test_learning_curves_hold_steps_and_epochs():
    losses, accuracies = [3.0, 2.0, 1.0, 0.5], [0.1, 0.3, 0.6, 0.8]
    figure = learning_curves(
        [Curve("loss", losses, [2, 4], [2.5, 0.7]), Curve("accuracy", accuracies, [2, 4], [0.2, 0.7])]
    )
    for axes, steps, validation, name in zip(
        figure.axes, (losses, accuracies), ([2.5, 0.7], [0.2, 0.7]), ("loss", "accuracy"), strict=True
    ):
        every, mean, epochs = axes.lines
        np.testing.assert_array_equal(every.get_ydata(), steps)
        np.testing.assert_array_equal(mean.get_xydata(), np.stack([[1, 2, 3, 4], steps], axis=1))
        np.testing.assert_array_equal(epochs.get_xydata(), np.stack([[2, 4], validation], axis=1))
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", name)


def test_a_perplexity_has_a_logarithmic_axis():
    axes: Any = [learning_curves([Curve(name, [9.0, 5.0], [2], [7.0])]).axes[0] for name in ("perplexity", "loss")]
    assert [one.get_yscale() for one in axes] == ["log", "linear"]
    np.testing.assert_allclose(axes[0].lines[1].get_ydata(), [9, 5])
    with pytest.raises(ValueError, match="curves: expected at least one, got none"):
        learning_curves([])


def test_the_running_mean_ends_at_the_step_that_it_covers():
    losses = np.arange(200.0).tolist()
    mean: Any = learning_curves([Curve("loss", losses, [200], [1.0])]).axes[0].lines[1]
    np.testing.assert_allclose(mean.get_xydata()[[0, -1]], [[4, 1.5], [200, 197.5]])


def test_a_confusion_matrix_shows_counts_and_shares():
    counts = np.array([[30, 10], [0, 0]])
    axes: Any = confusion_matrix(counts, ("bad", "good")).axes[0]
    assert [text.get_text() for text in axes.texts] == ["30\n75.0%", "10\n25.0%", "0\n0.0%", "0\n0.0%"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 0]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bad", "good"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


@pytest.mark.parametrize("classes", [3, 30, 31, 60, 61, 100])
def test_a_confusion_matrix_of_many_classes_stays_small(classes):
    counts = np.random.default_rng(classes).integers(0, 9, (classes, classes))
    figure = confusion_matrix(counts, [f"class {number}" for number in range(classes)])
    axes: Any = figure.axes[0]
    assert len(axes.texts) == (classes**2 if classes <= 30 else 0)
    assert (axes.get_yticklabels()[0].get_text() == "class 0") == (classes <= 60)
    assert ("by its number" in axes.get_xlabel()) == (classes > 60)
    assert max(figure.get_size_inches()) < 13
    np.testing.assert_allclose(axes.images[0].get_array(), counts / counts.sum(axis=1, keepdims=True))


def test_a_length_histogram_counts_every_text_and_says_how_many_are_cut():
    lengths = np.repeat([10, 20, 30], [50, 30, 20])
    axes: Any = length_histogram(lengths, 25, (20, 25)).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 100
    assert [line.get_xdata()[0] for line in axes.lines] == [20, 25, 25]
    assert "cap 25: 20.0% are cut" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_reliability_figure_shows_accuracy_and_share_of_the_bins_with_rows():
    found = Reliability(
        np.array([0, 30, 0, 10]), np.array([np.nan, 0.4, np.nan, 0.9]), np.array([np.nan, 0.5, np.nan, 0.8])
    )
    figure: Any = reliability_figure(found)
    curve, share = figure.axes
    diagonal, means = curve.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(means.get_xydata(), [[0.4, 0.5], [0.9, 0.8]])
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in curve.patches] == [
        (0.25, 0.25, 0.5),
        (0.75, 0.25, 0.8),
    ]
    assert [bar.get_height() for bar in share.patches] == [0, 0.75, 0, 0.25]
    # 0.75 * 0.1 + 0.25 * 0.1
    assert curve.get_title() == "expected calibration error 0.1000"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["calibrated", "mean of a bin"]
