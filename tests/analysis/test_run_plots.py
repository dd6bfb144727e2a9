"""The figure that compares runs holds their numbers, each run in its own colour."""

from typing import Any

import numpy as np
import pytest

from rnnjax.analysis import RunCurves, comparison_figure
from rnnjax.analysis.run_plots import COLOURS, Panel, smooth

STEPS = np.arange(1.0, 301)


def noisy(seed, offset=0.0):
    return np.stack([STEPS, offset + np.random.default_rng(seed).random(300)], axis=1)


PANELS = (
    Panel("training loss", "step", noisy=True),
    Panel("validation accuracy", "epoch", best=np.argmax),
    Panel("gradient norm", "step", noisy=True, logarithmic=True),
)
SCORES = np.array([(1, 0.5), (2, 0.9), (3, 0.8)])
RUNS = [
    RunCurves("A", "first", {"training loss": noisy(0), "validation accuracy": SCORES}),
    RunCurves("B", "second", {"training loss": noisy(1, 2), "gradient norm": noisy(2, 1)}),
]


def test_each_measure_has_a_panel_and_each_run_its_colour():
    figure = comparison_figure(RUNS, PANELS)
    panels: dict[str, Any] = {axes.get_ylabel(): axes for axes in figure.axes if axes.axison}
    assert list(panels) == ["training loss", "validation accuracy", "gradient norm"]
    every, mean, other, _ = panels["training loss"].lines
    np.testing.assert_array_equal(every.get_xydata(), noisy(0))
    np.testing.assert_allclose(mean.get_xydata(), smooth(noisy(0), 6))
    assert (mean.get_color(), other.get_color()) == COLOURS[:2]
    scores, ring = panels["validation accuracy"].lines
    np.testing.assert_array_equal(scores.get_xydata(), SCORES)
    np.testing.assert_array_equal(ring.get_xydata(), [(2, 0.9)])
    _, mean = panels["gradient norm"].lines
    assert panels["gradient norm"].get_yscale() == "log"
    assert mean.get_color() == COLOURS[1]
    assert [axes.get_xlabel() for axes in panels.values()] == ["step", "epoch", "step"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A  first", "B  second"]


def test_marks_stand_at_the_ends_of_curves_and_do_not_touch():
    level = [RunCurves(mark, mark, {"validation accuracy": np.array([(1, 0.5), (2, 0.9)])}) for mark in "ABCDEFGH"]
    figure = comparison_figure(level, PANELS)
    marks: Any = figure.axes[0].texts
    assert "".join(mark.get_text() for mark in marks) == "ABCDEFGH"
    assert {mark.xy for mark in marks} == {(2, 0.9)}
    heights = sorted(mark.get_position()[1] for mark in marks)
    assert np.diff(heights).min() >= 10


def test_smoothing_is_the_mean_of_windows_that_end_at_the_last_point():
    points = np.stack([STEPS, STEPS**2], axis=1)
    means = smooth(points, 30)
    assert means[-1, 0] == 300
    for step, mean in means:
        np.testing.assert_allclose(mean, np.mean(np.arange(step - 29, step + 1) ** 2))
    np.testing.assert_array_equal(smooth(points, 1), points)
    assert len(means) == 91
    geometric = smooth(points, 2, geometric=True)
    np.testing.assert_allclose(geometric[:, 1], (geometric[:, 0] - 1) * geometric[:, 0])


def test_wild_batches_do_not_press_all_else_together():
    points = noisy(0)
    points[40, 1] = 1e9
    axes: Any = comparison_figure([RunCurves("A", "a", {"gradient norm": points})], PANELS).axes[0]
    assert axes.get_ylim()[1] < 1e3
    points[41, 1] = 0.0  # which a logarithmic axis could not show
    axes = comparison_figure([RunCurves("A", "a", {"gradient norm": points})], PANELS).axes[0]
    assert axes.get_yscale() == "linear"


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="runs: expected 1 to 8, got 0"):
        comparison_figure([], PANELS)
    with pytest.raises(ValueError, match="runs: expected 1 to 8, got 18"):
        comparison_figure(RUNS * 9, PANELS)
    with pytest.raises(ValueError, match="runs: expected steps or epochs in the metrics of at least one, found none"):
        comparison_figure([RunCurves("A", "a", {"training loss": np.empty((0, 2))})], PANELS)
