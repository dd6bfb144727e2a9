"""The figure of gradient flow holds the numbers that it was given, under labelled axes."""

import functools
import io
from typing import Any

import matplotlib.colors
import numpy as np
import pytest

from rnnjax.analysis import ClippingCurves, FlowCurves, gradient_flow_figure
from rnnjax.analysis.gradient_flow_plots import STYLES

STEPS = np.arange(4, -1, -1.0)
FLOWS = [
    FlowCurves("one", {0.5: -2 * STEPS, 2.0: 3 * STEPS}, {0.5: -STEPS, 2.0: 4 * STEPS}),
    FlowCurves("two", {0.5: -STEPS, 2.0: np.array([-np.inf, -np.inf, -9, -1, 0])}, {0.5: -STEPS, 2.0: STEPS}),
]
LOST = (np.array([1.0, 1e9, np.nan]), np.array([3.0, 1e5, np.inf]))
KEPT = (np.array([1.0, 0.5, 0.1]), np.array([3.0, 2.0, 0.5]))


@functools.cache
def panels():
    figure: Any = gradient_flow_figure(FLOWS, [ClippingCurves("net", 1.0, LOST, KEPT)])
    # An error here would be a layout that does not fit.
    figure.savefig(io.BytesIO(), dpi=50)
    return figure, figure.axes


def curves(axes):
    return [line for line in axes.lines if line.get_marker() == "None" and len(line.get_ydata()) > 2]


def test_curves_run_from_the_last_step_back():
    _, axes = panels()
    shown = [*(flow.gradients for flow in FLOWS), *(flow.singular_values for flow in FLOWS)]
    for panel, given in zip(axes[:4], shown, strict=True):
        for line, scale in zip(curves(panel), (0.5, 2.0), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), np.arange(5))
            want = np.where(np.isfinite(given[scale]), given[scale], np.nan)
            np.testing.assert_array_equal(line.get_ydata(), want[::-1])
    assert [panel.get_title() for panel in axes[:2]] == ["one", "two"]
    assert "gradient" in axes[0].get_ylabel()
    assert "singular value" in axes[2].get_ylabel()
    assert [panel.get_xlabel() for panel in axes[2:4]] == ["steps back"] * 2


def test_a_curve_ends_in_a_cross_where_it_is_no_longer_finite():
    _, axes = panels()
    crosses = [[line for line in panel.lines if line.get_marker() == "X"] for panel in axes]
    assert [len(found) for found in crosses] == [0, 1, 0, 0, 1, 1]
    np.testing.assert_array_equal(crosses[1][0].get_xydata(), [[2, -9]])
    np.testing.assert_array_equal(crosses[4][0].get_xydata(), [[2, 1e5]])
    # The loss left through the top of its panel before.
    ((update, loss),) = crosses[5][0].get_xydata()
    assert update == 2
    np.testing.assert_allclose(loss, axes[5].get_ylim()[1])


def test_training_shows_norms_and_losses_with_clipping_and_without():
    figure, axes = panels()
    for panel, which, label in ((axes[4], 1, "gradient norm"), (axes[5], 0, "loss (squared error)")):
        unclipped, clipped = curves(panel)
        assert panel.get_ylabel() == label
        assert panel.get_yscale() == "log"
        np.testing.assert_array_equal(unclipped.get_xydata()[:2], [[1, LOST[which][0]], [2, LOST[which][1]]])
        np.testing.assert_array_equal(clipped.get_xydata(), np.stack([[1, 2, 3], KEPT[which]], axis=1))
    assert axes[5].get_xlabel() == "update"
    texts = [[text.get_text() for text in part.legends[0].get_texts()] for part in figure.subfigs]
    assert texts == [["0.5", "2"], ["no clipping", "clipped at norm 1", "no longer finite"]]


def test_lines_differ_in_colour_and_in_style():
    scales = np.linspace(0.5, 2, len(STYLES))
    flow = FlowCurves("net", dict.fromkeys(scales, STEPS), dict.fromkeys(scales, STEPS))
    lines = curves(gradient_flow_figure([flow], []).axes[0])
    assert len({matplotlib.colors.to_hex(line.get_color()) for line in lines}) == len(STYLES)
    more = {float(scale): STEPS for scale in range(1, len(STYLES) + 2)}
    with pytest.raises(ValueError, match="scales: expected at most 7, got 8"):
        gradient_flow_figure([FlowCurves("net", more, more)], [])
