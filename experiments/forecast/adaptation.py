"""The step size of adaptive intervals, compared in the validation part of trained runs: the test part is not read.

The intervals are calibrated on the first half of the validation part and adapted in its second half. Command:
`python -m experiments.forecast adaptation RUN...`
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.forecast.config import Forecast
from experiments.forecast.data import Parts
from experiments.forecast.network import with_mean
from experiments.forecast.options import Adaptation
from experiments.forecast.scores import INTERVALS, covered
from experiments.forecast.sources import load
from experiments.forecast.train import forecasts
from experiments.forecast.trained import open_run
from rnnjax.commands import printable
from rnnjax.conformal import adapted_offsets, calibrated, split_conformal
from rnnjax.forecasting import LEVELS
from rnnjax.runs.report import table

STEPS = (0.025, 0.05, 0.1, 0.2)


class Second(NamedTuple):
    """The intervals of the mean forecast of all seeds in the second half, with one step size."""

    coverage: np.ndarray  # of each of INTERVALS
    width: np.ndarray  # in normalised units

    @property
    def gap(self) -> float:
        """The mean absolute difference from the nominal coverage."""
        return float(np.abs(self.coverage - list(INTERVALS)).mean())


def second_half(parts: Parts, quantiles: np.ndarray, steps: Sequence[float] = STEPS) -> list[Second]:
    """The intervals with each step size, from normalised quantiles `(M, N, H, Q)` of the validation part.

    Windows that reach from one half into the other are left out. Raises ValueError if a half of a series has none.
    """
    of, horizon, levels = parts.validation, parts.windowing.horizon, np.array(LEVELS)
    first, series = np.zeros(len(of.origins), bool), list[np.ndarray]()
    for number, one in enumerate(parts.scaled):
        middle = (one.ends[0] + one.ends[1]) // 2
        own = of.series == number
        before, after = own & (of.origins + horizon <= middle), own & (of.origins >= middle)
        if not (before.any() and after.any()):
            raise ValueError(f"validation: expected windows in both halves of {one.series.name!r}, got none in one")
        first |= before
        series.append(after)
    calibration = split_conformal(quantiles[:, first], of.targets[first], levels)
    found = []
    for step in steps:
        inside, widths = [], []
        for rows in series:
            offsets = adapted_offsets(calibration, quantiles[:, rows], of.targets[rows], levels, step)
            moved = calibrated(quantiles[:, rows], offsets)[-1]
            inside.append(np.stack(covered(moved, of.targets[rows])))
            widths.append(np.stack([moved[..., high] - moved[..., low] for low, high in INTERVALS.values()]))
        found.append(Second(*(np.concatenate(each, axis=1).mean(axis=(1, 2)) for each in (inside, widths))))
    return found


def _words(config: Forecast, step: float, found: Second) -> list[str]:
    coverage = " / ".join(f"{share:.1%}" for share in found.coverage)
    return [printable(config.source), f"{step:g}", coverage, f"{found.width[1]:.3f}", f"{found.gap:.4f}"]


def compare_steps(options: Adaptation) -> None:
    """Prints a table of the runs."""
    rows = []
    for folder in options.runs:
        trained = open_run(folder)
        config = trained.config
        parts, _ = trained.fitted.applied(config, load(config), config.source)
        quantiles = with_mean(forecasts(config, trained.params, parts.validation))
        rows += [_words(config, *pair) for pair in zip(STEPS, second_half(parts, quantiles), strict=True)]
    covers = " / ".join(f"{nominal:.0%}" for nominal in INTERVALS)
    print(table(("source", "step", f"{covers} cover", "width of 80%, normalised", "mean gap"), rows))
