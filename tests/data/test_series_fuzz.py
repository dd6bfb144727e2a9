"""Series with random dates, numbers and ways to write them: what was written is read, and damage is refused."""

import gzip
import itertools
import lzma

import numpy as np
import pytest
from damage import Edit, damage, edits
from fuzz import at_most
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnjax.data.series import Columns, Format, read_series

numbers = itertools.count()
# The formats of days, of which no two dates are the same.
DAYS = (
    "%Y-%m-%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y%m%d",
    "%d %b %Y",
    "%B %d, %Y",
    "%d.%m.%y",
    "%y%m%d",
    "%Y%j",
    "%a, %d %b %Y",
    "%Y-%m-%d %A",
    "%d.%m.%Y.",
    "epoch-s",
    "epoch-ms",
)
PACKERS = {".csv": bytes, ".csv.gz": gzip.compress, ".csv.xz": lzma.compress}
SECONDS = {"epoch-s": 1, "epoch-ms": 1000}
COLUMNS = Columns(values=("value",), known=("open",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def words_of(dates, form):
    if form in SECONDS:
        return [str(SECONDS[form] * int(date.astype("datetime64[s]").astype(int))) for date in dates]
    return [date.item().strftime(form) for date in dates]


def written(values, decimal, thousands):
    """The numbers with two decimals, by the marks of a country."""
    marks = {",": thousands, ".": decimal}
    return ["".join(marks.get(letter, letter) for letter in f"{value:,.2f}") for value in values]


def load(path, form, fill=False):
    """The table, or None where the documented error is raised, with the name of the file."""
    message = None
    try:
        return read_series(path, COLUMNS, form, fill=fill)
    except ValueError as error:
        message = str(error)
    assert str(path) in message
    assert "\n" not in message
    return None


@settings(max_examples=at_most(200), deadline=None, derandomize=True, database=None)
@given(
    values=st.lists(st.integers(-(10**9), 10**9).map(lambda cents: cents / 100), min_size=9, max_size=30),
    first=st.integers(0, 18_000),
    form=st.sampled_from(DAYS),
    separator=st.sampled_from(",;\t|"),
    marks=st.sampled_from(
        [(".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (".", "'"), (",", "\u00a0"), (".", "\u2019")]
    ),
    sign=st.sampled_from(["{}", "{}%", "${}", "{} EUR", "{}-"]),
    file=st.sampled_from([(".csv", "utf-8"), (".csv", "utf-16"), (".csv.gz", "utf-8"), (".csv.xz", "utf-16")]),
    closed=st.booleans(),
    newest=st.booleans(),
    title=st.sampled_from(["", "Sales\n", "Sales, of all\n\n"]),
    blanks=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    missing=st.sampled_from(["", "null", "?", "-", "N/A", "NaN"]),
    truth=st.booleans(),
    given_options=st.booleans(),
)
def test_what_was_written_is_read(
    values,
    first,
    form,
    separator,
    marks,
    sign,
    file,
    closed,
    newest,
    title,
    blanks,
    missing,
    truth,
    given_options,
    folder,
):
    """Without options a file may be refused, but whatever is read is what was written."""
    dates = np.datetime64("1970-01-01") + first + np.arange(len(values))
    values = [-abs(value) for value in values] if sign == "{}-" else values
    words = [sign.format(word.lstrip("-" if sign == "{}-" else "")) for word in written(values, *marks)]
    for row in [*range(blanks[0]), *range(len(words) - blanks[1], len(words))]:
        words[row] = missing
    flags = [day % 2 == 0 for day in range(len(values))]
    shown = [("true" if flag else "FALSE") if truth else str(int(flag)) for flag in flags]
    rows = [
        separator.join(f'"{word}"' for word in row) for row in zip(words_of(dates, form), words, shown, strict=True)
    ]
    rows = [row + separator for row in rows] if closed else rows
    text = title + separator.join(["date", "value", "open"]) + "\n" + "\n".join(rows[::-1] if newest else rows) + "\n"
    suffix, encoding = file
    path = folder / f"{next(numbers)}{suffix}"
    path.write_bytes(PACKERS[suffix](text.encode(encoding)))
    options = Format()
    if given_options:
        century = 1970 if "%y" in form else None
        options = Format(
            date_format=form, separator={"\t": "tab"}.get(separator, separator), decimal=marks[0], century=century
        )
    table = load(path, options)
    if given_options:
        assert table is not None
    if table is None:
        return
    (series,) = table.series
    begin, end = blanks[0], len(values) - blanks[1]
    np.testing.assert_allclose(series.values, values[begin:end], rtol=1e-15)
    np.testing.assert_array_equal(series.known[:, 0], flags[begin:])
    if given_options or form not in ("%y%m%d", "%d.%m.%y"):  # whose century is a guess that is said
        np.testing.assert_array_equal(series.dates, dates[begin:end])
    assert series.filled == 0
    guessed = newest or truth or title or sum(blanks) * (missing in ("null", "?", "-", "N/A")) or blanks[0]
    guessed = guessed or closed or sign != "{}"  # rows that end with a separator, and units
    assert table.notes if guessed else True


VALID = "date,value,open\n" + "".join(f"2021-01-{day:02d},{day}.5,{day % 2}\n" for day in range(1, 20))


@pytest.mark.parametrize("fill", [False, True])
@settings(max_examples=at_most(200), deadline=None, derandomize=True, database=None)
@given(
    spots=edits(
        *(b",", b";", b"\n", b'"', b"2021Q1", b"210101", b"Jan-49", b"1609459200", b"1958.2027", b"Z", b"+01:00"),
        *(
            b"1,234.50",
            b"1.234,5",
            b"TRUE",
            b"null",
            b"?",
            b"-",
            b"N/A",
            b"date,value,open\n",
            b"0000-00-00",
            b"5%",
            b"(5)",
            b"$5",
            b"# ",
            b"sep=;\n",
            b"1.201",
            b"01-Jan",
            b"2000-1",
            b" EST",
            b"9999-12-31",
        ),
    )
)
@example(spots=[Edit("insert", 16, b"title\n")])
@example(spots=[Edit("overwrite", 16, b"9999-12-31")])
def test_damaged_series(spots, fill, folder):
    """An error with the name of the file, or finite numbers at dates that are one step apart."""
    path = folder / f"{next(numbers)}.csv"
    path.write_bytes(damage(VALID.encode(), spots))
    table = load(path, Format(), fill)
    if table is None:
        return
    for series in table.series:
        assert np.isfinite(series.values).all()
        assert np.isfinite(series.known).all()
        steps = table.frequency.after(series.dates[0], np.arange(len(series.dates)))
        np.testing.assert_array_equal(steps, series.dates)


WORDS = st.text(st.sampled_from("0123456789-/:.TZQWM ,+JanuryFebPM"), min_size=1, max_size=24)
SHAPES = st.from_regex(r"(\d{1,4}[-/. ]){0,3}\d{1,4}( \d{1,2}:\d\d(:\d\d)?)?", fullmatch=True)


@settings(max_examples=at_most(200), deadline=None, derandomize=True, database=None)
@given(
    words=st.lists(WORDS | SHAPES, min_size=1, max_size=5),
    form=st.none()
    | st.sampled_from((*DAYS, "%YQ%q", "%q", "%", "excel", "fiscal-year", "fractional-year", "%Y-%W", "%Y%H")),
    zone=st.none() | st.sampled_from(("Europe/Berlin", "America/New_York")),
)
@example(words=["0001-01-01", "9999-12-31", "99999999999999999999"], form=None, zone=None)
@example(words=["99999999999", "1", "2"], form="epoch-ms", zone=None)
@example(words=["1e400", "1", "2"], form="epoch-s", zone=None)
def test_dates_of_any_words(words, form, zone, folder):
    path = folder / f"{next(numbers)}.csv"
    rows = "".join(f'"{word}",{number},1\n' for number, word in enumerate(words))
    path.write_text("date,value,open\n" + rows)
    load(path, Format(date_format=form, timezone=zone))
