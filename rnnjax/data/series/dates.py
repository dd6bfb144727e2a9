"""Dates from the words of columns: one format for all of them, or an error that names the options that help."""

import datetime
import reprlib
from typing import Any

import numpy as np

from rnnjax.data.series.date_formats import FRACTIONAL, IS_ISO, ISO, OFFSET, candidates, parsed, plausible
from rnnjax.data.series.notes import Notes
from rnnjax.data.series.types import Format
from rnnjax.extras import extra

with extra("series"):
    import pandas


def read_dates(table: pandas.DataFrame, columns: tuple[str, ...], form: Format, notes: Notes) -> np.ndarray:
    """The dates `(T,)`, datetime64[s], in UTC if they have an offset.

    Raises ValueError that names the first line without a date, and for dates that may be read in several ways.
    """
    column = table[columns[0]]
    if len(columns) == 1 and pandas.api.types.is_datetime64_any_dtype(column):
        found = column
    else:
        words = column.astype(str).str.strip()
        for name in columns[1:]:
            words = words + " " + table[name].astype(str).str.strip()
        found = _Words(words, " ".join(columns), form, notes).dates()
    for row in np.flatnonzero(found.isna())[:1]:
        got = reprlib.repr(str(column.iloc[row]))
        raise ValueError(
            f"{notes.where}, {place(table, row)}: expected a date in column {' '.join(columns)!r}, got {got}"
        )
    if found.dt.tz is not None:
        found = found.dt.tz_convert("UTC").dt.tz_localize(None)
    return found.to_numpy().astype("datetime64[s]")


def place(table: pandas.DataFrame, row: Any) -> str:
    """The line of a row, in words."""
    return f"{table.index.name} {table.index[row]}" if table.index.name in ("line", "row") else f"row {row + 1}"


def to_utc(dates: np.ndarray, zone: str) -> np.ndarray:
    """Local times in their order as UTC: an hour that occurs twice in autumn is first the earlier one.

    Days and longer steps are the same everywhere, and stay as they are. Raises ValueError for an unknown zone, for a
    time that was skipped in spring, and for one that is ambiguous because it occurs once only.
    """
    if len(np.unique(dates - dates.astype("datetime64[D]"))) == 1:
        return dates
    try:
        local = pandas.DatetimeIndex(dates).tz_localize(zone, ambiguous="infer")
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            "timezone: expected a time zone such as Europe/Berlin, and local times of it (the last hour of summer "
            f"twice, the first one not at all), got {zone!r:.60}: {str(error).strip(chr(39)).split('. ')[0]:.200}"
        ) from error
    return local.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]")


class _Words:
    """The words of a column of dates."""

    def __init__(self, words: Any, column: str, form: Format, notes: Notes):
        self.words, self.column, self.form, self.notes = words, column, form, notes
        self.table = words.to_frame()

    def _where(self, row: int) -> str:
        return f"{self.notes.where}, {place(self.table, row)}"

    def _parsed(self, form: str) -> Any:
        try:
            return parsed(self.words, form)
        except ValueError as error:
            raise ValueError(
                f"{self.notes.where}: expected dates in column {self.column!r} with the format {form!r:.60}, got: "
                f"{error}"
            ) from error

    def dates(self) -> Any:
        """The dates, NaT where there is none."""
        given = self.form.date_format
        if given is not None:
            found = self._parsed(given)
            self._check(found, given)
            return self._in_century(found, given)
        if self.words.str.fullmatch(IS_ISO).all():
            return self._wall_times(self._parsed(ISO))
        first = str(self.words.iloc[0])
        iso = bool(pandas.Series([first]).str.fullmatch(IS_ISO).iloc[0])
        forms = [ISO] if iso else candidates(first)
        read = {form: plausible(self._parsed(form), form) for form in forms}
        whole = {form: dates for form, dates in read.items() if not dates.isna().any()}
        if not whole:
            # The format that most words have, so that the first other word is named.
            form = max(read, key=lambda form: int(read[form].notna().sum()), default=None)
            self._check(None if form is None else read[form], form)
        form, found = next(iter(whole.items()))
        others = [other for other, dates in whole.items() if not dates.equals(found)]
        if form == "%Y":
            if others:
                self.notes.add(f"dates of four digits in column {self.column!r} are years", "--date-format %Y")
        elif others:
            raise ValueError(self._ambiguous([form, *others], whole))
        elif form not in (ISO, "%Y-%m", "%Y%m%d"):
            words = f", the first day of each period {found.iloc[0].date()}, ..." if form == FRACTIONAL else ""
            self.notes.add(f"dates of the format {form!r} in column {self.column!r}{words}", "--date-format")
        return self._in_century(found, form)

    def _check(self, found: Any, form: str | None) -> None:
        """Raises ValueError that names the first word without a date."""
        rows = range(1) if found is None else np.flatnonzero(found.isna())[:1]
        for row in rows:
            words = "" if form in (None, ISO) else f" with the format {form!r:.60}"
            hint = "--date-format" if self.form.date_format is None else "another --date-format"
            raise ValueError(
                f"{self._where(row)}: expected a date in column {self.column!r}{words}, got "
                f"{reprlib.repr(self.words.iloc[row])}; {hint} gives the format"
            )

    def _ambiguous(self, forms: list[str], read: dict[str, Any]) -> str:
        differs = np.zeros(len(self.words), bool)
        for form in forms[1:]:
            differs |= (read[form] != read[forms[0]]).to_numpy()
        row = int(np.argmax(differs))
        words = ", ".join(f"{form!r} ({_day(read[form].iloc[row])})" for form in forms)
        return (
            f"{self._where(row)}: expected unambiguous dates in column {self.column!r}, got "
            f"{reprlib.repr(self.words.iloc[row])}; set --date-format to one of {words}"
        )

    def _in_century(self, found: Any, form: str) -> Any:
        """Dates of two-digit years, in the hundred years from `century` on, or in those of POSIX if all are past."""
        if "%y" not in form:
            return found
        century = self.form.century
        if century is None:
            late = np.flatnonzero((found.dt.year > datetime.datetime.now(datetime.UTC).year).to_numpy())
            for row in late[:1]:
                year = found.iloc[row].year
                raise ValueError(
                    f"{self._where(row)}: expected years of four digits in column {self.column!r}, got "
                    f"{reprlib.repr(self.words.iloc[row])}, {year} or {year - 100} with --date-format {form!r}; set "
                    f"--century {year - 100 - year % 100}, the first year that two digits stand for"
                )
            if self.form.date_format is None:
                years = f"years of two digits in column {self.column!r}: {found.iloc[0].year}, ..."
                self.notes.add(years, "--date-format or --century")
            return found
        dates = found.to_numpy().astype("datetime64[s]")
        months = dates.astype("datetime64[M]")
        years = months.astype(int) // 12 + 1970
        moved = months + 12 * (century + (years - century) % 100 - years)
        result = moved.astype("datetime64[s]") + (dates - months.astype("datetime64[s]"))
        # 29 February, if there is none in that century.
        result[result.astype("datetime64[M]") != moved] = np.datetime64("NaT")
        return pandas.Series(result, index=found.index)

    def _wall_times(self, found: Any) -> Any:
        """Dates with offsets whose local time of day is always the same, as local dates: days are not 23 hours long."""
        if found.isna().any() or found.dt.tz is None:
            return found
        local = parsed(self.words.str.replace(rf"{OFFSET}$", "", regex=True), ISO)
        if local.isna().any() or not (self.words.str.contains(rf"{OFFSET}$", regex=True)).all():
            raise ValueError(
                f"{self.notes.where}: expected an offset in all dates of column {self.column!r} or in none; --timezone "
                "is for dates without"
            )
        if local.dt.time.nunique() == 1 and found.dt.time.nunique() > 1:
            self.notes.add("dates with the same local time of day are local dates", "dates in UTC have offset Z")
            return local
        return found


def _day(date: Any) -> str:
    return str(date).removesuffix("+00:00").removesuffix(" 00:00:00")
