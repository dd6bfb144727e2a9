"""Series of numbers with dates, from a CSV file or a table, checked before anything is learnt from them."""

import dataclasses
import reprlib
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.data.file_checks import check_file, check_header, check_lines
from rnnjax.data.frequency import Frequency, infer_frequency
from rnnjax.errors import first_line
from rnnjax.extras import extra

with extra("series"):
    import pandas

# Such a file is read as a whole.
MOST_BYTES = 4 * 2**30


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
    `extra` columns are numbers, too. `date_format` is how dates are written, as in `strptime`.
    """

    date: str = "date"
    values: tuple[str, ...] = ("value",)
    series: str | None = None
    extra: tuple[str, ...] = ()
    date_format: str | None = None

    @property
    def all(self) -> list[str]:
        """Every column that is read."""
        names = [self.date, *self.values, *self.extra, *([] if self.series is None else [self.series])]
        return list(dict.fromkeys(names))


def read_series(path: Path, columns: Columns, *, fill: bool = False) -> SeriesTable:
    """The series of a CSV file (separated by tabs, where its name ends in .tsv).

    Dates are as the columns say, or in ISO 8601 (`2000-01-31`, `2000-01-31 14:00`), plain years, or another form that
    pandas knows, if it is beyond doubt what is the day; with an offset from UTC they become UTC. Raises
    FileNotFoundError where there is no such file, ValueError that names the file, the series and the date where one is
    not as expected (see `from_table`).
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
    # Words such as "NA" are looked at here, so that the error can name their place.
    form: Any = {"sep": separator, "dtype": str, "keep_default_na": False, "compression": None, "encoding": "utf-8"}
    try:
        names = [str(name) for name in pandas.read_csv(path, header=None, nrows=1, **form).iloc[0]]
        if len(names) == 1 and set(names[0]) & set(",;\t|"):
            raise ValueError(f"expected columns separated by {separator!r}, got one column {reprlib.repr(names[0])}")
        if len(set(names)) < len(names):
            raise ValueError(f"expected every column name once, got {reprlib.repr(names)}")
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # of values that no column name stands above
            table = pandas.read_csv(path, index_col=False, **form)
    except (ValueError, UnicodeError, OverflowError, pandas.errors.ParserWarning) as error:
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


def _dates(column: Any, form: str | None, where: str) -> np.ndarray:
    """A column's dates. Raises ValueError that names the first that is none."""
    dates = column if pandas.api.types.is_datetime64_any_dtype(column) else _parsed(column.astype(str), form, where)
    for row in np.flatnonzero(dates.isna())[:1]:
        got = reprlib.repr(str(column.iloc[row]))
        raise ValueError(f"{where}, row {row + 1}: expected a date in column {column.name!r}, got {got}")
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates.to_numpy().astype("datetime64[s]")


def _parsed(words: Any, given: str | None, where: str) -> Any:
    """Words as dates by the form given or ISO 8601, or else by the form of the first one; what is none is missing.

    Raises ValueError where day and month could be told either way.
    """
    offsets = bool(words.head(1).str.contains(r":\d\d(?:\.\d+)?\s*(?:Z|[+-]\d\d:?\d\d)$", regex=True).any())

    def dates(**options: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that there is no one form
                return pandas.to_datetime(words, errors="coerce", utc=offsets, **options)
        except ValueError as error:  # some with an offset, others without; a form that is none
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
        f"{where}, row {row + 1}: expected dates in column {words.name!r} that can be read in one way, got "
        f"{reprlib.repr(words.iloc[row])}, whose day may stand first or second; --date-format says which"
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
    """One series, checked, and its frequency."""
    hint = "; of several series, --series names the column that tells them apart" if columns.series is None else ""
    for row in np.flatnonzero(np.diff(dates) <= np.timedelta64(0, "s"))[:1]:
        before, after = dates[row], dates[row + 1]
        if before == after:
            raise ValueError(f"{where}: expected every date once, got {after} twice{hint}")
        raise ValueError(f"{where}: expected rising dates, got {after} after {before}{hint}")
    try:
        frequency = infer_frequency(dates)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    numbers = np.stack([_numbers(table[name], dates, where, fill) for name in (column, *columns.extra)], axis=1)
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
        if fill and empty[row]:
            hint = ", and none before it"
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
    if 2 * len(dates) < len(grid):
        raise ValueError(
            f"{where}: expected most dates to be there, {frequency} apart, got {len(dates)} of {len(grid)}"
        )
    whole = np.full((len(grid), numbers.shape[1]), np.nan)
    whole[places] = numbers
    filled = int(np.sum(np.isnan(whole).any(axis=1)))
    # The last row up to each one that has a number.
    rows = np.where(np.isnan(whole), 0, np.arange(len(grid))[:, None])
    return grid, np.take_along_axis(whole, np.maximum.accumulate(rows), axis=0), filled
