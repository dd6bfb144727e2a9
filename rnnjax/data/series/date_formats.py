"""How dates of one format are read.

Formats are those of `strptime`, and `%q`, the number of a quarter; a date without a day is the first day of its month,
quarter or week. `NUMBERED` are the formats that have no directives.
"""

import datetime
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnjax.errors import first_line
from rnnjax.extras import extra

with extra("series"):
    import pandas

ISO = "ISO8601"
FRACTIONAL, FISCAL, EXCEL = "fractional-year", "fiscal-year", "excel"
EPOCHS: Mapping[str, Any] = {"epoch-s": "s", "epoch-ms": "ms", "epoch-us": "us", "epoch-ns": "ns"}
NUMBERED = (FRACTIONAL, FISCAL, EXCEL, *EPOCHS)
LEAST_YEAR, MOST_YEAR = 1600, 2200
# Of a time, at its end. Postgres writes +00 only.
OFFSET = r"\s*(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)"
CLOCK = r"([:T ]\d\d(?:[.,]\d+)?)"
# The end of a day, where a time or an hour is.
LATE = r"([T ])24((?::00){0,2})$"
# The largest distance of fractional years from one phase of their period, in periods: 0.1 is that of months as days of
# the year divided by 365.
PHASE = 0.25


def parsed(words: Any, form: str) -> Any:
    """The dates of words in this format, NaT for others; those with offsets are aware and in UTC.

    24:00 is the end of a day. Raises ValueError for a format that is none.
    """
    if form in EPOCHS:
        numbers: Any = pandas.to_numeric(words.where(words.str.fullmatch(r"-?\d+(\.\d*)?")), errors="coerce")
        return pandas.to_datetime(numbers, unit=EPOCHS[form], errors="coerce", utc=True)
    if form == EXCEL:
        numbers = pandas.to_numeric(words.where(words.str.fullmatch(r"\d{1,6}(\.\d*)?")), errors="coerce")
        return pandas.to_datetime(numbers, unit="D", origin="1899-12-30", errors="coerce").dt.round("s")
    if form == FRACTIONAL:
        return _fractional(words)
    if form == FISCAL:
        return _fiscal(words)
    if re.search("%[VUW]", form) and not re.search("%[uwaA]", form):
        words, form = words + "-1", f"{form}-%{'u' if '%V' in form else 'w'}"
    if "%q" in form:
        words, form = _months_of_quarters(words, form)
    late = words.str.fullmatch(f".*{LATE}") if form == ISO or re.search(r"%H(:%M(:%S)?)?$", form) else False
    words = words.where(~late, words.str.replace(LATE, r"\g<1>00\2", regex=True)) if np.any(late) else words
    aware = "%z" in form or (form == ISO and bool(words.str.fullmatch(f".*{CLOCK}{OFFSET}").any()))
    if form == ISO:
        words = words.str.replace(r"(:\d\d),(\d+)", r"\1.\2", regex=True)
    found = _by_pandas(_with_offsets(words) if form == ISO or form.endswith("%z") else words, form, aware)
    if re.search(r"%[HMSf] ?(?:Z|UTC|GMT)\b", form):  # letters that the format has in every date
        found = found.dt.tz_localize("UTC")
    return found + pandas.to_timedelta(np.where(late, 1, 0), unit="D") if np.any(late) else found


def _by_pandas(words: Any, form: str, aware: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about inconsistent formats
            return pandas.to_datetime(words, errors="coerce", utc=aware, format=form)
    except (ValueError, OverflowError, re.error) as error:  # an offset in some dates only, or an invalid format
        raise ValueError(first_line(error)) from error


def _with_offsets(words: Any) -> Any:
    """Words that end with a time, with the offset in the form +00:00."""
    words = words.str.replace(CLOCK + r"\s*(?:UTC|GMT|Z)$", r"\1+00:00", regex=True)
    return words.str.replace(CLOCK + r"\s*([+-]\d\d)(?::?(\d\d))?$", _offset, regex=True)


def _offset(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}:{match[3] or '00'}"


def plausible(dates: Any, form: str) -> Any:
    """The dates whose years of four digits are of centuries that have series, NaT for others."""
    years = dates.dt.year
    return dates.where((years >= LEAST_YEAR) & (years < MOST_YEAR)) if re.search("%[YG]", form) else dates


def _months_of_quarters(words: Any, form: str) -> tuple[Any, str]:
    """The first months of quarters, and their format."""
    pattern = re.escape(form)
    for directive, digits in (("%Y", r"\d{4}"), ("%y", r"\d\d"), ("%q", "[1-4]")):
        pattern = pattern.replace(directive, f"({digits})", 1)
    if "%" in pattern:
        raise ValueError(f"expected %q with %Y or %y only, got {form!r:.60}")
    first, second = (0, 1) if form.index("%q") > max(form.find("%Y"), form.find("%y")) else (1, 0)
    groups = words.str.extract(f"^{pattern}$")
    if groups.shape[1] != 2:
        raise ValueError(f"expected %q with %Y or %y, got {form!r:.60}")
    months: Any = pandas.to_numeric(groups[second])
    months = (months * 3 - 2).astype("Int64").astype(str)
    return groups[first] + "-" + months, f"{'%Y' if '%Y' in form else '%y'}-%m"


def _fiscal(words: Any) -> Any:
    """Years of the form 2000-01, 2000/2001, FY 2000-01 or 00-01, none in the future: the first day of the first one."""
    years: Any = words.str.extract(r"^(?:FY ?)?(\d{4}|\d\d)[-/](?:\d\d)?(\d\d)$").apply(pandas.to_numeric)
    now = datetime.datetime.now(datetime.UTC).year
    first = years[0].where(years[0] > 99, years[0] + 1900 + 100 * (years[0] + 2000 <= now))
    first = first.where((first + 1) % 100 == years[1])
    return _by_pandas(first.map("{:04.0f}".format, na_action="ignore"), "%Y", aware=False)


def _fractional(words: Any) -> Any:
    """Fractional years of months, quarters or years: the first day of each period. NaT if they have no such step."""
    numbers: Any = pandas.to_numeric(words.where(words.str.fullmatch(r"\d{1,4}(\.\d*)?")), errors="coerce")
    steps: Any = np.diff(np.unique(numbers.dropna().to_numpy()))
    nothing = pandas.Series(pandas.NaT, index=words.index, dtype="datetime64[s]")
    if not len(steps):
        return nothing
    count = min((1, 2, 4, 12), key=lambda count: abs(count * float(np.median(steps)) - 1))
    if abs(count * float(np.median(steps)) - 1) > PHASE:
        return nothing
    periods = (numbers * count).to_numpy()
    # The phase as a mean angle, because it may be near 0 or 1.
    phase = np.angle(np.nanmean(np.exp(2j * np.pi * periods))) / (2 * np.pi)
    whole = np.round(periods - phase)
    good = np.abs(periods - phase - whole) <= PHASE
    # A phase just below 0 is rounding; one further below is that of dates in the second half of their periods.
    whole -= phase < -PHASE
    months = np.where(good, whole, 0).astype(int) * (12 // count) - 12 * 1970
    dates = months.astype("datetime64[M]").astype("datetime64[s]")
    return nothing.where(~good, pandas.Series(dates, index=words.index))
