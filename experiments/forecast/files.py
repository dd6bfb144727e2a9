"""The forecasts of a study as CSV files: those of the test part, and those after the last date."""

from collections.abc import Mapping

import numpy as np
import pandas

from experiments.forecast.data import Parts
from experiments.forecast.network import Network
from experiments.forecast.results import Outcome
from rnnjax.data.windows import Windows
from rnnjax.forecasting import LEVELS


def tested(parts: Parts, outcome: Outcome) -> str:
    """The text of a CSV file with a row for each window of the test part and each step ahead.

    A row has the true value, the mean forecast of all seeds, and the baselines. `known` is the last date before the
    forecast.
    """
    known, dates = _dates(parts, parts.test)
    columns = {
        "known": np.repeat(known[:, None], dates.shape[1], axis=1),
        "date": dates,
        "step": np.broadcast_to(np.arange(dates.shape[1]) + 1, dates.shape),
        "actual": outcome.actual,
    }
    return _text(parts, parts.test, columns | _by_level(outcome.mean) | outcome.baselines)


def future(parts: Parts, network: Network) -> str:
    """The text of a CSV file with a row for each step after the last date of each series: the mean forecast."""
    windows = parts.last.take(parts.last.origins == [parts.scaled[number].ends[-1] for number in parts.last.series])
    return _text(parts, windows, {"date": _dates(parts, windows)[1]} | _by_level(network.future[-1]))


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
    """Quantiles `(N, H, Q)` as one column for each level."""
    return {str(level): quantiles[..., number] for number, level in enumerate(LEVELS)}


def _text(parts: Parts, windows: Windows, columns: Mapping[str, np.ndarray]) -> str:
    """Columns `(N, H)` of windows as CSV, one row for each number, after a column with the name of the series.

    All digits are written: six digits would lose the changes by 10 of a series near 3 million.
    """
    names = np.array([one.series.name for one in parts.scaled], object)[windows.series]
    series = {"series": names.repeat(parts.windowing.horizon)}
    table = pandas.DataFrame(series | {name: column.ravel() for name, column in columns.items()})
    return table.to_csv(index=False, lineterminator="\r\n")
