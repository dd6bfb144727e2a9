"""Time series from a CSV file or a table, with checks."""

import dataclasses
import reprlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.data.file_checks import check_file, check_header, check_lines
from rnnjax.data.frequency import Frequency, infer_frequency
from rnnjax.errors import first_line
from rnnjax.extras import extra

with extra("series"):
    import pandas

# Limit on the file size, since the whole file is read into memory.
MOST_BYTES = 4 * 2**30


class Series(NamedTuple):
    """A value for each date, and further columns."""

    name: str
    dates: np.ndarray  # (T,), datetime64[s], one step apart
    values: np.ndarray  # (T,)
    extra: np.ndarray  # (T, E)
    filled: int = 0  # number of dates that were missing
    known: np.ndarray = np.empty((0, 0))  # (T + F, K), columns that are known up to F dates after the last one
    static: tuple[str, ...] = ()  # columns with one value for the series


class SeriesTable(NamedTuple):
    """Several series with the same frequency."""

    series: tuple[Series, ...]
    frequency: Frequency


@dataclasses.dataclass(frozen=True)
class Columns:
    """The names and roles of the columns of a table.

    Each column of `values` is a separate series, and so is each name in the column `series`, if given. `extra` and
    `known` columns are numbers, too. With `known` columns, a series ends at its last value, and rows after it have the
    known numbers of the future, up to the first one that is missing. `static` columns have one text or number for each
    series. `date_format` is the format of dates, as in `strptime`.
    """

    date: str = "date"
    values: tuple[str, ...] = ("value",)
    series: str | None = None
    extra: tuple[str, ...] = ()
    date_format: str | None = None
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @property
    def all(self) -> list[str]:
        """All columns that are read."""
        names = [self.date, *self.values, *self.extra, *self.known, *self.static]
        names += [] if self.series is None else [self.series]
        return list(dict.fromkeys(names))


def read_series(path: Path, columns: Columns, *, fill: bool = False) -> SeriesTable:
    """The series of a CSV file (separated by tabs if its name ends in .tsv).

    Dates are in the format given in `columns`, in ISO 8601 (`2000-01-31`, `2000-01-31 14:00`), plain years, or a
    different format that pandas supports, if day and month are unambiguous; dates with an offset are converted to UTC.
    Raises FileNotFoundError if there is no such file, and ValueError with the file, the series and the date for bad
    content (see `from_table`).
    """
    if not path.is_file():
        raise FileNotFoundError(f"source: expected a file, got {path}")
    check_file(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{path}: expected at most {MOST_BYTES:,} bytes, got {size:,}")
    check_lines(path)
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: expected a line of column names and at least one row, got an empty file")
    separator = "\t" if path.suffix == ".tsv" else ","
    check_header(path, separator)
    # Words such as "NA" are handled here and not by pandas, so that the error can name their row.
    form: Any = {"sep": separator, "dtype": str, "keep_default_na": False, "compression": None, "encoding": "utf-8"}
    try:
        names = [str(name) for name in pandas.read_csv(path, header=None, nrows=1, **form).iloc[0]]
        if len(names) == 1 and set(names[0]) & set(",;\t|"):
            raise ValueError(f"expected columns separated by {separator!r}, got one column {reprlib.repr(names[0])}")
        if len(set(names)) < len(names):
            raise ValueError(f"expected every column name once, got {reprlib.repr(names)}")
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # a row with more values than column names
            table = pandas.read_csv(path, index_col=False, **form)
    except (ValueError, UnicodeError, OverflowError, pandas.errors.ParserWarning) as error:
        raise ValueError(f"{path}: not readable as CSV: {first_line(error)}") from error
    return from_table(table, columns, str(path), fill=fill)


def from_table(table: pandas.DataFrame, columns: Columns, where: str, *, fill: bool = False) -> SeriesTable:
    """The series of a table, in the order of their first rows; `where` is the name of the table in errors.

    With `fill`, missing dates and numbers get the previous number, which is known at that time; the first number of a
    series must be present. Raises ValueError for no rows, fewer than three rows of a series, a missing column, invalid,
    duplicate or unordered dates, missing, invalid or non-finite numbers, static columns that change within a series,
    and series with different frequencies.
    """
    for name in columns.all:
        if name not in table.columns:
            raise ValueError(f"{where}: expected a column {name!r}, got {reprlib.repr(list(table.columns))}")
    if not len(table):
        raise ValueError(f"{where}: expected at least one row, got none")
    dates = _dates(table[columns.date], columns.date_format, where)
    found: list[tuple[Series, Frequency]] = []
    for group, rows in _groups(table, columns.series).items():
        for column in columns.values:
            name = " ".join([group, column] if group and len(columns.values) > 1 else [group or column])
            found.append(_one(table.iloc[rows], dates[rows], name, column, columns, f"{where}, {name!r}", fill))
    series, frequencies = zip(*found, strict=True)
    for one, frequency in found[1:]:
        if frequency != frequencies[0]:
            raise ValueError(
                f"{where}, {one.name!r}: expected dates {frequencies[0]} apart, as in {series[0].name!r}, "
                f"got {frequency}"
            )
    return SeriesTable(series, frequencies[0])


def _groups(table: pandas.DataFrame, column: str | None) -> dict[str, np.ndarray]:
    """The rows of each series; all rows if there is no column for the series."""
    if column is None:
        return {"": np.arange(len(table))}
    codes, names = pandas.factorize(table[column].astype(str))
    return {name or "(no name)": np.flatnonzero(codes == code) for code, name in enumerate(names)}


def _dates(column: Any, form: str | None, where: str) -> np.ndarray:
    """The dates of a column. Raises ValueError that names the first invalid one."""
    dates = column if pandas.api.types.is_datetime64_any_dtype(column) else _parsed(column.astype(str), form, where)
    for row in np.flatnonzero(dates.isna())[:1]:
        got = reprlib.repr(str(column.iloc[row]))
        raise ValueError(f"{where}, row {row + 1}: expected a date in column {column.name!r}, got {got}")
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates.to_numpy().astype("datetime64[s]")


def _parsed(words: Any, given: str | None, where: str) -> Any:
    """Dates from words, in the given format or ISO 8601, or else in the format of the first one; NaT if invalid.

    Raises ValueError if day and month are ambiguous.
    """
    offsets = bool(words.head(1).str.contains(r":\d\d(?:\.\d+)?\s*(?:Z|[+-]\d\d:?\d\d)$", regex=True).any())

    def dates(**options: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # about inconsistent formats
                return pandas.to_datetime(words, errors="coerce", utc=offsets, **options)
        except ValueError as error:  # an offset in some dates only, or an invalid format
            raise ValueError(f"{where}: expected dates in column {words.name!r}, got: {first_line(error)}") from error

    found = dates(format=given or "ISO8601")
    if given or not found.isna().iloc[0]:
        return found
    month_first, day_first = dates(), dates(dayfirst=True)
    if day_first.isna().any() or day_first.equals(month_first):
        return month_first
    if month_first.isna().any():
        return day_first
    row = int(np.argmax((day_first != month_first).to_numpy()))
    raise ValueError(
        f"{where}, row {row + 1}: expected unambiguous dates in column {words.name!r}, got "
        f"{reprlib.repr(words.iloc[row])}, where the day may be first or second; set --date-format"
    )


def _one(
    table: pandas.DataFrame,
    dates: np.ndarray,
    name: str,
    column: str,
    columns: Columns,
    where: str,
    fill: bool,
) -> tuple[Series, Frequency]:
    """One checked series and its frequency."""
    hint = "; for several series, set --series to the column with their names" if columns.series is None else ""
    for row in np.flatnonzero(np.diff(dates) <= np.timedelta64(0, "s"))[:1]:
        before, after = dates[row], dates[row + 1]
        if before == after:
            raise ValueError(f"{where}: expected every date once, got {after} twice{hint}")
        raise ValueError(f"{where}: expected increasing dates, got {after} after {before}{hint}")
    try:
        frequency = infer_frequency(dates)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    static = tuple(_static(table[name], dates, where) for name in columns.static)
    known, end = np.empty((0, 0)), len(dates)
    if columns.known:
        end = int(np.flatnonzero(~_empty(table[column])).max(initial=0)) + 1
        lacking = np.any([_empty(table[name]) for name in columns.known], axis=0)
        last = int(np.flatnonzero(lacking[end:]).min(initial=len(dates) - end)) + end
        known = _table(table.iloc[:last], columns.known, dates[:last], where, fill)
        known = _without_gaps(dates[:last], known, frequency, where, fill)[1]
    numbers = _table(table.iloc[:end], (column, *columns.extra), dates[:end], where, fill)
    dates, numbers, filled = _without_gaps(dates[:end], numbers, frequency, where, fill)
    return Series(name, dates, numbers[:, 0], numbers[:, 1:], filled, known, static), frequency


def _static(column: Any, dates: np.ndarray, where: str) -> str:
    """The value of a column that does not change."""
    words = column.astype(str).str.strip()
    for row in np.flatnonzero(_empty(column))[:1]:
        raise ValueError(f"{where}, {dates[row]}: expected a value in column {column.name!r}, got none")
    for row in np.flatnonzero(words != words.iloc[0])[:1]:
        first, other = (reprlib.repr(words.iloc[at]) for at in (0, row))
        raise ValueError(
            f"{where}: expected one value in static column {column.name!r}, got {first} at {dates[0]} and {other} at "
            f"{dates[row]}"
        )
    return words.iloc[0]


def _empty(column: Any) -> np.ndarray:
    """Whether each value of a column is missing."""
    return column.isna().to_numpy() | column.astype(str).str.strip().str.lower().isin(("", "na", "nan")).to_numpy()


def _table(table: pandas.DataFrame, names: Sequence[str], dates: np.ndarray, where: str, fill: bool) -> np.ndarray:
    """The numbers of several columns, `(T, K)`."""
    return np.stack([_numbers(table[name], dates, where, fill) for name in names], axis=1)


def _numbers(column: Any, dates: np.ndarray, where: str, fill: bool) -> np.ndarray:
    """The numbers of a column."""
    numbers: Any = pandas.to_numeric(column, errors="coerce")
    numbers = numbers.to_numpy(dtype=float, na_value=np.nan)
    empty, lacking = _empty(column), ~np.isfinite(numbers)
    if fill:
        lacking &= ~empty
        lacking[0] |= bool(empty[0])
    for row in np.flatnonzero(lacking)[:1]:
        hint = "" if fill or not empty[row] else "; --fill uses the previous one"
        if fill and empty[row]:
            hint = ", with no previous number to use"
        got = reprlib.repr(str(column.iloc[row]))
        raise ValueError(f"{where}, {dates[row]}: expected a number in column {column.name!r}, got {got}{hint}")
    return numbers


def _without_gaps(
    dates: np.ndarray, numbers: np.ndarray, frequency: Frequency, where: str, fill: bool
) -> tuple[np.ndarray, np.ndarray, int]:
    """All dates from the first to the last, with missing numbers filled by the previous ones; and how many."""
    # An upper bound for the number of steps between the first and last date, for any frequency.
    most = int((dates[-1] - dates[0]).astype(int) / (frequency.seconds * 0.9)) + 2
    if most > 100 * len(dates):
        raise ValueError(
            f"{where}: expected most dates to be present, {frequency} apart, got {len(dates)} of about {most}"
        )
    grid = frequency.after(dates[0], np.arange(most))
    grid = grid[: np.searchsorted(grid, dates[-1]) + 1]
    places = np.searchsorted(grid, dates)
    for row in np.flatnonzero(grid[np.minimum(places, len(grid) - 1)] != dates)[:1]:
        raise ValueError(f"{where}: expected dates {frequency} apart, starting at {dates[0]}, got {dates[row]}")
    present = np.zeros(len(grid), bool)
    present[places] = True
    for row in np.flatnonzero(~present)[:1] if not fill else ():
        missing = int(np.sum(~present))
        raise ValueError(
            f"{where}: expected dates {frequency} apart, got none at {grid[row]} ({missing} missing in total); "
            "--fill uses the previous number"
        )
    if 2 * len(dates) < len(grid):
        raise ValueError(
            f"{where}: expected most dates to be present, {frequency} apart, got {len(dates)} of {len(grid)}"
        )
    whole = np.full((len(grid), numbers.shape[1]), np.nan)
    whole[places] = numbers
    filled = int(np.sum(np.isnan(whole).any(axis=1)))
    # For each row, the last row up to it that has a number.
    rows = np.where(np.isnan(whole), 0, np.arange(len(grid))[:, None])
    return grid, np.take_along_axis(whole, np.maximum.accumulate(rows), axis=0), filled
