"""Writes the forecasts of a study as CSV files: those of the test part, and those after the last date."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from experiments.forecast.config import Forecast
from experiments.forecast.data import Parts
from experiments.forecast.results import Outcome, network_quantiles
from rnnjax.data.windows import Windows, joined
from rnnjax.files import write_text
from rnnjax.forecasting import LEVELS


def write_test(path: Path, parts: Parts, outcome: Outcome) -> None:
    """Writes a row for each window of the test part and each step ahead.

    A row has the true value, the mean quantiles of all seeds, and the baselines. `known` is the last date before the
    forecast.
    """
    known, dates = _dates(parts, parts.test)
    columns = {
        "known": np.repeat(known[:, None], dates.shape[1], axis=1),
        "date": dates,
        "step": np.broadcast_to(np.arange(dates.shape[1]) + 1, dates.shape),
        "actual": outcome.actual,
    }
    _write(path, parts, parts.test, columns | _by_level(outcome.quantiles) | outcome.baselines)


def write_future(path: Path, config: Forecast, parts: Parts, params: Any, read: Callable[[Windows], Windows]) -> None:
    """Writes a row for each step after the last date of each series: the mean quantiles of all seeds.

    `params` are those of all seeds, `(S, ...)`. `read` converts windows to those that the network was trained on.
    """
    ends = [one.windows(np.array([len(one.series.values)]), number) for number, one in enumerate(parts.scaled)]
    windows = read(joined(ends))
    quantiles = network_quantiles(config, parts, params, windows)
    _write(path, parts, windows, {"date": _dates(parts, windows)[1]} | _by_level(quantiles))


def _dates(parts: Parts, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """The last known date `(N,)` of each window, and the forecast dates `(N, H)`, as text."""
    horizon = parts.windowing.horizon
    places = zip(windows.series, windows.origins, strict=True)
    words = date_words(np.stack([parts.scaled[number].dates[at - 1 : at + horizon] for number, at in places]))
    return words[:, 0], words[:, 1:]


def date_words(dates: np.ndarray) -> np.ndarray:
    """The dates in ISO 8601, without the time if all of them are at midnight."""
    midnight = (dates == dates.astype("datetime64[D]")).all()
    return np.datetime_as_string(dates, unit="D" if midnight else "s")


def _by_level(quantiles: np.ndarray) -> dict[str, np.ndarray]:
    """The mean over the seeds of quantiles `(S, N, H, Q)`, as one column for each level."""
    return {str(level): quantiles.mean(axis=0)[..., number] for number, level in enumerate(LEVELS)}


def _write(path: Path, parts: Parts, windows: Windows, columns: Mapping[str, np.ndarray]) -> None:
    """Writes columns `(N, H)` of windows, one row for each number, after a column with the name of the series.

    All digits are written: six digits would lose the changes by 10 of a series near 3 million.
    """
    names = np.array([one.series.name for one in parts.scaled], object)[windows.series]
    series = {"series": names.repeat(parts.windowing.horizon)}
    table = pandas.DataFrame(series | {name: column.ravel() for name, column in columns.items()})
    write_text(path, table.to_csv(index=False, lineterminator="\r\n"))
