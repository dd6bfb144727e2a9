"""Memory in numbers: how fast a gradient decreases going back in time, from measured norms."""

import math
from typing import NamedTuple

import numpy as np


class Memory(NamedTuple):
    """The decrease of a gradient over `back` steps; `predicted` and `measured` are base-10 logarithms of ratios."""

    back: int
    predicted: float
    measured: float
    decay: float
    horizon: int | None


def gradient_memory(log10_norms: np.ndarray, scale: float, back: int, threshold: float = 0.01) -> Memory:
    """How fast a gradient decreases, from the logarithms `(T,)` of its norm after every step.

        ratio(k) = |dL/ds_(T-k)| / |dL/ds_T|
        predicted = log10 scale**back           if every step Jacobian has norm `scale`: 0.9**200 = 7.1e-10
        measured = log10 ratio(back)
        decay = 10**slope                       slope: least squares of log10 ratio(k) against k
        horizon = the first k with ratio(k) < threshold, or None if there is none within T

    `decay` is the factor per step, fitted to the steps with a gradient above zero; it is 0 if the gradient is zero at
    all earlier steps. `scale` is the factor of the recurrent kernel, which is an orthogonal matrix times `scale`.

    Raises ValueError for norms of more than one sequence, with NaN or with a last norm of zero, and for values out of
    range. Source: Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013, eq. 6 and 7.
    """
    log10_norms = np.asarray(log10_norms, np.float64)
    if log10_norms.ndim != 1:
        raise ValueError(f"log10_norms: expected shape (T,), got {log10_norms.shape}")
    if not 0 < back < len(log10_norms):
        raise ValueError(f"back: expected 1 to {len(log10_norms) - 1}, the earlier steps, got {back}")
    if not 0 < scale < math.inf:
        raise ValueError(f"scale: expected a number above 0, got {scale}")
    if not 0 < threshold < 1:
        raise ValueError(f"threshold: expected a share between 0 and 1, got {threshold}")
    if np.isnan(log10_norms).any() or not np.isfinite(log10_norms[-1]):
        raise ValueError(f"log10_norms: expected no NaN and a finite last one, got {log10_norms}")
    ratio = log10_norms[::-1] - log10_norms[-1]
    (steps,) = np.nonzero(np.isfinite(ratio))
    slope = np.polyfit(steps, ratio[steps], 1)[0] if len(steps) > 1 else -math.inf
    (under,) = np.nonzero(ratio < math.log10(threshold))
    return Memory(
        back=back,
        predicted=back * math.log10(scale),
        measured=float(ratio[back]),
        decay=float(10**slope),
        horizon=int(under[0]) if len(under) else None,
    )
