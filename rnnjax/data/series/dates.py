"""Dates from the words of columns: one format for all of them, or an error that names the options that help."""

import datetime
import re
import reprlib
from typing import Any, NamedTuple

import numpy as np

from rnnjax.data.series.date_formats import EPOCHS, FISCAL, FRACTIONAL, ISO, NUMBERED, parsed, plausible
from rnnjax.data.series.date_shapes import IS_ISO, asked, candidates
from rnnjax.data.series.notes import Notes
from rnnjax.data.series.time_zones import by_name, in_zone, wall_times, with_names
from rnnjax.data.series.types import Format
from rnnjax.extras import extra

with extra("series"):
    import pandas

# Characters of other programs that stand for a hyphen and a space.
PLAIN = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2212": "-", "\u00a0": " "})
USUAL = (ISO, "%Y-%m", "%Y%m%d")  # of which nothing is said
MONTHS_OF_YEAR = re.compile(r"[^%]*(?:%[bBm][^%]*%y|%y[^%]*%[bBm])[^%]*")
DAY = np.timedelta64(1, "D")


class Dates(NamedTuple):
    """The dates of rows; those that are `aware` were written with an offset or in UTC, and need no time zone."""

    values: np.ndarray  # (T,), datetime64[s]
    aware: bool


def read_dates(table: pandas.DataFrame, columns: tuple[str, ...], form: Format, notes: Notes) -> Dates:
    """The dates of a table, in UTC if they have an offset.

    Raises ValueError that names the first line without a date, and for dates that may be read in several ways.
    """
    column, zone = table[columns[0]], form.timezone
    if len(columns) == 1 and pandas.api.types.is_datetime64_any_dtype(column):
        found: Any = column
    else:
        words = column.astype(str).str.strip()
        for name in columns[1:]:
            words = words + " " + table[name].astype(str).str.strip()
        # Each word once: series have the same dates, and what follows from their order is that of one series.
        codes, _ = pandas.factorize(words)
        once = words.iloc[np.unique(codes, return_index=True)[1]].str.translate(PLAIN)
        reader = _Words(once, " ".join(columns), form, notes)
        found = reader.dates().iloc[codes].set_axis(words.index)
        zone = None if reader.is_settled else zone
    for row in np.flatnonzero(found.isna())[:1]:
        got = reprlib.repr(str(column.iloc[row]))
        raise ValueError(
            f"{notes.where}, {place(table, row)}: expected a date in column {' '.join(columns)!r}, got {got}"
        )
    aware = found.dt.tz is not None
    if aware:
        local = None if zone is None else in_zone(found, zone, notes)
        found = found.dt.tz_convert("UTC").dt.tz_localize(None) if local is None else local
    return Dates(_whole_seconds(table, found, notes), aware)


def place(table: pandas.DataFrame, row: Any) -> str:
    """The line of a row, in words."""
    return f"{table.index.name} {table.index[row]}" if table.index.name in ("line", "row") else f"row {row + 1}"


def _whole_seconds(table: pandas.DataFrame, found: Any, notes: Notes) -> np.ndarray:
    """The dates in whole seconds. Raises ValueError if several of them are in the same second."""
    exact = found.to_numpy()
    dates = exact.astype("datetime64[s]")
    for row in np.flatnonzero(exact != dates)[:1]:
        if len(np.unique(dates)) < len(np.unique(exact)):
            raise ValueError(
                f"{notes.where}, {place(table, row)}: expected at most one time in each second, got {exact[row]}"
            )
        notes.add(f"fractions of a second, as in {exact[row]}, are cut off", "write whole seconds")
    return dates


class _Words:
    """The words of a column of dates."""

    def __init__(self, words: Any, column: str, form: Format, notes: Notes):
        self.words, self.column, self.form, self.notes = words, column, form, notes
        self.table = words.to_frame()
        self.is_settled = False  # the time zone is used

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
        if given is None:
            self.words = _usual(self.words)
        if (parts := with_names(self.words)) is not None and (given is None or re.search("%[HMSfp]$", given)):
            self.words, self.is_settled = parts[0], True
            return by_name(self.dates(), parts[1], self.form.timezone, self._where)
        if given is not None:
            return self._given(given)
        if self.words.str.fullmatch(IS_ISO).all():
            return self._in_century(wall_times(self._parsed(ISO), self.words, self.column, self.notes), ISO)
        whole = self._whole()
        form, found = next(iter(whole.items()))
        others = [other for other, dates in whole.items() if not dates.equals(found)]
        if others:
            raise ValueError(self._ambiguous([form, *others], whole))
        self._check_numbers(form, found)
        if MONTHS_OF_YEAR.fullmatch(form):
            self._check_days(form, found)
        if form == "%Y":
            months = parsed(self.words, "%y%m")
            if not self._fits(months):
                return found
            if np.diff(np.unique(found.dt.year)).max(initial=1) > 1:
                raise ValueError(self._ambiguous(["%Y", "%y%m"], {"%Y": found, "%y%m": months}))
            self.notes.add(f"dates of four digits in column {self.column!r} are years", "--date-format %Y")
        elif form not in USUAL:
            words = (
                f", the first day of each period {found.iloc[0].date()}, ..." if form in (FRACTIONAL, FISCAL) else ""
            )
            self.notes.add(f"dates of the format {form!r} in column {self.column!r}{words}", "--date-format")
        return self._in_century(found, form)

    def _given(self, given: str) -> Any:
        """The dates in the given format."""
        if given not in (ISO, *NUMBERED) and not re.search("%[YyG]", given):
            hint = self._works() if "%" not in given else "; the year may be in a further column of --date"
            raise ValueError(
                f"{self.notes.where}: date_format: expected one with a year, such as %Y-%m-%d, or one of "
                f"{', '.join(NUMBERED)}, got {given!r:.60}{hint}"
            )
        found = self._parsed(given)
        self._check(found, given)
        return self._in_century(found, given)

    def _whole(self) -> dict[str, Any]:
        """The formats that all words fit, with their dates. Raises ValueError if there is none."""
        read: dict[str, Any] = {}
        for forms in candidates(str(self.words.iloc[0])):
            tried = {form: plausible(self._parsed(form), form) for form in forms}
            whole = {form: dates for form, dates in tried.items() if self._fits(dates)}
            # Numbers up to 4 in each of several years are quarters.
            if self.words.nunique() > 4 and (quarters := [form for form in whole if "%q" in form]):
                return {form: whole[form] for form in quarters}
            if whole:
                return whole
            read |= tried
        # The format that most words have, so that the first other word is named.
        form = max(read, key=lambda form: int(read[form].notna().sum()), default=None)
        if form is not None and 2 * int(read[form].notna().sum()) <= len(self.words):
            form = None
        self._check(None if form is None else read[form], form)
        raise AssertionError("a word without a date was not found")

    @staticmethod
    def _fits(dates: Any) -> bool:
        return not dates.isna().any()

    def _check(self, found: Any, form: str | None) -> None:
        """Raises ValueError that names the first word without a date."""
        rows = range(1) if found is None else np.flatnonzero(found.isna())[:1]
        for row in rows:
            words = "" if form in (None, ISO) else f" with the format {form!r:.60}"
            word = str(self.words.iloc[row])
            raise ValueError(
                f"{self._where(row)}: expected a date in column {self.column!r}{words}, got "
                f"{reprlib.repr(word)}{self._works() or self._help(word)}"
            )

    def _works(self) -> str:
        """The formats that all words fit, with the first date of each, as the value of the option; or nothing."""
        first = str(self.words.iloc[0])
        read = {form: plausible(parsed(self.words, form), form) for forms in candidates(first) for form in forms}
        read |= {form: parsed(self.words, form) for form in asked(first)}
        fitting = {form: dates for form, dates in read.items() if self._fits(dates)}
        if not fitting:
            return ""
        words = " or ".join(f"{form!r} ({_day(dates.iloc[0])}, ...)" for form, dates in fitting.items())
        return f"; set --date-format to {words}"

    def _help(self, word: str) -> str:
        if re.fullmatch(r"\d{1,6}", word):
            return "; --date names the column of dates"
        if re.fullmatch(r"\d{1,2}\W*[A-Za-z]+|[A-Za-z]+\W*\d{1,2}", word):
            return "; a date needs a year, which may be in a further column of --date"
        if re.search(r"[^\W\d_]{3}", word) and re.search(r"\d", word):
            return "; --date-format gives the format, in which names of months and days are English"
        return f"; {'--date-format' if self.form.date_format is None else 'another --date-format'} gives the format"

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

    def _check_numbers(self, form: str, found: Any) -> None:
        """Raises ValueError for numbers that may count rows: each is one more than the one before."""
        if form not in EPOCHS or len(self.words) < 2:
            return
        steps = np.diff(np.asarray(pandas.to_numeric(self.words)))
        if (steps == steps[0]).all() and abs(steps[0]) == 1:
            raise ValueError(
                f"{self._where(0)}: expected dates in column {self.column!r}, got numbers that count rows, "
                f"{self.words.iloc[0]}, {self.words.iloc[1]}, ...; set --date-format to {form!r} "
                f"({_day(found.iloc[0])}, ...), or --date to another column"
            )

    def _check_days(self, form: str, found: Any) -> None:
        """Raises ValueError for months with two digits that may be days of one year, and not years."""
        days = parsed(self.words + " 2000", form.replace("%y", "%d") + " %Y")
        if not self._fits(days) or self.words.nunique() < 2:
            return
        # Months first, and one number that is no first day: a year.
        if days.dt.day.nunique() == 1 and days.dt.day.iloc[0] > 1 and form.index("%y") > 0:
            return
        if days.is_monotonic_increasing or days.is_monotonic_decreasing:
            raise ValueError(
                f"{self._where(0)}: expected unambiguous dates in column {self.column!r}, got "
                f"{reprlib.repr(self.words.iloc[0])}, whose number may be a year or a day; set --date-format to "
                f"{form!r} ({_day(found.iloc[0])}), or give a year in a further column of --date"
            )

    def _in_century(self, found: Any, form: str) -> Any:
        """Dates of two-digit years, in the hundred years from `century` on, or in those of POSIX if all are past."""
        century = self.form.century
        if "%y" not in form:
            if century is not None:
                self.notes.add(f"no years of two digits in column {self.column!r}", "leave out --century")
            return found
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
        return pandas.Series(result, index=found.index).dt.tz_localize(found.dt.tz)


def _usual(words: Any) -> Any:
    """Words with single spaces and without the letters of ordinal numbers, and Sept and a.m. as strptime has them."""
    words = words.str.replace(r"\s+", " ", regex=True).str.replace(r"\b(\d{1,2})(?:st|nd|rd|th)\b", r"\1", regex=True)
    words = words.str.replace(r"\bSept\b", "Sep", regex=True)
    return words.str.replace(r"(\d ?[AaPp])\.? ?([Mm])\.", r"\1\2", regex=True)


def _day(date: Any) -> str:
    return str(date).removesuffix("+00:00").removesuffix(" 00:00:00")
