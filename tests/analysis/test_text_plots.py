"""Figures over the words of a text hold the numbers that they were given, under labelled axes."""

from typing import Any

import numpy as np
import pytest

from rnnjax.analysis import fold_accuracies, step_figure, surprisal_figure, turning_words, verdict_figure

WORDS = ["this", "is", "not", "good"]


def test_turning_words_are_those_of_the_largest_changes_in_their_order():
    np.testing.assert_array_equal(turning_words(np.array([0.5, 0.9, 0.88, 0.1, 0.12]), 2), [1, 3])
    np.testing.assert_array_equal(turning_words(np.array([0.1, 0.2]), 1), [0])
    np.testing.assert_array_equal(turning_words(np.array([0.6]), 3), [0])
    np.testing.assert_array_equal(turning_words(np.array([0.5, 0.9, 0.1, 0.1, 0.3]), 2, apart=2), [2, 4])


def test_a_verdict_figure_shows_every_word_and_its_probability():
    values = np.array([0.5, 0.6, 0.1, 0.3])
    axes: Any = verdict_figure(WORDS, values, "positive").axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.stack([np.arange(4), values], axis=1))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == WORDS
    assert axes.get_ylabel() == "probability of positive"
    bold = [tick.get_text() for tick in axes.get_xticklabels() if tick.get_weight() == "bold"]
    assert "not" in bold


def test_many_words_are_numbered():
    words, values = [f"w{i}" for i in range(100)], np.full(100, 0.5)
    values[20:22], values[60] = [0.9, 0.1], 0.95
    axes: Any = verdict_figure(words, values, "positive").axes[0]
    assert axes.get_xlabel() == "word number"
    assert {"w21", "w60"} <= {text.get_text() for text in axes.texts}
    assert "w20" not in {text.get_text() for text in axes.texts}


def test_a_step_figure_shows_every_gate_over_the_words_in_the_order_of_the_last_hidden():
    random = np.random.default_rng(0)
    trace = {
        "forget": random.random((4, 3)),
        "cell": 5 * random.normal(size=(4, 3)),
        "hidden": random.normal(size=(4, 3)),
    }
    panels: Any = step_figure(WORDS, trace).axes[:3]
    order = np.argsort(-trace["hidden"][-1])
    for axes, (name, values) in zip(panels, trace.items(), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), values[:, order].T)
        assert axes.get_ylabel() == f"{name}\n3 units"
    assert panels[0].images[0].get_clim() == (0, 1)
    assert panels[1].images[0].get_clim() == pytest.approx((-np.abs(trace["cell"]).max(), np.abs(trace["cell"]).max()))
    assert [tick.get_text() for tick in panels[2].get_xticklabels()] == WORDS


def test_a_state_of_another_size_is_shown_whole():
    random = np.random.default_rng(0)
    trace = {"memory": random.random((4, 5)), "hidden": random.normal(size=(4, 3))}
    axes: Any = step_figure(WORDS, trace).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), trace["memory"].T)


def test_a_figure_of_other_lengths_is_an_error():
    with pytest.raises(ValueError, match=r"verdicts: expected one for each of 4 words, at least one, got \(3,\)"):
        verdict_figure(WORDS, np.zeros(3), "positive")
    with pytest.raises(ValueError, match=r"hidden: expected shape \(T, H\) for 4 words, got \(3, 2\)"):
        step_figure(WORDS, {"hidden": np.zeros((3, 2))})


def test_fold_accuracies_show_every_fold_and_the_mean():
    axes: Any = fold_accuracies(["a", "b"], [np.array([0.5, 0.7, 0.5]), np.array([0.8, 0.9, 1.0])]).axes[0]
    first, first_mean, second, second_mean = axes.lines
    np.testing.assert_array_equal(first.get_xdata(), [0.5, 0.7, 0.5])
    np.testing.assert_array_equal(second.get_xdata(), [0.8, 0.9, 1.0])
    np.testing.assert_allclose([first_mean.get_xdata()[0], second_mean.get_xdata()[0]], [1.7 / 3, 0.9])
    assert len({tuple(point) for point in first.get_xydata()}) == 3
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]


def test_a_surprisal_figure_shows_every_word_with_its_bits():
    bits = np.array([np.nan, 2.0, 12.0, 4.0])
    figure = surprisal_figure(WORDS, bits, 8.0, "character")
    axes: Any = figure.axes[0]
    np.testing.assert_array_equal([bar.get_height() for bar in axes.patches], [0, 2, 12, 4])
    mean, chance = (line.get_ydata()[0] for line in axes.lines)
    assert (mean, chance) == (6.0, 8.0)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == WORDS
    assert axes.get_xlabel() == "character"
    # The more surprising, the darker, up to that of equal probabilities.
    reds_to_blues = [bar.get_facecolor()[2] for bar in axes.patches]
    assert reds_to_blues[2] < reds_to_blues[3] < reds_to_blues[1] < 1 == reds_to_blues[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "mean 6.00 bits",
        "equal probabilities 8.00 bits",
    ]


def test_the_most_surprising_of_many_words_are_named():
    words, bits = [f"w{i}" for i in range(100)], np.ones(100)
    bits[20], bits[60:62] = 9.0, [8.0, 7.0]
    axes: Any = surprisal_figure(words, bits, 8.0).axes[0]
    assert axes.get_xlabel() == "word number"
    named = {text.get_text() for text in axes.texts}
    assert {"w20", "w60"} <= named
    assert "w61" not in named


def test_surprisals_of_other_lengths_or_none_are_errors():
    with pytest.raises(ValueError, match=r"bits: expected one for each of 4 words, at least one number, got \(3,\)"):
        surprisal_figure(WORDS, np.zeros(3), 8.0)
    with pytest.raises(ValueError, match=r"bits: expected one for each of 4 words, at least one number, got \(4,\)"):
        surprisal_figure(WORDS, np.full(4, np.nan), 8.0)
