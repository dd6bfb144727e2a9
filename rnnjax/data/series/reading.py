"""Series from the rows of a file or a table."""

import dataclasses
import reprlib
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.data.frequency import Frequency, infer_frequency
from rnnjax.data.series.csv_table import read_table
from rnnjax.data.series.dates import Dates, place, read_dates
from rnnjax.data.series.gaps import Fill, Whole, without_gaps
from rnnjax.data.series.notes import Notes
from rnnjax.data.series.numbers import empty, read_numbers
from rnnjax.data.series.order import ordered
from rnnjax.data.series.types import Columns, Format, Series, SeriesTable
from rnnjax.extras import extra

with extra("series"):
    import pandas

FEWEST = 3  # dates from which a frequency can be inferred
PLAIN = Format()


def read_series(path: Path, columns: Columns, form: Format = PLAIN, *, fill: bool = False) -> SeriesTable:
    """The series of a file of separated columns, which may be compressed, as `form` says or as it is found out.

    What is found out about the file is in the notes of the table. Raises FileNotFoundError if there is no such file,
    and ValueError with the file, the line, the series and the date for bad content (see `from_table`).
    """
    notes = Notes(str(path), form.strict)
    table, separator = read_table(path, columns, form, notes)
    return _series(table, columns, dataclasses.replace(form, separator=separator), notes, fill)


def from_table(
    table: pandas.DataFrame, columns: Columns, where: str, form: Format = PLAIN, *, fill: bool = False
) -> SeriesTable:
    """The series of a table, in the order of their first rows; `where` is the name of the table in errors.

    A series is from its first to its last value: what is missing before and after is no observation. With `fill`,
    missing dates and numbers between them get the previous number, which is known at that time. Raises ValueError for
    no rows, fewer than three values of a series (unless `unfit` leaves them out, of all series), a missing column,
    invalid, ambiguous, duplicate or unordered dates, missing, invalid or non-finite numbers, static columns that change
    within a series, and series with different frequencies.
    """
    return _series(table, columns, form, Notes(where, form.strict), fill)


def _series(table: pandas.DataFrame, columns: Columns, form: Format, notes: Notes, fill: bool) -> SeriesTable:
    where = notes.where
    columns.check(list(table.columns), where)
    if not len(table):
        raise ValueError(f"{where}: expected at least one row, got none")
    dates, groups = read_dates(table, columns.date, form, notes), _groups(table, columns.series)

    def at(row: int, column: str) -> str:
        group = next(name for name, rows in groups.items() if row in rows)
        name = _name(group, column if column in columns.values else columns.values[0], columns)
        return f"{where}, {place(table, row)}, {name!r}, {dates.values[row]}"

    numbers = read_numbers(table, columns.numbers, form, notes, at)
    found: list[tuple[Series, Frequency]] = []
    gaps: dict[str, Whole] = {}
    short: dict[str, int] = {}
    for group, rows in groups.items():
        for column in columns.values:
            name = _name(group, column, columns)
            reader = _Reader(table, name, column, columns, form, notes, fill, gaps)
            one = reader.read(dates, rows, numbers)
            if one is None:
                short[name] = int(np.sum(~np.isnan(numbers[column][rows])))
            else:
                found.append(one)
    for name in short if not found or form.unfit == "error" else ():
        raise ValueError(
            f"{where}, {name!r}: expected at least {FEWEST} dates to infer their frequency, got {short[name]} with a "
            f"value in column{'s'[: len(columns.values) > 1]} {', '.join(map(repr, columns.values))}"
            f"{'; --unfit drop leaves the series out' if found else ''}"
        )
    for name in short:
        notes.add(f"fewer than {FEWEST} values, left out", "--unfit error", name)
    series, frequencies = zip(*found, strict=True)
    names = [one.name for one in series]
    if len({*names}) < len(names):
        raise ValueError(f"{where}: expected series with different names, got {reprlib.repr(names)}")
    for one, frequency in found[1:]:
        if frequency != frequencies[0]:
            raise ValueError(
                f"{where}, {one.name!r}: expected dates {frequencies[0]} apart, as in {series[0].name!r}, "
                f"got {frequency}"
            )
    if frequencies[0].slots or frequencies[0].week:
        others = "hours" if frequencies[0].slots else "days"
        notes.add(f"dates are {frequencies[0]}: other {others} are no steps", "an error with --strict")
    _say_filled(gaps, notes)
    return SeriesTable(series, frequencies[0], notes.lines(), tuple(short))


def _say_filled(gaps: dict[str, Whole], notes: Notes) -> None:
    """Says how many dates were filled, and of which series most."""
    if filled := sum(whole.filled for whole in gaps.values()):
        dates = sum(len(whole.dates) for whole in gaps.values())
        name, most = max(gaps.items(), key=lambda item: item[1].filled)
        notes.say(
            f"{filled:,} of {dates:,} dates filled with the numbers before, {most.filled:,} of {len(most.dates):,} in "
            f"{name!r}; at most {max(whole.longest for whole in gaps.values()):,} in a row (--fill-limit)"
        )


def _name(group: str, column: str, columns: Columns) -> str:
    return " ".join([group, column] if group and len(columns.values) > 1 else [group or column])


def _groups(table: pandas.DataFrame, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The rows of each series; all rows if there is no column for the series."""
    if not columns:
        return {"": np.arange(len(table))}
    words = [table[name].astype(str).str.strip().replace("", "(no name)") for name in columns]
    codes, names = pandas.factorize(pandas.MultiIndex.from_arrays(words))
    found = {" ".join(name): np.flatnonzero(codes == code) for code, name in enumerate(names)}
    if len(found) < len(names):
        raise ValueError(f"series: expected names that differ when joined by a space, got {reprlib.repr([*names])}")
    return found


class _Reader:
    """Reads one series of a table."""

    def __init__(
        self,
        table: pandas.DataFrame,
        name: str,
        column: str,
        columns: Columns,
        form: Format,
        notes: Notes,
        fill: bool,
        gaps: dict[str, Whole],
    ):
        self.gaps = gaps
        self.table, self.name, self.columns, self.form, self.notes = table, name, columns, form, notes
        self.past, self.fill = (column, *columns.extra), fill
        self.where = f"{notes.where}, {name!r}"

    def read(self, found: Dates, rows: np.ndarray, numbers: dict[str, np.ndarray]) -> tuple[Series, Frequency] | None:
        """The checked series and its frequency; None if it has too few values."""
        values = numbers[self.past[0]][rows]
        if np.sum(~np.isnan(values)) < FEWEST:
            return None
        rows, dates = ordered(self.table, found, rows, self.name, self.columns, self.form, self.notes)
        static = tuple(self._static(name, rows, dates) for name in self.columns.static)
        past, known = (
            np.stack([numbers[name][rows] for name in names], axis=1) if names else np.empty((len(rows), 0))
            for names in (self.past, self.columns.known)
        )
        present = ~np.isnan(np.concatenate([past, known], axis=1))
        for number in np.flatnonzero(~present.any(axis=0))[:1]:
            column = (*self.past, *self.columns.known)[number]
            raise ValueError(f"{self.where}: expected a number in column {column!r}, got none in {len(rows)} rows")
        first, end = int(present.argmax(axis=0).max()), int(np.flatnonzero(present[:, 0]).max()) + 1
        if end - first < FEWEST:
            return None
        if first:
            self.notes.add("begins at the first row that has all numbers", "leave out earlier rows", self.name)
        if end < len(rows) and not self.columns.known:
            self.notes.add(
                "ends at its last value: rows without one after it are to be forecast", "leave them out", self.name
            )
        # The known columns go on up to the first row after the last value that lacks one.
        last = int(np.flatnonzero(~present[end:, past.shape[1] :].all(axis=1)).min(initial=len(rows) - end)) + end
        rows, dates, past, known = rows[first:], dates[first:], past[first:end], known[first:last]
        try:
            frequency = infer_frequency(dates)
        except ValueError as error:
            raise ValueError(f"{self.where}: {error}") from None
        self._check(past, self.past, rows, dates)
        self._check(known, self.columns.known, rows, dates)
        fill = Fill(self.fill, self.form.fill_limit)
        clock = "zone" if self.form.timezone is not None else "utc" if found.aware else "local"
        if self.columns.known:
            known = without_gaps(dates[: len(known)], known, frequency, self.where, fill, clock).numbers
        whole = without_gaps(dates[: len(past)], past, frequency, self.where, fill, clock)
        self.gaps[self.name] = whole
        known = known if self.columns.known else np.empty((0, 0))
        past = whole.numbers
        return Series(self.name, whole.dates, past[:, 0], past[:, 1:], whole.filled, known, static), frequency

    def _check(self, numbers: np.ndarray, names: tuple[str, ...], rows: np.ndarray, dates: np.ndarray) -> None:
        """Raises ValueError for a missing number unless gaps are filled."""
        for row, number in np.argwhere(np.isnan(numbers))[:1] if not self.fill else ():
            got = reprlib.repr(str(self.table[names[number]].iloc[rows[row]]))
            raise ValueError(
                f"{self._at(rows[row])}, {dates[row]}: expected a number in column {names[number]!r}, got {got}; "
                "--fill uses the previous one"
            )

    def _at(self, row: Any) -> str:
        return f"{self.notes.where}, {place(self.table, row)}, {self.name!r}"

    def _static(self, name: str, rows: np.ndarray, dates: np.ndarray) -> str:
        """The value of a column that does not change."""
        column = self.table[name].iloc[rows]
        words = column.astype(str).str.strip()
        for row in np.flatnonzero(empty(column, self.form))[:1]:
            raise ValueError(f"{self._at(rows[row])}, {dates[row]}: expected a value in column {name!r}, got none")
        for row in np.flatnonzero(words != words.iloc[0])[:1]:
            first, other = (reprlib.repr(words.iloc[at]) for at in (0, row))
            raise ValueError(
                f"{self._at(rows[row])}: expected one value in static column {name!r}, got {first} at {dates[0]} and "
                f"{other} at {dates[row]}"
            )
        return words.iloc[0]
