"""The figures of a study of forecasts."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.forecast.config import Forecast
from experiments.forecast.data import Parts
from experiments.forecast.results import Outcome, day
from experiments.forecast.scores import INTERVALS, covered
from experiments.forecast.train import Epoch
from rnnjax.analysis.forecast_plots import ForecastPanel, calibration_figure, forecast_figure, loss_curves
from rnnjax.commands import printable
from rnnjax.forecasting import LEVELS

MOST_PANELS = 6


def figures(
    config: Forecast, parts: Parts, outcome: Outcome, epochs: Sequence[Epoch]
) -> dict[str, Callable[[], Figure]]:
    """A function for each figure, by name; there is no calibration figure without intervals."""
    names = [f"seed {config.seed + i}" for i in range(config.seeds)]
    drawn = {
        "forecast": functools.partial(_forecast, config, parts, outcome),
        "learning_curves": functools.partial(
            loss_curves,
            np.stack([epoch.training for epoch in epochs]),
            np.stack([epoch.validation for epoch in epochs]),
            epochs[-1].best,
            names,
        ),
    }
    if outcome.together.coverage is not None:
        below = (outcome.actual[..., None] <= outcome.quantiles).mean(axis=(1, 2))
        inside = [share.mean(axis=(0, 1)) for share in covered(outcome.quantiles, outcome.actual)]
        drawn["calibration"] = functools.partial(
            calibration_figure, LEVELS, dict(zip(names, below, strict=True)), dict(zip(INTERVALS, inside, strict=True))
        )
    return drawn


def _forecast(config: Forecast, parts: Parts, outcome: Outcome) -> Figure:
    """The last window of the test part, for each of the first series."""
    best = outcome.comparison.baseline
    panels = []
    for number in np.unique(parts.test.series)[:MOST_PANELS]:
        one = parts.scaled[number]
        row = int(np.flatnonzero(parts.test.series == number)[-1])
        origin = int(parts.test.origins[row])
        shown = slice(max(0, origin - max(config.context, 2 * config.horizon)), origin)
        dates = one.dates[origin : origin + config.horizon]
        panels.append(
            ForecastPanel(
                f"{printable(one.series.name)}, forecast from {day(dates[0])}",
                one.series.dates[shown],
                one.series.values[shown],
                dates,
                outcome.actual[row],
                outcome.mean[row],
                outcome.baselines[best][row],
            )
        )
    return forecast_figure(panels, LEVELS, f"{config.name}, mean of {config.seeds} seeds", best)
