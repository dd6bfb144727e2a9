"""Scores of forecasts: errors, scaled errors, coverage of intervals, and comparison with the baselines."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from experiments.forecast.data import Parts
from rnnjax.data.windows import Windows
from rnnjax.forecasting import LEVELS, MEDIAN

# Each interval's nominal coverage, and the indices of the two levels at its ends.
INTERVALS: Mapping[float, tuple[int, int]] = {
    round(LEVELS[-1 - i] - LEVELS[i], 3): (i, len(LEVELS) - 1 - i) for i in reversed(range(MEDIAN))
}
RESAMPLES = 2_000
CONFIDENCE = 0.95


# The part of all levels, from 0 to 1, that is nearest to each of `LEVELS`.
SHARES = np.diff([0, *((np.array(LEVELS[1:]) + LEVELS[:-1]) / 2), 1])


class Scores(NamedTuple):
    """The scores of forecasts at all origins and steps ahead; the last two are None without intervals."""

    mae: float
    rmse: float
    mase: float
    smape: float
    crps: float
    pinball: float
    coverage: tuple[float, ...] | None = None
    width: tuple[float, ...] | None = None  # of each of `INTERVALS`


def naive_errors(parts: Parts, of: Windows) -> np.ndarray:
    """The naive error `(N,)` of the series of each window, in its training part. Raises as `Scaled.check_naive`."""
    for number in np.unique(of.series):
        parts.scaled[number].check_naive()
    return np.array([one.scaling.naive for one in parts.scaled])[of.series]


def score(forecast: np.ndarray, actual: np.ndarray, naive: np.ndarray, quantiles: np.ndarray | None = None) -> Scores:
    """Scores of forecasts `(N, H)`; `naive (N,)` is the naive error of each window's series in the training part.

        MAE = mean |y - f|    RMSE = sqrt(mean (y - f)^2)    MASE = mean |y - f| / naive
        sMAPE = mean 2 |y - f| / (|y| + |f|)                 0 where both are 0
        pinball = mean over levels of max(q (y - f_q), (q - 1)(y - f_q)) / naive
        CRPS = 2 integral over levels q of the pinball loss / naive, as a sum over `LEVELS` weighted by `SHARES`

    Widths are divided by `naive`, too. Without quantiles `(N, H, Q)`, all are equal to the forecast, and the CRPS is
    equal to MASE. Sources: Hyndman and Koehler 2006, "Another look at measures of forecast accuracy" (MASE); Makridakis
    1993, "Accuracy measures: theoretical and practical concerns" (sMAPE); Gneiting and Raftery 2007, "Strictly Proper
    Scoring Rules, Prediction, and Estimation" (CRPS).
    """
    error, size = np.abs(actual - forecast), np.abs(actual) + np.abs(forecast)
    relative = np.divide(2 * error, size, out=np.zeros(error.shape), where=size > 0)
    levels, each = np.array(LEVELS), forecast[..., None] if quantiles is None else quantiles
    over = actual[..., None] - each
    loss = (np.maximum(levels * over, (levels - 1) * over) / naive[:, None, None]).mean(axis=(0, 1))
    return Scores(
        float(error.mean()),
        float(np.sqrt((error**2).mean())),
        float((error / naive[:, None]).mean()),
        float(relative.mean()),
        float(2 * SHARES @ loss),
        float(loss.mean()),
        None if quantiles is None else tuple(float(inside.mean()) for inside in covered(quantiles, actual)),
        None if quantiles is None else tuple(float(width.mean()) for width in widths(quantiles, naive)),
    )


def widths(quantiles: np.ndarray, naive: np.ndarray) -> list[np.ndarray]:
    """The width of each of `INTERVALS`, from quantiles `(N, H, Q)`, divided by the naive error."""
    return [(quantiles[..., high] - quantiles[..., low]) / naive[:, None] for low, high in INTERVALS.values()]


def covered(quantiles: np.ndarray, actual: np.ndarray) -> list[np.ndarray]:
    """For each of `INTERVALS`, whether each value `(...)` is inside, from its quantiles `(..., Q)`."""
    return [(quantiles[..., low] <= actual) & (actual <= quantiles[..., high]) for low, high in INTERVALS.values()]


def by_date(errors: np.ndarray, dates: np.ndarray) -> np.ndarray:
    """The mean of the errors `(N,)` of all windows of each date, in the order of the dates."""
    _, groups = np.unique(dates, return_inverse=True)
    return np.bincount(groups, errors) / np.bincount(groups)


def block_length(origins: int, horizon: int) -> int:
    """Origins in a block: the horizon, within which forecasts overlap, but at most a third of all origins."""
    return max(1, min(horizon, origins // 3))


def block_bootstrap(differences: np.ndarray, block: int, seed: int = 0) -> tuple[float, float]:
    """A block bootstrap interval of the mean of a time series: percentiles over resampled blocks of neighbours.

    Source: Kuensch 1989, "The Jackknife and the Bootstrap for General Stationary Observations".
    """
    count = len(differences)
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, count - block + 1, (RESAMPLES, -(-count // block)))
    rows = (starts[..., None] + np.arange(block)).reshape(RESAMPLES, -1)[:, :count]
    low, high = np.quantile(differences[rows].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


class Comparison(NamedTuple):
    """The comparison of the network with the best baseline: the difference of MASE, with an interval over origins."""

    baseline: str
    network: float
    best: float
    low: float
    high: float
    origins: int  # dates, of one or more series
    block: int

    @property
    def gain(self) -> float:
        """How much lower the MASE of the network is."""
        return self.best - self.network

    def words(self, name: str) -> str:
        """The comparison in words, for a forecast of this name."""
        if self.low > 0:
            verdict = f"YES: {name} beats every baseline; the best of them is the {self.baseline}"
        elif self.high < 0:
            verdict = f"NO: {name} does not beat the best baseline, the {self.baseline}: it is worse"
        else:
            verdict = (
                f"NO: {name} does not beat the best baseline, the {self.baseline}: the difference is not significant"
            )
        better = "lower" if self.gain >= 0 else "higher"
        return (
            f"{verdict}\nMASE {self.network:.3f} against {self.best:.3f}, {abs(self.gain) / self.best:.1%} {better}; "
            f"difference {self.gain:+.3f}, {CONFIDENCE:.0%} interval {self.low:+.3f} to {self.high:+.3f} "
            f"(bootstrap of blocks of {self.block} of {self.origins:,} origins)"
        )


def compare(network: np.ndarray, baselines: Mapping[str, np.ndarray], dates: np.ndarray, horizon: int) -> Comparison:
    """Compares the scaled errors `(N,)` of the network with those of the baseline with the lowest mean, by origin."""
    means = {name: float(errors.mean()) for name, errors in baselines.items()}
    best = min(means, key=lambda name: means[name])
    differences = by_date(baselines[best] - network, dates)
    block = block_length(len(differences), horizon)
    low, high = block_bootstrap(differences, block)
    return Comparison(best, float(network.mean()), means[best], low, high, len(differences), block)
