"""How good forecasts are: errors beside the naive ones in sample, coverage of intervals, and which is better."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from experiments.forecast.data import Parts
from rnnjax.forecasting import LEVELS, MEDIAN

# Nominal coverage of each interval, and which of the levels are its ends.
INTERVALS: Mapping[float, tuple[int, int]] = {
    round(LEVELS[-1 - i] - LEVELS[i], 3): (i, len(LEVELS) - 1 - i) for i in reversed(range(MEDIAN))
}
RESAMPLES = 2_000
CONFIDENCE = 0.95


class Scores(NamedTuple):
    """Of forecasts at all origins, and all steps ahead; `coverage` only where there are intervals."""

    mae: float
    rmse: float
    mase: float
    coverage: tuple[float, ...] | None = None


def naive_error(values: np.ndarray, season: int) -> float:
    """The mean absolute error of the seasonal naive forecast in these numbers, which are more than a season."""
    return float(np.abs(values[season:] - values[:-season]).mean())


def naive_errors(parts: Parts) -> np.ndarray:
    """Each series' naive error in its training part. Raises ValueError where it is 0: there is no MASE then."""
    errors = [naive_error(one.series.values[: one.ends[0]], parts.windowing.season) for one in parts.scaled]
    for one, error in zip(parts.scaled, errors, strict=True):
        if error == 0:
            raise ValueError(
                f"expected the training part of {one.series.name!r} to differ from season to season, got one that is "
                f"the same every {parts.windowing.season} steps"
            )
    return np.array(errors)


def score(forecast: np.ndarray, actual: np.ndarray, naive: np.ndarray, quantiles: np.ndarray | None = None) -> Scores:
    """Scores of forecasts `(N, H)`; `naive (N,)` is each window's series' naive error in its training part.

        MAE = mean |y - f|    RMSE = sqrt(mean (y - f)^2)    MASE = mean |y - f| / naive

    Source of the last: Hyndman and Koehler 2006, "Another look at measures of forecast accuracy".
    """
    error = np.abs(actual - forecast)
    return Scores(
        float(error.mean()),
        float(np.sqrt((error**2).mean())),
        float((error / naive[:, None]).mean()),
        None if quantiles is None else tuple(float(inside.mean()) for inside in covered(quantiles, actual)),
    )


def covered(quantiles: np.ndarray, actual: np.ndarray) -> list[np.ndarray]:
    """Whether each number is inside each of `INTERVALS`, from quantiles `(..., Q)` of numbers `(...)`."""
    return [(quantiles[..., low] <= actual) & (actual <= quantiles[..., high]) for low, high in INTERVALS.values()]


def by_date(errors: np.ndarray, dates: np.ndarray) -> np.ndarray:
    """The mean of errors `(N,)` of windows over those of one date, in the order of the dates."""
    _, groups = np.unique(dates, return_inverse=True)
    return np.bincount(groups, errors) / np.bincount(groups)


def block_length(origins: int, horizon: int) -> int:
    """Origins of a block: the horizon, over which forecasts have steps in common, but at most a third of them all."""
    return max(1, min(horizon, origins // 3))


def block_bootstrap(differences: np.ndarray, block: int, seed: int = 0) -> tuple[float, float]:
    """An interval of the mean of numbers that stand in time: percentiles over resampled blocks of neighbours.

    Source: Kuensch 1989, "The Jackknife and the Bootstrap for General Stationary Observations".
    """
    count = len(differences)
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, count - block + 1, (RESAMPLES, -(-count // block)))
    rows = (starts[..., None] + np.arange(block)).reshape(RESAMPLES, -1)[:, :count]
    low, high = np.quantile(differences[rows].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


class Comparison(NamedTuple):
    """The network beside the best baseline: how much lower its MASE is, with an interval over origins."""

    baseline: str
    network: float
    best: float
    low: float
    high: float
    origins: int  # dates, of one or more series
    block: int

    @property
    def gain(self) -> float:
        """How much lower."""
        return self.best - self.network

    def words(self, name: str) -> str:
        """Plainly."""
        if self.low > 0:
            verdict = f"YES: {name} beats every baseline; the best of them is the {self.baseline}"
        elif self.high < 0:
            verdict = f"NO: {name} does not beat the best baseline, the {self.baseline}: it is worse"
        else:
            verdict = (
                f"NO: {name} does not beat the best baseline, the {self.baseline}: from these origins the two cannot "
                "be told apart"
            )
        better = "lower" if self.gain >= 0 else "higher"
        return (
            f"{verdict}\nMASE {self.network:.3f} against {self.best:.3f}, {abs(self.gain) / self.best:.1%} {better}; "
            f"difference {self.gain:+.3f}, {CONFIDENCE:.0%} interval {self.low:+.3f} to {self.high:+.3f} "
            f"(bootstrap of blocks of {self.block} of {self.origins:,} origins)"
        )


def compare(network: np.ndarray, baselines: Mapping[str, np.ndarray], dates: np.ndarray, horizon: int) -> Comparison:
    """The network's scaled errors `(N,)` beside those of the baseline whose mean is the lowest, paired by origin."""
    means = {name: float(errors.mean()) for name, errors in baselines.items()}
    best = min(means, key=lambda name: means[name])
    differences = by_date(baselines[best] - network, dates)
    block = block_length(len(differences), horizon)
    low, high = block_bootstrap(differences, block)
    return Comparison(best, float(network.mean()), means[best], low, high, len(differences), block)
