"""The figure of gradient flow: vanishing and exploding gradients, and the effect of clipping."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.analysis.labels import label
from rnnjax.analysis.plots import BLACK, BLUE, ORANGE
from rnnjax.extras import extra

with extra("plots"):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, MaxNLocator

# In the order of the scales: from light blue (vanishing) through black to red (exploding).
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#56B4E9", "linestyle": (0, (1, 1)), "linewidth": 1.8},
    {"color": BLUE, "linestyle": "--"},
    {"color": BLACK, "linestyle": "-"},
    {"color": "#E69F00", "linestyle": "-."},
    {"color": ORANGE, "linestyle": "-"},
    {"color": "#CC79A7", "linestyle": (0, (5, 1))},
    {"color": "#009E73", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
)
# log10 of the smallest and largest float32; beyond it, a gradient in plain float32 is 0 or infinite.
FLOAT32 = (-37.9, 38.5)
SHOWN = 48
LOSS_SHOWN = 1e4
LEGEND: dict[str, Any] = {
    "loc": "outside upper center",
    "frameon": False,
    "title_fontproperties": {"weight": "bold", "size": 10},
}
CROSS: dict[str, Any] = {"marker": "X", "markersize": 6, "color": BLACK, "linestyle": "none"}


class FlowCurves(NamedTuple):
    """The curves of one network by recurrent scale: base-10 logarithms, each `(T,)`, in the order of steps."""

    name: str
    gradients: Mapping[float, np.ndarray]
    singular_values: Mapping[float, np.ndarray]


class ClippingCurves(NamedTuple):
    """The training of one network: `(losses, gradient norms before clipping)` by update, without and with clipping."""

    name: str
    clip: float
    unclipped: tuple[np.ndarray, np.ndarray]
    clipped: tuple[np.ndarray, np.ndarray]


def gradient_flow_figure(flows: Sequence[FlowCurves], trainings: Sequence[ClippingCurves]) -> Figure:
    """Gradient norms and singular values against steps back, one column per network; below, training with clipping.

    Raises ValueError for more scales than line styles.
    """
    scales = sorted({scale for flow in flows for scale in flow.gradients})
    if len(scales) > len(STYLES):
        raise ValueError(f"scales: expected at most {len(STYLES)}, got {len(scales)}")
    styles = dict(zip(scales, STYLES, strict=False))
    figure = Figure(figsize=(8, 9.2), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.35, 1), hspace=0.04)
    _draw_flows(parts[0], flows, styles)
    if trainings:
        _draw_trainings(parts[1], trainings)
    return figure


def _draw_flows(figure: SubFigure, flows: Sequence[FlowCurves], styles: Mapping[float, dict[str, Any]]) -> None:
    rows = figure.subplots(2, len(flows), sharex=True, sharey=True, squeeze=False)
    for column, flow in zip(rows.T, flows, strict=True):
        for axes, curves in zip(column, flow[1:], strict=True):
            axes.set_ylim(-SHOWN, SHOWN)
            for scale, log10 in curves.items():
                _draw_curve(axes, log10[::-1], label=f"{scale:g}", **styles[scale])
            for low, high in ((-2 * SHOWN, FLOAT32[0]), (FLOAT32[1], 2 * SHOWN)):
                axes.axhspan(low, high, color="0.9", linewidth=0)
            axes.axhline(-2, color="0.45", linewidth=0.8, linestyle=":")
            axes.set_yticks(range(-40, 41, 20))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"$10^{{{value:g}}}$" if value else "1"))
            axes.xaxis.set_major_locator(MaxNLocator(2, integer=True))
            axes.grid(alpha=0.25)
            axes.margins(x=0)
        column[0].set_title(label(flow.name), fontsize=9)
        column[1].set_xlabel("steps back")
    rows[0, 0].set_ylabel(r"gradient  $|\partial L\,/\,\partial h_t|$")
    rows[1, 0].set_ylabel(r"singular value  $\sigma_{\max}(\partial s_T\,/\,\partial s_t)$")
    for height, words in ((FLOAT32[1], "float32: infinite"), (-5, "dotted: 1%"), (FLOAT32[0], "float32: zero")):
        place = {"transform": rows[0, -1].get_yaxis_transform(), "fontsize": 7.5, "ha": "center"}
        rows[0, -1].text(0.5, height, words, va="bottom" if height > 0 else "top", **place)
    handles, labels = rows[0, 0].get_legend_handles_labels()
    title = "How far a gradient reaches (1 at the last step); recurrent kernel: orthogonal times"
    figure.legend(handles, labels, title=title, ncols=len(labels), handlelength=3, **LEGEND)


def _draw_trainings(figure: SubFigure, trainings: Sequence[ClippingCurves]) -> None:
    panels = figure.subplots(2, len(trainings), sharex=True, sharey="row", squeeze=False)
    styles = ({"color": ORANGE, "linewidth": 1.6}, {"color": BLUE, "linestyle": (0, (4, 1.2)), "linewidth": 1.2})
    for which, (row, name) in enumerate(zip(panels[::-1], ("loss (squared error)", "gradient norm"), strict=True)):
        numbers = np.concatenate([curves[which] for training in trainings for curves in training[2:]])
        numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
        # Diverging losses leave the axes at the top, because the losses that show whether a network learns are far
        # below.
        highest = min(numbers.max(initial=1), LOSS_SHOWN if which == 0 else np.inf)
        row[0].set(yscale="log", ylim=(numbers.min(initial=1) / 2, highest * 3), ylabel=name)
        for axes, training in zip(row, trainings, strict=True):
            names = ("no clipping", f"clipped at norm {training.clip:g}")
            for curves, words, style in zip(training[2:], names, styles, strict=True):
                _draw_curve(axes, curves[which], 1, label=words, **style)
            axes.grid(alpha=0.25)
            if which == 0:
                axes.set_xlabel("update")
            else:
                axes.set_title(label(training.name), fontsize=9)
                axes.axhline(training.clip, color="0.45", linewidth=0.8, linestyle=":")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    cross = Line2D([], [], **CROSS)
    figure.legend([*handles, cross], [*labels, "no longer finite"], title="What clipping does", ncols=3, **LEGEND)


def _draw_curve(axes: Axes, values: np.ndarray, first: int = 0, **style: Any) -> Line2D:
    """A line that ends in a cross if the next value is not finite (including the logarithm of zero)."""
    finite = np.isfinite(values)
    (line,) = axes.plot(np.arange(first, first + len(values)), np.where(finite, values, np.nan), **style)
    lost = int(np.argmin(finite))
    if lost > 0:
        axes.plot(first + lost - 1, np.clip(values[lost - 1], *axes.get_ylim()), clip_on=False, zorder=5, **CROSS)
    return line
