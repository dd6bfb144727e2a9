"""The forecasts that a study writes down as CSV files: of its test part, and beyond the last date."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.forecasting.config import Forecast
from experiments.forecasting.parts import Parts
from experiments.forecasting.results import Outcome
from experiments.forecasting.training import forecasts
from rnnjax.data.windows import Windows, joined, undone
from rnnjax.forecasting import LEVELS


def write_test(path: Path, parts: Parts, outcome: Outcome) -> None:
    """A row for each window of the test part and step ahead: what came, the mean quantiles of all seeds, the baselines.

    `known` is the last date that the forecast knows.
    """
    rows: list[list[Any]] = []
    day = date_words([one.dates for one in parts.scaled])
    forecast = np.concatenate([outcome.quantiles.mean(axis=0), np.stack([*outcome.baselines.values()], axis=-1)], -1)
    windows = zip(parts.test.series, parts.test.origins, outcome.actual, forecast, strict=True)
    for series, origin, actual, values in windows:
        one = parts.scaled[series]
        known = day(one.dates[origin - 1])
        for step, numbers in enumerate(np.column_stack([actual, values])):
            rows.append([one.series.name, known, day(one.dates[origin + step]), step + 1, *map(_digits, numbers)])
    _write(path, ["series", "known", "date", "step", "actual", *LEVELS, *outcome.baselines], rows)


def write_future(path: Path, config: Forecast, parts: Parts, params: Any, read: Callable[[Windows], Windows]) -> None:
    """A row for each step after each series' last date: the mean quantiles of all seeds' parameters `(S, ...)`.

    `read` makes of windows what the network was trained on.
    """
    ends = [one.windows(np.array([len(one.series.values)]), number) for number, one in enumerate(parts.scaled)]
    windows = read(joined(ends))
    scaled = forecasts(config, params, windows)
    quantiles = np.mean([undone(own, windows, parts.windowing.log) for own in scaled], axis=0)
    day = date_words([one.dates for one in parts.scaled])
    rows = [
        [one.series.name, day(date), *map(_digits, values)]
        for one, steps in zip(parts.scaled, quantiles, strict=True)
        for date, values in zip(one.dates[len(one.series.values) :], steps, strict=True)
    ]
    _write(path, ["series", "date", *LEVELS], rows)


def date_words(columns: Sequence[np.ndarray]) -> Callable[[np.datetime64], str]:
    """How to write these dates: all in one form of ISO 8601, without the time where every one is at midnight."""
    midnight = all((dates == dates.astype("datetime64[D]")).all() for dates in columns)
    return lambda date: str(np.datetime_as_string(date, unit="D" if midnight else "s"))


def _digits(value: float) -> str:
    return f"{value:.6g}"


def _write(path: Path, names: list[Any], rows: Iterable[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
