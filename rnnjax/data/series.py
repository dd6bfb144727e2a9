"""Series of numbers with dates, from a CSV file or a table, checked before anything is learnt from them."""

import dataclasses
import reprlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas

from rnnjax.data.file_checks import check_unpacked
from rnnjax.data.frequency import Frequency, infer_frequency
from rnnjax.errors import first_line


class Series(NamedTuple):
    """A value a date, and what else was measured then."""

    name: str
    dates: np.ndarray  # (T,), datetime64[s], one step apart
    values: np.ndarray  # (T,)
    extra: np.ndarray  # (T, E)
    filled: int = 0  # dates that were missing


class SeriesTable(NamedTuple):
    """Several series of one frequency."""

    series: tuple[Series, ...]
    frequency: Frequency


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what.

    Each column of `values` is a series of its own, and so is each name in the column `series`, where there is one.
    `extra` columns are numbers, too.
    """

    date: str = "date"
    values: tuple[str, ...] = ("value",)
    series: str | None = None
    extra: tuple[str, ...] = ()

    @property
    def all(self) -> list[str]:
        """Every column that is read."""
        names = [self.date, *self.values, *self.extra, *([] if self.series is None else [self.series])]
        return list(dict.fromkeys(names))


def read_series(path: Path, columns: Columns, *, fill: bool = False) -> SeriesTable:
    """The series of a CSV file (separated by tabs, where its name ends in .tsv).

    Dates are as in ISO 8601 (`2000-01-31`, `2000-01-31 14:00`), plain years, or another form that pandas knows; with an
    offset from UTC they become UTC. Raises FileNotFoundError where there is no such file, ValueError that names the
    file, the series and the date where one is not as expected (see `from_table`).
    """
    if not path.is_file():
        raise FileNotFoundError(f"source: expected a file, got {path}")
    check_unpacked(path)
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: expected a line of column names and at least one row, got an empty file")
    separator = "\t" if path.suffix == ".tsv" else ","
    try:
        # Words such as "NA" are looked at here, so that the error can name their place.
        table = pandas.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, index_col=False, compression=None, encoding="utf-8"
        )
    except (ValueError, UnicodeError, OverflowError) as error:
        raise ValueError(f"{path}: not readable as CSV: {first_line(error)}") from error
    return from_table(table, columns, str(path), fill=fill)


def from_table(table: pandas.DataFrame, columns: Columns, where: str, *, fill: bool = False) -> SeriesTable:
    """The series of a table, in the order of their first rows; `where` is what errors call it.

    With `fill`, a missing date or a number that is not there has the one before it, which is known by then; a
    series' first number must be there. Raises ValueError for no rows, fewer than three of a series, a column that is
    not there, dates that are none, twice there or not in order, numbers that are none or not finite, and series of
    different frequencies.
    """
    for name in columns.all:
        if name not in table.columns:
            raise ValueError(f"{where}: expected a column {name!r}, got {reprlib.repr(list(table.columns))}")
    if not len(table):
        raise ValueError(f"{where}: expected at least one row, got none")
    dates = _dates(table[columns.date], where)
    found: list[tuple[Series, Frequency]] = []
    for group, rows in _groups(table, columns.series).items():
        for column in columns.values:
            name = " ".join([group, column] if group and len(columns.values) > 1 else [group or column])
            found.append(_one(table.iloc[rows], dates[rows], name, column, columns.extra, f"{where}, {name!r}", fill))
    series, frequencies = zip(*found, strict=True)
    for one, frequency in found[1:]:
        if frequency != frequencies[0]:
            raise ValueError(
                f"{where}, {one.name!r}: expected dates {frequencies[0]} apart, as of {series[0].name!r}, "
                f"got {frequency}"
            )
    return SeriesTable(series, frequencies[0])


def _groups(table: pandas.DataFrame, column: str | None) -> dict[str, np.ndarray]:
    """The rows of each series; all where no column tells them apart."""
    if column is None:
        return {"": np.arange(len(table))}
    codes, names = pandas.factorize(table[column].astype(str))
    return {name or "(no name)": np.flatnonzero(codes == code) for code, name in enumerate(names)}


def _dates(column: Any, where: str) -> np.ndarray:
    """A column's dates. Raises ValueError that names the first that is none."""
    dates = column if pandas.api.types.is_datetime64_any_dtype(column) else _parsed(column.astype(str), where)
    for row in np.flatnonzero(dates.isna())[:1]:
        got = reprlib.repr(str(column.iloc[row]))
        raise ValueError(f"{where}, row {row + 1}: expected a date in column {column.name!r}, got {got}")
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates.to_numpy().astype("datetime64[s]")


def _parsed(words: Any, where: str) -> Any:
    """Words as dates by ISO 8601, or else by the form of the first one; what is none is missing."""
    offsets = bool(words.head(1).str.contains(r":\d\d(?:\.\d+)?\s*(?:Z|[+-]\d\d:?\d\d)$", regex=True).any())
    found: Any = None
    for form in ("ISO8601", None):
        if found is None or found.isna().iloc[0]:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # that there is no one form
                    found = pandas.to_datetime(words, format=form, errors="coerce", utc=offsets)
            except ValueError as error:  # some with an offset, others without
                raise ValueError(
                    f"{where}: expected dates in column {words.name!r}, got: {first_line(error)}"
                ) from error
    return found


def _one(
    table: pandas.DataFrame,
    dates: np.ndarray,
    name: str,
    column: str,
    extra: Sequence[str],
    where: str,
    fill: bool,
) -> tuple[Series, Frequency]:
    """One series, checked, and its frequency."""
    for row in np.flatnonzero(np.diff(dates) <= np.timedelta64(0, "s"))[:1]:
        before, after = dates[row], dates[row + 1]
        if before == after:
            raise ValueError(f"{where}: expected every date once, got {after} twice")
        raise ValueError(f"{where}: expected rising dates, got {after} after {before}")
    try:
        frequency = infer_frequency(dates)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    numbers = np.stack([_numbers(table[name], dates, where, fill) for name in (column, *extra)], axis=1)
    dates, numbers, filled = _without_gaps(dates, numbers, frequency, where, fill)
    return Series(name, dates, numbers[:, 0], numbers[:, 1:], filled), frequency


def _numbers(column: Any, dates: np.ndarray, where: str, fill: bool) -> np.ndarray:
    """A column's numbers."""
    numbers: Any = pandas.to_numeric(column, errors="coerce")
    numbers = numbers.to_numpy(dtype=float, na_value=np.nan)
    empty = column.isna().to_numpy() | column.astype(str).str.strip().str.lower().isin(("", "na", "nan")).to_numpy()
    lacking = ~np.isfinite(numbers)
    if fill:
        lacking &= ~empty
        lacking[0] |= bool(empty[0])
    for row in np.flatnonzero(lacking)[:1]:
        hint = "" if fill or not empty[row] else "; --fill takes the one before it"
        got = reprlib.repr(str(column.iloc[row]))
        raise ValueError(f"{where}, {dates[row]}: expected a number in column {column.name!r}, got {got}{hint}")
    return numbers


def _without_gaps(
    dates: np.ndarray, numbers: np.ndarray, frequency: Frequency, where: str, fill: bool
) -> tuple[np.ndarray, np.ndarray, int]:
    """Every date from the first to the last, the numbers that are missing filled from those before them."""
    # No more steps than this fit between the two, whatever the frequency.
    most = int((dates[-1] - dates[0]).astype(int) / (frequency.seconds * 0.9)) + 2
    if most > 100 * len(dates):
        raise ValueError(
            f"{where}: expected most dates to be there, {frequency} apart, got {len(dates)} of about {most}"
        )
    grid = frequency.after(dates[0], np.arange(most))
    grid = grid[: np.searchsorted(grid, dates[-1]) + 1]
    places = np.searchsorted(grid, dates)
    for row in np.flatnonzero(grid[np.minimum(places, len(grid) - 1)] != dates)[:1]:
        raise ValueError(f"{where}: expected dates {frequency} apart from {dates[0]} on, got {dates[row]}")
    present = np.zeros(len(grid), bool)
    present[places] = True
    for row in np.flatnonzero(~present)[:1] if not fill else ():
        missing = int(np.sum(~present))
        raise ValueError(
            f"{where}: expected dates {frequency} apart, got none at {grid[row]} ({missing} missing in all); "
            "--fill takes the number before it"
        )
    whole = np.full((len(grid), numbers.shape[1]), np.nan)
    whole[places] = numbers
    filled = int(np.sum(np.isnan(whole).any(axis=1)))
    # The last row up to each one that has a number.
    rows = np.where(np.isnan(whole), 0, np.arange(len(grid))[:, None])
    return grid, np.take_along_axis(whole, np.maximum.accumulate(rows), axis=0), filled
