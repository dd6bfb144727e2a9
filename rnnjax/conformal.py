"""Conformal calibration: intervals of forecasts are widened or narrowed until they cover what they should.

Every interval gets an offset: `[low - offset, high + offset]`. The offset is a quantile of scores

    score = max(low - y, y - high)

which are at most the offset exactly if y is inside. Quantiles are `(..., Q)`, with the median in the middle; interval k
lies between the k-th quantile from below and from above. M are forecasters, N origins in order of time, H steps ahead.

Sources: Romano, Patterson and Candès 2019, "Conformalized Quantile Regression"; Gibbs and Candès 2021, "Adaptive
Conformal Inference Under Distribution Shift"; Angelopoulos, Candès and Tibshirani 2023, "Conformal PID Control for Time
Series Prediction" (its quantile tracking).
"""

from typing import NamedTuple

import numpy as np


class Calibration(NamedTuple):
    """Offsets of K intervals, and the unit in which they are adapted."""

    offsets: np.ndarray  # (M, H, K)
    units: np.ndarray  # (M, H), the mean absolute error of the medians


def interval_scores(quantiles: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The scores `(M, N, H, K)` of quantiles `(M, N, H, Q)` of targets `(N, H)`."""
    count = quantiles.shape[-1] // 2
    low, high = quantiles[..., :count], quantiles[..., : -count - 1 : -1]
    return np.maximum(low - targets[..., None], targets[..., None] - high)


def split_conformal(quantiles: np.ndarray, targets: np.ndarray, levels: np.ndarray) -> Calibration:
    """The calibration by quantiles `(M, N, H, Q)`, at `levels`, of targets `(N, H)` that no training has used.

    The offset of an interval is the score of rank `ceil((N + 1) coverage)`, or the largest one if N is too small; each
    step ahead has its own.
    """
    scores, count = np.sort(interval_scores(quantiles, targets), axis=1), len(targets)
    ranks = np.minimum(np.ceil((count + 1) * _coverage(levels)).astype(int), count) - 1
    median = quantiles[..., quantiles.shape[-1] // 2]
    return Calibration(
        np.take_along_axis(scores, ranks[None, None, None], axis=1)[:, 0], np.abs(median - targets).mean(axis=1)
    )


def adapted_offsets(
    calibration: Calibration, quantiles: np.ndarray, targets: np.ndarray, levels: np.ndarray, rate: float
) -> np.ndarray:
    """The offsets `(M, N, H, K)` of N successive origins; each uses only what is known at its origin.

        offset += rate * unit * (outside - (1 - coverage))

    where `outside` is 1 if the target of an earlier interval, now known, was outside it, and 0 otherwise: the target of
    step h (from 1) becomes known h origins later. In the long run the share outside is 1 - coverage, whatever the data.
    Targets that are not known at the last origin may be NaN.
    """
    scores = interval_scores(quantiles, targets)
    expected = 1 - _coverage(levels)
    offsets = np.empty(scores.shape)
    current, steps = calibration.offsets.copy(), np.arange(scores.shape[2])
    for origin in range(scores.shape[1]):
        known = steps[steps < origin]
        earlier = origin - 1 - known
        outside = scores[:, earlier, known] > offsets[:, earlier, known]
        current[:, known] += rate * calibration.units[:, known, None] * (outside - expected)
        offsets[:, origin] = current
    return offsets


def _coverage(levels: np.ndarray) -> np.ndarray:
    """The nominal coverage `(K,)` of the intervals; rounded, because 0.9 - 0.1 is above 0.8."""
    return np.round(levels[::-1] - levels, 9)[: len(levels) // 2]


def calibrated(quantiles: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The quantiles `(..., Q)` moved by the offsets `(..., K)` of their intervals; the median stays as it is.

    An interval contains the narrower ones and the median.
    """
    found = quantiles.copy()
    for i in reversed(range(quantiles.shape[-1] // 2)):
        found[..., i] = np.minimum(quantiles[..., i] - offsets[..., i], found[..., i + 1])
        found[..., -1 - i] = np.maximum(quantiles[..., -1 - i] + offsets[..., i], found[..., -2 - i])
    return found
