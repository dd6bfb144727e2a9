"""The forecasts of the trained network, with calibrated intervals."""

from typing import Any, NamedTuple

import numpy as np

from experiments.forecast.config import Forecast
from experiments.forecast.data import Parts
from experiments.forecast.train import forecasts
from rnnjax.conformal import Calibration, adapted_offsets, calibrated, split_conformal
from rnnjax.data.windows import Windows, undone
from rnnjax.forecasting import LEVELS


class Network(NamedTuple):
    """Quantiles in the units of the series, of each of S seeds, and of the mean forecast of all seeds, the last one."""

    test: np.ndarray  # (S + 1, N, H, Q), of the windows of the test part
    plain: np.ndarray  # the same without calibration
    future: np.ndarray  # (S + 1, number of series, H, Q), after the last date


def calibration_of(config: Forecast, parts: Parts, params: Any) -> Calibration | None:
    """The calibration by the validation part, of all series together; None for the intervals of the network."""
    if config.intervals == "network":
        return None
    return split_conformal(
        with_mean(forecasts(config, params, parts.validation)), parts.validation.targets, np.array(LEVELS)
    )


def network_forecasts(config: Forecast, parts: Parts, params: Any, calibration: Calibration | None) -> Network:
    """The forecasts from the parameters `(S, ...)` of all seeds.

    The mean forecast is that of the normalised quantiles: with logarithms, the geometric mean.
    """
    test, last = (with_mean(forecasts(config, params, windows)) for windows in (parts.test, parts.last))
    plain = _undone(test, parts.test, config.log)
    if calibration is not None:
        rate = config.adaptation if config.intervals == "adaptive" else 0
        for number in range(len(parts.scaled)):
            rows, ends = parts.test.series == number, parts.last.series == number
            # The origins of a series follow each other from the test part on.
            quantiles = np.concatenate([test[:, rows], last[:, ends]], axis=1)
            targets = np.concatenate([parts.test.targets[rows], parts.last.targets[ends]])
            offsets = adapted_offsets(calibration, quantiles, targets, np.array(LEVELS), rate)
            moved = calibrated(quantiles, offsets)
            test[:, rows], last[:, ends] = np.split(moved, [rows.sum()], axis=1)
    rows = np.flatnonzero(np.diff(parts.last.series, append=-1))  # the last origin of each series
    future = _undone(last[:, rows], parts.last.take(rows), config.log)
    return Network(_undone(test, parts.test, config.log), plain, future)


def _undone(quantiles: np.ndarray, windows: Windows, log: bool) -> np.ndarray:
    """Normalised quantiles `(M, N, H, Q)` in the units of the series."""
    return np.stack([undone(own, windows, log) for own in quantiles])


def with_mean(quantiles: np.ndarray) -> np.ndarray:
    """Quantiles `(S, ...)` of all seeds, and their mean."""
    return np.concatenate([quantiles, quantiles.mean(axis=0, keepdims=True)]).astype(np.float64)
