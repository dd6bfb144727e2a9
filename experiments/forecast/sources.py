"""The sources of series: installed packages, files, or a generated series."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from experiments.forecast.config import Forecast, date_of
from rnnjax.data.frequency import Frequency
from rnnjax.data.series import Columns, Format, Series, SeriesTable, from_table, read_series
from rnnjax.extras import extra

GENERATED = 600


def load(config: Forecast) -> SeriesTable:
    """The series of the config, before its date `until`.

    Raises as `read_series`; ModuleNotFoundError if a source is not installed; ValueError if a series has no dates left,
    and for columns that the source does not have. Known columns stay as they are after `until`.
    """
    if config.source in SOURCES:
        table = SOURCES[config.source](config.fill)
        for name in ("extra", "known", "static"):
            columns = getattr(config, name)
            if len(columns) != np.shape(getattr(table.series[0], name))[-1]:
                raise ValueError(
                    f"{name}: expected no such columns with the source {config.source}, got {', '.join(columns)}"
                )
    elif not config.source:
        raise ValueError("source: expected the name of a file, got none")
    else:
        columns = Columns(
            date=config.date,
            values=config.value,
            series=config.series,
            extra=config.extra,
            known=config.known,
            static=config.static,
        )
        form = Format(**{field.name: getattr(config, field.name) for field in dataclasses.fields(Format)})
        table = read_series(Path(config.source).expanduser(), columns, form, fill=config.fill)
    if config.until is None:
        return table
    until = date_of("until", config.until)
    return table._replace(series=tuple(_before(series, until) for series in table.series))


def _before(series: Series, until: np.datetime64) -> Series:
    end = int(np.searchsorted(series.dates, until))
    if not end:
        raise ValueError(f"until: expected a date after {series.dates[0]}, the first of {series.name!r}, got {until}")
    return series._replace(dates=series.dates[:end], values=series.values[:end], extra=series.extra[:end])


def _vega(name: str) -> pandas.DataFrame:
    with extra("series", "source"):
        from vega_datasets import local_data

    return getattr(local_data, name)()


def stocks(fill: bool) -> SeriesTable:
    """Monthly prices of five stocks, 2000 to 2010."""
    return from_table(
        _vega("stocks"), Columns(values=("price",), series=("symbol",)), "vega-datasets stocks", fill=fill
    )


def temperatures(fill: bool) -> SeriesTable:
    """Temperatures of two cities in degrees Fahrenheit, for each hour of a year the mean of thirty years."""
    columns = Columns(values=("temp",))
    tables = {name: from_table(_vega(name), columns, f"vega-datasets {name}", fill=fill) for name in TEMPERATURES}
    series = [table.series[0]._replace(name=name) for name, table in tables.items()]
    return tables[TEMPERATURES[0]]._replace(series=tuple(series))


TEMPERATURES = ("seattle_temps", "sf_temps")


def sunspots(fill: bool) -> SeriesTable:
    """The yearly number of sunspots, 1700 to 2008."""
    with extra("series", "source"):
        from statsmodels.datasets import sunspots

    table: Any = sunspots.load_pandas().data
    table = table.assign(YEAR=table["YEAR"].astype(int).astype(str))
    return from_table(table, Columns(("YEAR",), ("SUNACTIVITY",)), "statsmodels sunspots", fill=fill)


def generated(fill: bool) -> SeriesTable:
    """A logistic map with noise, one value each day: it cannot be predicted by a linear model."""
    rng = np.random.default_rng(0)
    values = np.empty(GENERATED)
    values[0] = 0.3
    for step in range(1, GENERATED):
        values[step] = 3.8 * values[step - 1] * (1 - values[step - 1])
    values += 0.01 * rng.normal(size=GENERATED)
    frequency = Frequency("second", 86_400)
    dates = frequency.after(np.datetime64("2000-01-01"), np.arange(GENERATED))
    return SeriesTable((Series("logistic map", dates, values, np.empty((GENERATED, 0))),), frequency)


# Sources other than files; each is a function of `fill`.
SOURCES: Mapping[str, Callable[[bool], SeriesTable]] = {
    "stocks": stocks,
    "temperatures": temperatures,
    "sunspots": sunspots,
    "generated": generated,
}
