"""Figures of forecasts show the numbers that they were given."""

import numpy as np

from rnnjax.analysis.forecast_plots import ForecastPanel, calibration_figure, forecast_figure, loss_curves
from rnnjax.forecasting import LEVELS, MEDIAN


def panel(title, spread):
    dates = np.datetime64("2001-01-01") + np.arange(8)
    quantiles = np.arange(3.0)[:, None] + spread * np.arange(-3, 4)
    return ForecastPanel(title, dates[:5], np.arange(5.0), dates[5:], np.arange(3.0), quantiles, np.ones(3))


def test_forecasts_go_on_from_the_history():
    figure = forecast_figure([panel("one", 1), panel("two", 0), panel("three", 1)], LEVELS, "net", "drift")
    one, two, _, empty = figure.axes
    assert [axes.get_title() for axes in (one, two)] == ["one", "two"]
    lines = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in one.lines}
    assert lines["history"] == [0, 1, 2, 3, 4]
    assert lines["actual"] == [4, 0, 1, 2]
    assert lines["drift"] == [4, 1, 1, 1]
    assert lines["net"] == [4, *panel("", 1).quantiles[:, MEDIAN]]
    assert [band.get_label() for band in one.collections] == ["95% interval", "80% interval", "50% interval"]
    assert one.collections[0].get_datalim(one.transData).y1 == 5
    assert (len(two.collections), empty.axison) == (0, False)


def test_calibration_beside_what_it_should_be():
    shares = {"seed 0": np.linspace(0, 1, 7)}
    figure = calibration_figure(LEVELS, shares, {0.5: np.array([0.4, 0.6]), 0.8: np.array([0.7, 0.9])})
    left, right = figure.axes
    np.testing.assert_array_equal(np.asarray(left.lines[1].get_xdata()), LEVELS)
    np.testing.assert_array_equal(np.asarray(left.lines[1].get_ydata()), shares["seed 0"])
    assert [np.asarray(line.get_ydata()).tolist() for line in right.lines] == [
        [0.4, 0.6],
        [0.5] * 2,
        [0.7, 0.9],
        [0.8] * 2,
    ]


def test_the_best_epoch_has_a_ring():
    training, validation = np.array([[3.0, 3], [2, 2]]), np.array([[4.0, 4], [5, 3]])
    (axes,) = loss_curves(training, validation, np.array([1, 0]), ["seed 0", "seed 1"]).axes
    rings = [line for line in axes.lines if line.get_marker() == "o" and len(np.asarray(line.get_xdata()))]
    assert [(*np.asarray(line.get_xdata()), *np.asarray(line.get_ydata())) for line in rings] == [(1, 4)]
