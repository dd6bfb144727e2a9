"""The forecasts that a study writes down as CSV files: of its test part, and beyond the last date."""

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
    """A row for each window of the test part and step ahead: what came, the mean quantiles of all seeds, the baselines.

    `known` is the last date that the forecast knows.
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
    """A row for each step after each series' last date: the mean quantiles of all seeds' parameters `(S, ...)`.

    `read` makes of windows what the network was trained on.
    """
    ends = [one.windows(np.array([len(one.series.values)]), number) for number, one in enumerate(parts.scaled)]
    windows = read(joined(ends))
    quantiles = network_quantiles(config, parts, params, windows)
    _write(path, parts, windows, {"date": _dates(parts, windows)[1]} | _by_level(quantiles))


def _dates(parts: Parts, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """The last known date `(N,)` of windows, and those that are forecast, `(N, H)`, in words."""
    horizon = parts.windowing.horizon
    places = zip(windows.series, windows.origins, strict=True)
    words = date_words(np.stack([parts.scaled[number].dates[at - 1 : at + horizon] for number, at in places]))
    return words[:, 0], words[:, 1:]


def date_words(dates: np.ndarray) -> np.ndarray:
    """All dates in one form of ISO 8601, without the time where every one is at midnight."""
    midnight = (dates == dates.astype("datetime64[D]")).all()
    return np.datetime_as_string(dates, unit="D" if midnight else "s")


def _by_level(quantiles: np.ndarray) -> dict[str, np.ndarray]:
    """Quantiles `(S, N, H, Q)`, the seeds' mean of each."""
    return {str(level): quantiles.mean(axis=0)[..., number] for number, level in enumerate(LEVELS)}


def _write(path: Path, parts: Parts, windows: Windows, columns: Mapping[str, np.ndarray]) -> None:
    """Columns `(N, H)` of windows, below each other, behind the name of each window's series.

    With all digits: of a series near 3 million that changes by 10, six of them would leave nothing.
    """
    names = np.array([one.series.name for one in parts.scaled], object)[windows.series]
    series = {"series": names.repeat(parts.windowing.horizon)}
    table = pandas.DataFrame(series | {name: column.ravel() for name, column in columns.items()})
    write_text(path, table.to_csv(index=False, lineterminator="\r\n"))
