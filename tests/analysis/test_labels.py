"""Names of the user's in figures: text is text, and each figure can be drawn with any."""

import inspect
import io
from typing import Any

import matplotlib.text
import numpy as np
import pytest

import rnnjax.analysis
from rnnjax.analysis import (
    ablation_plots,
    forecast_plots,
    gradient_flow_plots,
    plots,
    run_plots,
    seed_plots,
    text_plots,
)
from rnnjax.analysis.labels import LONGEST, SHORT, label

MODULES = (ablation_plots, forecast_plots, gradient_flow_plots, plots, run_plots, seed_plots, text_plots)
STEPS = np.arange(3.0)
RISING = np.array([[1, 0.5], [2, 0.9]])
DATES = np.arange("2020-01-01", "2020-01-07", dtype="datetime64[D]")


def forecast(name: str) -> Any:
    panel = forecast_plots.ForecastPanel(name, DATES[:3], STEPS, DATES[3:], STEPS, np.ones((3, 3)), STEPS)
    return forecast_plots.forecast_figure([panel], (0.1, 0.5, 0.9), name, name)


def seeds(name: str) -> Any:
    curve = seed_plots.SeedCurve(name, STEPS + 1, STEPS + 1, STEPS / 3)
    return seed_plots.seed_curves(name, [curve], *(seed_plots.Panel(name, {name: 0.5}) for _ in range(2)))


def flows(name: str) -> Any:
    flow = gradient_flow_plots.FlowCurves(name, {1.0: -STEPS}, {1.0: -STEPS})
    training = gradient_flow_plots.ClippingCurves(name, 1.0, (STEPS + 1, STEPS + 1), (STEPS + 1, STEPS + 1))
    return gradient_flow_plots.gradient_flow_figure([flow], [training])


# Each is drawn with one name wherever a user gives one; None where a user gives none.
FIGURES: dict[str, Any] = {
    "learning_curves": lambda name: plots.learning_curves([plots.Curve(name, [1.0, 2.0], [1], [1.0])]),
    "length_histogram": None,
    "reliability_figure": None,
    "confusion_matrix": lambda name: plots.confusion_matrix(np.eye(2), (name, name)),
    "fold_accuracies": lambda name: plots.fold_accuracies([name], [STEPS / 3]),
    "forecast_figure": forecast,
    "calibration_figure": lambda name: forecast_plots.calibration_figure(
        [0.1, 0.5, 0.9], {name: STEPS / 3}, {0.8: STEPS / 3}
    ),
    "loss_curves": lambda name: forecast_plots.loss_curves(np.ones((3, 1)), np.ones((3, 1)), np.zeros(1, int), [name]),
    "verdict_figure": lambda name: text_plots.verdict_figure([name] * 2, np.array([0.2, 0.9]), name),
    "surprisal_figure": lambda name: text_plots.surprisal_figure([name] * 2, np.array([2.0, 5.0]), 3.0),
    "step_figure": lambda name: text_plots.step_figure([name] * 2, {"hidden": np.eye(2), name: np.eye(2)}, name),
    "comparison_figure": lambda name: run_plots.comparison_figure(
        [run_plots.RunCurves("A", name, {name: RISING})], [run_plots.Panel(name, "epoch")]
    ),
    "curve_figure": lambda name: ablation_plots.curve_figure(
        [ablation_plots.Group(name, [ablation_plots.MeanCurve(name, [([1, 2], [0.1, 0.2])])])], name
    ),
    "interval_figure": lambda name: ablation_plots.interval_figure(
        [ablation_plots.Group(name, [ablation_plots.Interval(name, [0.1, 0.2], low=0.1, high=0.2)])], name
    ),
    "seed_curves": seeds,
    "gradient_flow_figure": flows,
}
NAMES = ("$1_$2", "\x1b[31mred\x07", r"\$\frac{$", "$", "a$b$c", "_hidden", "50%_\\", "two\nlines", "\ud800", "x" * 500)


def test_every_figure_is_in_the_table():
    figures = {
        name
        for module in MODULES
        for name, value in inspect.getmembers(module, inspect.isfunction)
        if value.__module__ == module.__name__
        and not name.startswith("_")
        and inspect.signature(value).return_annotation is plots.Figure
    }
    assert figures == FIGURES.keys()
    assert {name for name in vars(rnnjax.analysis) if name.endswith("_figure")} <= figures


# A small figure of long names is drawn without its layout.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:constrained_layout not applied:UserWarning")
@pytest.mark.parametrize("figure", [name for name, draw in FIGURES.items() if draw])
@pytest.mark.parametrize("names", [NAMES[:2], NAMES[2:]], ids=["few", "rest"])
def test_each_figure_can_be_drawn_with_any_name(figure, names):
    for name in names:
        drawn = FIGURES[figure](name)
        drawn.savefig(io.BytesIO(), dpi=40)
        texts = [text.get_text() for text in drawn.findobj(matplotlib.text.Text)]
        wanted = label(name, SHORT).strip("\u200b…")
        # Names of metrics have spaces in place of underscores.
        assert any(words in text for text in texts for words in (wanted, wanted.replace("_", " "))), name
        assert not any(character in text for text in texts for character in "\x1b\x07\ud800")


def test_a_label_is_what_was_given():
    figure = plots.Figure()
    axes = figure.subplots()
    for name in ("$1$", "a$b", r"\$c\$", r"\\$x$"):
        shown, same = axes.set_title(label(name)), axes.text(0, 0, name, parse_math=False)
        same.set(fontproperties=shown.get_fontproperties())
        figure.draw_without_rendering()
        assert shown.get_window_extent().width == pytest.approx(same.get_window_extent().width), name
    assert label("x" * 500) == "x" * (LONGEST - 1) + "…"
    assert label("_a").endswith("_a")
    assert not label("_a").startswith("_")
    axes.plot([1], label=label("_a"))
    assert len(axes.get_legend_handles_labels()[1]) == 1
