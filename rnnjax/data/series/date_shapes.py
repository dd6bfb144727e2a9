"""The formats that a date may have, by its shape."""

import re
from collections.abc import Mapping

from rnnjax.data.series.date_formats import EXCEL, FISCAL, FRACTIONAL, ISO, OFFSET

# Of plain digits, by their number. Years of four digits are of these centuries unless the format is given, so that few
# dates are ambiguous.
DIGITS: Mapping[int, tuple[str, ...]] = {
    4: ("%Y",),
    6: ("%Y%m", "%y%m%d", "%d%m%y", "%m%d%y"),
    7: ("%Y%j",),
    8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"),
    9: ("epoch-s",),
    10: ("epoch-s", "%Y%m%d%H", "%y%m%d%H%M"),
    12: ("%Y%m%d%H%M", "%y%m%d%H%M%S", "epoch-ms"),
    13: ("epoch-ms",),
    14: ("%Y%m%d%H%M%S",),
    16: ("epoch-us",),
    19: ("epoch-ns",),
}
# What is read only if it is given: row numbers and other names look like these.
ASKED: Mapping[int, tuple[str, ...]] = {4: ("%y%m", "%Y"), 5: (EXCEL, "%y%j")}
MONTHS = (
    *("{b} %Y", "{b}-%Y", "{b}/%Y", "{b}%Y", "{b}, %Y", "{b}. %Y", "%Y {b}", "%Y-{b}", "%Y/{b}", "%Y{b}"),
    *("{b}-%y", "{b} %y", "{b}/%y", "{b}'%y", "{b}-'%y", "{b} '%y", "{b}%y", "%y-{b}", "%y {b}", "%y/{b}", "%y{b}"),
    *("%d {b} %Y", "%d-{b}-%Y", "%d/{b}/%Y", "%d.{b}.%Y", "%d{b}%Y", "%d {b}, %Y", "%d. {b} %Y"),
    *("%d-{b}-%y", "%d {b} %y", "%d/{b}/%y", "%d{b}%y"),
    *("{b} %d %Y", "{b} %d, %Y", "{b}-%d-%Y", "{b}/%d/%Y", "{b}. %d, %Y"),
    *("%Y-{b}-%d", "%Y {b} %d", "%Y/{b}/%d", "%Y{b}%d"),
    # The year is in a column of its own.
    *("%Y %d-{b}", "%Y {b}-%d", "%Y %d {b}", "%Y %d/{b}", "%d-{b} %Y", "{b}-%d %Y", "%d/{b} %Y"),
)
MONTHS_BY_LETTER = ("%YM%m", "%Y-M%m", "%YM %m", "M%m %Y", "M%m-%Y", "M%m/%Y")
TIME = r"(?:\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:\s*[AaPp][Mm])?|\d{1,2}\s*[AaPp][Mm])"
SPLIT = re.compile(rf"(.*?)(?:([T ]+)({TIME})({OFFSET})?)?")
HOUR = re.compile(rf"(\d{{8}}|\d+[-/.]\d+[-/.]\d+)([T ]+)(\d{{1,2}})({OFFSET})?")
IS_ISO = r"[12]\d{3}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:" + OFFSET + ")?)?"
WEEKDAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
BEFORE = re.compile(rf"{WEEKDAY}([a-z]*)([.,]?\s+|,|-)(.+)", re.IGNORECASE)
AFTER = re.compile(rf"(.+?)(\s+\(?|,\s*){WEEKDAY}([a-z]*)(\)?)", re.IGNORECASE)
CTIME = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d{1,2} \d\d:\d\d:\d\d( UTC| GMT)? \d{4}")
BASIC = re.compile(rf"\d{{8}}T\d{{4}}(\d\d)?({OFFSET})?")
WEEK = re.compile(r"(\d{4})([-/ ]?)([Ww])\d\d?(?:(-?)\d)?|([Ww])\d\d?([-/ ])\d{4}")
QUARTER = re.compile(r"(\d{4}|\d\d)?([^\dQq]*)([Qq]?)([1-4])([Qq]?)([^\dQq]*)(\d{4}|\d\d)?")


def candidates(word: str) -> list[list[str]]:
    """The formats that a date of this shape may have; those of a later list only if none of an earlier one fits."""
    if re.fullmatch(IS_ISO, word):
        return [[ISO]]
    if match := CTIME.fullmatch(word):
        return [[f"%a %b %d %H:%M:%S{match[1] or ''} %Y"]]
    if match := BASIC.fullmatch(word):
        return [[f"%Y%m%dT%H%M{'%S' if match[1] else ''}{'%z' if match[2] else ''}"]]
    if match := BEFORE.fullmatch(word):
        name, gap, rest = match.groups()
        return _with_day(rest, f"{'%A' if name else '%a'}{gap}", "")
    if (match := AFTER.fullmatch(word)) and re.search(r"\d", match[1]):
        rest, gap, name, end = match.groups()
        return _with_day(rest, "", f"{gap}{'%A' if name else '%a'}{end}")
    if match := HOUR.fullmatch(word):
        date, gap, _, offset = match.groups()
        return [[f"{form}{gap}%H{'%z' if offset else ''}" for form in _date_formats(date, whole=False)]]
    match = SPLIT.fullmatch(word)
    date, gap, time, offset = match.groups() if match else (word, None, None, None)
    ends = _time_format(gap, time, offset)
    first = [form + ends for form in _date_formats(date, whole=time is None)]
    return [first, _weeks(date) if time is None else []]


def asked(word: str) -> list[str]:
    """The formats that a word of this shape may have, but is not assumed to have."""
    plain = word.partition(".")[0]
    return list(ASKED.get(len(plain), ())) if plain.isdecimal() and plain.isascii() else []


def _with_day(word: str, before: str, after: str) -> list[list[str]]:
    """The formats of a date with the name of its day before or after it, of which ISO 8601 is one in directives."""
    match = SPLIT.fullmatch(word)
    iso = "%Y-%m-%d" + (_time_format(*match.groups()[1:]) if match else "")
    return [[f"{before}{iso if form == ISO else form}{after}" for form in forms] for forms in candidates(word)]


def _weeks(date: str) -> list[str]:
    """Years and weeks by digits only: their first ones look like months."""
    if re.fullmatch(r"\d{6}", date):
        return ["%G%V"]
    match = re.fullmatch(r"\d{4}([-/ .])\d\d?", date)
    return [f"%G{match[1]}%V"] if match else []


def _date_formats(date: str, whole: bool) -> list[str]:
    if date.endswith("."):
        return [f"{form}." for form in _date_formats(date[:-1], whole=False)]
    if date.isdecimal() and date.isascii():
        return list(DIGITS.get(len(date), ()))
    if whole and re.fullmatch(r"[12]\d{3}\.\d+", date):
        months = ["%Y.%m"] if re.fullmatch(r"\d{4}\.(0\d|1[0-2])", date) else []
        return [FRACTIONAL, *months, *(["%Y.%q"] if re.fullmatch(r"\d{4}\.[1-4]", date) else [])]
    if whole and re.fullmatch(r"\d{9,10}\.\d+", date):
        return ["epoch-s"]
    if whole and re.fullmatch(r"(?:FY ?)?\d{4}[-/](?:\d{4}|\d\d)", date) and int(date[-2:]) == _next_year(date):
        months = [f"%Y{date[4]}%m"] if re.fullmatch(r"\d{4}.\d\d", date) else []
        return [FISCAL, *months]
    if whole and re.fullmatch(r"\d\d[-/]\d\d", date) and int(date[3:]) == (int(date[:2]) + 1) % 100:
        return [FISCAL, *_orders(date)]
    if re.fullmatch(r"FY ?\d{4}", date):
        return [date[:-4] + "%Y"]
    if re.search(r"[A-Za-z]{3}", date):
        return [form.format(b=name) for form in MONTHS if _has_shape(date, form) for name in ("%b", "%B")]
    if match := WEEK.fullmatch(date):
        year, gap, letter, day_gap, first, mark = match.groups()
        day = "" if day_gap is None else f"{day_gap}%u"
        return [f"%G{gap}{letter}%V{day}"] if year else [f"{first}%V{mark}%G"]
    if "M" in date:
        return list(MONTHS_BY_LETTER)
    if re.search(r"[Qq]", date):
        return _quarters(date)
    if re.fullmatch(r"\d{4}:\d\d?", date):
        return ["%Y:%m", "%Y:%q"]
    return _orders(date)


def _has_shape(date: str, form: str) -> bool:
    """Whether a date with the name of a month has the digits of a format: to try all on each date would take long."""
    pattern = re.escape(form)
    for part, shape in (("%Y", r"\d{4}"), ("%y", r"\d\d"), ("%d", r"\d\d?"), (re.escape("{b}"), "[A-Za-z]+")):
        pattern = pattern.replace(part, shape)
    return re.fullmatch(pattern, date) is not None


def _next_year(date: str) -> int:
    """The last two digits of the year after the first one of a date."""
    return (int(re.findall(r"\d{4}", date)[0]) + 1) % 100


def _quarters(date: str) -> list[str]:
    match = QUARTER.fullmatch(date)
    if match is None:
        return []
    first, gap, left, _, right, end, last = match.groups()
    if (first is None) == (last is None) or bool(left) == bool(right):
        return []
    year = "%Y" if len(first or last) == 4 else "%y"
    return [f"{year if first else ''}{gap}{left}%q{right}{end}{year if last else ''}"]


def _orders(date: str) -> list[str]:
    """The orders of year, month or quarter, day and hour, between the same marks."""
    if match := re.fullmatch(r"(\d{4} )?\d\d?([-/.])\d\d?( \d{4})?", date):  # the year in a column of its own
        first, mark, last = match.groups()
        if bool(first) != bool(last):
            orders = (f"%d{mark}%m", f"%m{mark}%d")
            return [f"{'%Y ' if first else ''}{order}{' %Y' if last else ''}" for order in orders]
    parts, marks = re.split(r"[-/. ]", date), re.findall(r"[-/. ]", date)
    if len(set(marks)) != 1 or not all(part.isdecimal() and part.isascii() for part in parts):
        return []
    lengths = [len(part) for part in parts]
    orders = {
        (3, True, False): ["%Y %m %d"],
        (3, False, True): ["%d %m %Y", "%m %d %Y"],
        (3, False, False): ["%d %m %y", "%m %d %y", "%y %m %d"],
        (2, True, False): ["%Y %j"] if lengths[-1] == 3 else ["%Y %m", *["%Y %q"][: lengths[-1] == 1]],
        (2, False, True): ["%m %Y", *["%q %Y"][: lengths[0] == 1]],
        (2, False, False): ["%m %y", "%y %m"],
        (4, True, False): ["%Y %m %d %H"],
    }.get((len(parts), lengths[0] == 4, lengths[-1] == 4), [])
    return [order.replace(" ", marks[0]) for order in orders]


def _time_format(gap: str | None, time: str | None, offset: str | None) -> str:
    if time is None:
        return ""
    colons = time.count(":")
    form = ("%I" if time[-1] in "mM" else "%H") + ":%M"[: 3 * colons] + ":%S"[: 3 * (colons - 1)]
    form += ".%f" if "." in time else ""
    half = re.search(r"\s*[AaPp][Mm]", time)
    form += (half[0][:-2] + "%p") if half else ""
    return f"{gap}{form}{'%z' if offset else ''}"
