"""A backtest with a rolling origin: runs at successive cut-off dates, each of which sees only what is before."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.forecast.config import Forecast
from experiments.forecast.results import Outcome, over_seeds
from experiments.forecast.scores import INTERVALS, Scores
from rnnjax.data.series import SeriesTable
from rnnjax.runs.report import table

NOMINAL = 0.8


class Fold(NamedTuple):
    """The results of one cut-off."""

    cut: str  # the first date of the test part
    scores: dict[str, Scores]


def folds(config: Forecast, series: SeriesTable) -> list[Forecast]:
    """The configs of the runs of a backtest.

    The test part is divided into `backtest` parts of equal length. Each run has one of them as its test part, uses no
    later dates, and trains on all dates before its validation part, which is as long as that of the config. Raises
    ValueError for parts shorter than the horizon.
    """
    count = config.backtest or 1
    dates = np.unique(np.concatenate([one.dates for one in series.series]))
    start = round(len(dates) * (1 - config.test))
    ends = np.linspace(start, len(dates), count + 1).round().astype(int)
    if np.diff(ends).min() < config.horizon:
        raise ValueError(
            f"backtest: expected parts of at least {config.horizon} dates, the horizon, got {len(dates) - start} dates "
            f"of the test part in {count} parts"
        )
    validation = len(dates) * config.validation
    return [
        dataclasses.replace(
            config,
            backtest=None,
            until=None if end == len(dates) else str(dates[end]),
            validation=validation / end,
            test=(end - begin) / end,
        )
        for begin, end in itertools.pairwise(ends)
    ]


def fold_of(cut: str, outcome: Outcome) -> Fold:
    """The scores of the baselines, of one seed on average, and of the mean forecast."""
    return Fold(
        cut,
        {
            **outcome.scores,
            "network: one seed": over_seeds(outcome.seeds, np.mean),
            "network: all seeds": outcome.together,
        },
    )


def backtest_table(found: Sequence[Fold]) -> str:
    """MASE of every forecast and the 80% interval of the network at every cut-off, with mean and standard deviation."""
    place = list(INTERVALS).index(NOMINAL)
    names = [name for name in found[0].scores if all(name in fold.scores for fold in found)]
    rows = [_row(name, [fold.scores[name].mase for fold in found]) for name in names]
    together = [fold.scores["network: all seeds"] for fold in found]
    rows.append(_row("CRPS, all seeds", [scores.crps for scores in together]))
    for words, values in (("covers", [one.coverage for one in together]), ("width", [one.width for one in together])):
        shares = [value[place] for value in values if value is not None]
        if shares:
            rows.append(_row(f"{NOMINAL:.0%} interval {words}, all seeds", shares))
    return table(("MASE, test part from", *(fold.cut for fold in found), "mean", "sd"), rows)


def _row(name: str, values: Sequence[float]) -> list[str]:
    spread = f"{np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return [name, *(f"{value:.3f}" for value in values), f"{np.mean(values):.3f}", spread]
