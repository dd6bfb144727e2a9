"""What a study of forecasts draws, and the forecasts beyond the last date that it writes down."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.forecasting.config import Forecast
from experiments.forecasting.parts import Parts
from experiments.forecasting.results import Outcome, day
from experiments.forecasting.scores import INTERVALS, covered
from experiments.forecasting.training import Epoch, forecasts
from rnnjax.analysis.forecast_plots import ForecastPanel, calibration_figure, forecast_figure, loss_curves
from rnnjax.commands import printable
from rnnjax.data.windows import Windows, joined, undone
from rnnjax.forecasting import LEVELS

MOST_PANELS = 6


def figures(config: Forecast, parts: Parts, outcome: Outcome, epochs: Sequence[Epoch]) -> dict[str, Figure]:
    """Every figure by its name; no calibration where nothing was said of it."""
    names = [f"seed {config.seed + i}" for i in range(config.seeds)]
    drawn = {
        "forecast": _forecast(config, parts, outcome),
        "learning_curves": loss_curves(
            np.stack([epoch.training for epoch in epochs]),
            np.stack([epoch.validation for epoch in epochs]),
            epochs[-1].best,
            names,
        ),
    }
    if config.head != "point":
        below = (outcome.actual[..., None] <= outcome.quantiles).mean(axis=(1, 2))
        inside = [share.mean(axis=(0, 1)) for share in covered(outcome.quantiles, outcome.actual)]
        drawn["calibration"] = calibration_figure(
            LEVELS, dict(zip(names, below, strict=True)), dict(zip(INTERVALS, inside, strict=True))
        )
    return drawn


def _forecast(config: Forecast, parts: Parts, outcome: Outcome) -> Figure:
    """Of each of the first series, the last window of the test part."""
    best = outcome.comparison.baseline
    panels = []
    for number, one in enumerate(parts.scaled[:MOST_PANELS]):
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
                outcome.quantiles.mean(axis=0)[row],
                outcome.baselines[best][row],
            )
        )
    return forecast_figure(panels, LEVELS, f"{config.name}, mean of {config.seeds} seeds", best)


def write_future(path: Path, config: Forecast, parts: Parts, params: Any, read: Callable[[Windows], Windows]) -> None:
    """A CSV file of the steps after each series' last date: quantiles, the mean of all seeds' parameters `(S, ...)`.

    `read` makes of windows what the network was trained on.
    """
    ends = [one.windows(np.array([len(one.series.values)]), number) for number, one in enumerate(parts.scaled)]
    windows = read(joined(ends))
    scaled = forecasts(config, params, windows)
    quantiles = np.mean([undone(own, windows, parts.windowing.log) for own in scaled], axis=0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["series", "date", *LEVELS])
        for one, rows in zip(parts.scaled, quantiles, strict=True):
            for date, row in zip(one.dates[len(one.series.values) :], rows, strict=True):
                writer.writerow([one.series.name, day(date), *(f"{value:.6g}" for value in row)])
