"""The formats that a date may have, by its shape, and how dates of one format are read.

Formats are those of `strptime`, and `%q`, the number of a quarter; a date without a day is the first day of its month,
quarter or week. `NUMBERED` are the formats of dates that are one number.
"""

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
FRACTIONAL = "fractional-year"
EPOCHS: Mapping[str, Any] = {"epoch-s": "s", "epoch-ms": "ms", "epoch-us": "us", "epoch-ns": "ns"}
NUMBERED = (FRACTIONAL, *EPOCHS)
# Of plain digits, by their number. Years of four digits are of these centuries unless the format is given, so that few
# dates are ambiguous.
DIGITS: Mapping[int, tuple[str, ...]] = {
    4: ("%Y", "%y%m"),
    6: ("%Y%m", "%y%m%d", "%d%m%y", "%m%d%y"),
    8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"),
    9: ("epoch-s",),
    10: ("epoch-s", "%Y%m%d%H", "%y%m%d%H%M"),
    12: ("%Y%m%d%H%M", "%y%m%d%H%M%S", "epoch-ms"),
    13: ("epoch-ms",),
    14: ("%Y%m%d%H%M%S",),
    16: ("epoch-us",),
    19: ("epoch-ns",),
}
LEAST_YEAR, MOST_YEAR = 1600, 2200
MONTHS = (
    *("{b} %Y", "{b}-%Y", "{b}/%Y", "{b}%Y", "%Y {b}", "%Y-{b}", "%Y{b}", "{b}-%y", "{b} %y", "{b}'%y", "{b}%y"),
    *("%y-{b}", "%d {b} %Y", "%d-{b}-%Y", "%d/{b}/%Y", "%d{b}%Y", "%d {b}, %Y", "%d-{b}-%y", "%d {b} %y", "%d{b}%y"),
    *("{b} %d %Y", "{b} %d, %Y", "{b}-%d-%Y", "%Y-{b}-%d", "%Y {b} %d"),
)
PERIODS = ("%YQ%q", "%Yq%q", "%Y-Q%q", "%Y Q%q", "%Y:Q%q", "%Y:%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y", "%YM%m", "%Y-M%m")
WEEKS = ("%G-W%V", "%GW%V")
TIME = r"\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:\s*[AaPp][Mm])?"
OFFSET = r"\s*(?:Z|UTC|[+-]\d\d:?\d\d)"
SPLIT = re.compile(rf"(.*?)(?:([T ]+)({TIME})({OFFSET})?)?")
IS_ISO = r"[12]\d{3}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?" + OFFSET + "?)?"
# The largest distance of fractional years from one phase of their period, in periods: 0.1 is that of months as days of
# the year divided by 365.
PHASE = 0.25


def candidates(word: str) -> list[str]:
    """The formats that a date of this shape may have."""
    found = SPLIT.fullmatch(word)
    date, gap, time, offset = found.groups() if found else (word, None, None, None)
    return [date_form + _time_format(gap, time, offset) for date_form in _date_formats(date, whole=time is None)]


def _date_formats(date: str, whole: bool) -> list[str]:
    if date.isdecimal() and date.isascii():
        return list(DIGITS.get(len(date), ()))
    if whole and re.fullmatch(r"[12]\d{3}\.\d+", date):
        return [FRACTIONAL, *(["%Y.%m"] if re.fullmatch(r"\d{4}\.(0\d|1[0-2])", date) else [])]
    if whole and re.fullmatch(r"\d{9,10}\.\d+", date):
        return ["epoch-s"]
    if re.search(r"[A-Za-z]{3}", date):
        return [form.format(b=month) for form in MONTHS for month in ("%b", "%B")]
    if re.search(r"[QqMW:]", date):
        return [*PERIODS, *WEEKS]
    parts = re.split(r"[-/. ]", date)
    marks = re.findall(r"[-/. ]", date)
    if len(set(marks)) != 1 or not all(part.isdecimal() for part in parts):
        return []
    lengths = [len(part) for part in parts]
    orders = {
        (3, True, False): ["%Y %m %d"],
        (3, False, True): ["%d %m %Y", "%m %d %Y"],
        (3, False, False): ["%d %m %y", "%m %d %y", "%y %m %d"],
        (2, True, False): ["%Y %m"],
        (2, False, True): ["%m %Y"],
        (2, False, False): ["%m %y", "%y %m"],
        (4, True, False): ["%Y %m %d %H"],
    }.get((len(parts), lengths[0] == 4, lengths[-1] == 4), [])
    return [order.replace(" ", marks[0]) for order in orders]


def _time_format(gap: str | None, time: str | None, offset: str | None) -> str:
    if time is None:
        return ""
    form = "%I:%M" if time[-1] in "mM" else "%H:%M"
    form += ":%S" if time.count(":") == 2 else ""
    form += ".%f" if "." in time else ""
    half = re.search(r"\s*[AaPp][Mm]", time)
    form += (half[0][:-2] + "%p") if half else ""
    space = offset[: len(offset) - len(offset.lstrip())] if offset else ""
    return f"{gap}{form}{space}{'%z' if offset else ''}"


def parsed(words: Any, form: str) -> Any:
    """The dates of words in this format, NaT for others; those with offsets are aware and in UTC.

    Raises ValueError for a format that is none.
    """
    if form in EPOCHS:
        numbers: Any = pandas.to_numeric(words.where(words.str.fullmatch(r"-?\d+(\.\d*)?")), errors="coerce")
        return pandas.to_datetime(numbers, unit=EPOCHS[form], errors="coerce")
    if form == FRACTIONAL:
        return _fractional(words)
    if form.endswith("%V"):
        words, form = words + "-1", f"{form}-%u"
    if "%q" in form:
        words, form = _months_of_quarters(words, form)
    aware = form == ISO and bool(words.str.contains(OFFSET + "$", regex=True).any())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about inconsistent formats
            return pandas.to_datetime(words, errors="coerce", utc=aware or "%z" in form, format=form)
    except (ValueError, OverflowError, re.error) as error:  # an offset in some dates only, or an invalid format
        raise ValueError(first_line(error)) from error


def plausible(dates: Any, form: str) -> Any:
    """The dates whose years of four digits are of centuries that have series, NaT for others."""
    years = dates.dt.year
    return dates.where((years >= LEAST_YEAR) & (years < MOST_YEAR)) if "%Y" in form else dates


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
