"""Series from files: what they hold, and one clear error for each thing that can be wrong with one."""

import numpy as np
import pandas
import pytest

from rnnjax.data.frequency import Frequency, infer_frequency
from rnnjax.data.series import Columns, Format, from_table, read_series

DAYS = "date,value\n2001-01-01,1\n2001-01-02,2\n2001-01-03,4\n2001-01-04,8\n"


def dates(*words):
    return np.array(words, "datetime64[s]")


def every(first, step, count, unit):
    return (np.datetime64(first, unit) + step * np.arange(count)).astype("datetime64[s]")


FREQUENCIES = {
    "hours": (every("2001-01-01T05", 1, 9, "h"), Frequency("second", 3600), "1 hour", 24),
    "half hours": (every("2001-01-01T05:00", 30, 9, "m"), Frequency("second", 1800), "1,800 seconds", 48),
    "days": (every("2001-01-01", 1, 9, "D"), Frequency("second", 86_400), "1 day", 7),
    "working days": (
        dates("2001-01-03", "2001-01-04", "2001-01-05", "2001-01-08", "2001-01-09", "2001-01-10"),
        Frequency("working day", 1),
        "1 working day",
        5,
    ),
    "Monday to Saturday": (
        np.delete(every("2001-01-01", 1, 28, "D"), [6, 13, 20, 27]),
        Frequency("working day", 1, week="1111110"),
        "1 day from Monday to Saturday",
        6,
    ),
    "Sunday to Thursday": (
        np.delete(every("2001-01-07", 1, 28, "D"), [5, 6, 12, 13, 19, 20, 26, 27]),
        Frequency("working day", 1, week="1111001"),
        "1 day from Sunday to Thursday",
        5,
    ),
    "hours on four days of a week": (
        np.concatenate(
            [every(f"2001-01-{day:02d}T05", 1, 6, "h") for day in (1, 2, 4, 5, 8, 9, 11, 12, 15, 16, 18, 19)]
        ),
        Frequency("second", 3600, opens=5 * 3600, slots=6, week="1101100"),
        "1 hour from 05:00 to 10:00 on Monday, Tuesday, Thursday, Friday",
        6,
    ),
    "weeks": (every("2001-01-01", 7, 9, "D"), Frequency("second", 7 * 86_400), "1 week", 52),
    "months": (every("2000-11", 1, 9, "M"), Frequency("month", 1), "1 month", 12),
    "middles of months": (
        every("2000-11", 1, 9, "M") + np.timedelta64(14, "D"),
        Frequency("month", 1),
        "1 month",
        12,
    ),
    "ends of months": (
        dates("2001-01-31", "2001-02-28", "2001-03-31"),
        Frequency("month", 1, month_end=True),
        "1 month",
        12,
    ),
    "last working days of months": (
        dates("2001-03-30", "2001-04-30", "2001-05-31", "2001-06-29", "2001-07-31", "2001-08-31", "2001-09-28"),
        Frequency("month", 1, working_end=True),
        "1 month",
        12,
    ),
    "quarters": (every("2001-01", 3, 9, "M"), Frequency("month", 3), "1 quarter", 4),
    "years": (every("1700", 1, 9, "Y"), Frequency("month", 12), "1 year", 1),
}


@pytest.mark.parametrize(("given", "frequency", "name", "season"), FREQUENCIES.values(), ids=FREQUENCIES)
def test_the_frequency_is_known_from_the_dates(given, frequency, name, season):
    assert infer_frequency(given) == frequency
    assert (str(frequency), frequency.season) == (name, season)
    np.testing.assert_array_equal(frequency.after(given[0], np.arange(len(given))), given)


def test_a_date_that_is_missing_does_not_change_the_frequency():
    given = every("2001-01", 1, 20, "M")
    assert infer_frequency(np.delete(given, [3, 4, 9])) == Frequency("month", 1)
    days = every("2001-01-01", 1, 20, "D")
    assert infer_frequency(np.delete(days, [3])) == Frequency("second", 86_400)


def test_the_calendar_goes_round():
    hours = Frequency("second", 3600)
    found = hours.calendar(dates("2001-01-01T06:00", "2001-01-04T12:00"), ("day", "week"))
    # 1 January 2001 was a Monday: a quarter of a day, and half a week with 4 January's noon.
    monday = 2 * np.pi * 6 / (7 * 24)
    np.testing.assert_allclose(found[0], [1, 0, np.sin(monday), np.cos(monday)], atol=1e-12)
    np.testing.assert_allclose(found[1], [0, -1, 0, -1], atol=1e-12)
    assert hours.calendar(dates("2001-01-01"), ("day", "week", "year")).shape == (1, 6)
    assert Frequency("second", 86_400).calendar(dates("2001-01-01"), ("day", "week", "year")).shape == (1, 4)
    months = Frequency("month", 1).calendar(dates("2001-01-01", "2001-07-02T15:00"), ("day", "week", "year"))
    np.testing.assert_allclose(months, [[0, 1], [0, -1]], atol=0.01)


def read(tmp_path, text, columns=Columns(), **options):  # noqa: B008, it is frozen
    path = tmp_path / "file.csv"
    path.write_text(text)
    return read_series(path, columns, **options)


def test_one_series(tmp_path):
    table = read(tmp_path, DAYS)
    (series,) = table.series
    assert (series.name, table.frequency, series.filled) == ("value", Frequency("second", 86_400), 0)
    np.testing.assert_array_equal(series.dates, every("2001-01-01", 1, 4, "D"))
    np.testing.assert_array_equal(series.values, [1, 2, 4, 8])
    assert series.extra.shape == (4, 0)


def test_several_series_in_rows_and_columns(tmp_path):
    text = "day,who,a,b,c\n" + "".join(
        f"2001-01-0{day},{who},{day},{day * 10},{day * 100}\n" for day in (1, 2, 3) for who in ("x", "y")
    )
    table = read(tmp_path, text, Columns(("day",), ("a", "b"), ("who",), ("c",)))
    assert [series.name for series in table.series] == ["x a", "x b", "y a", "y b"]
    np.testing.assert_array_equal(table.series[3].values, [10, 20, 30])
    np.testing.assert_array_equal(table.series[3].extra, [[100], [200], [300]])
    one = read(tmp_path, text, Columns(("day",), ("a",), ("who",)))
    assert [series.name for series in one.series] == ["x", "y"]


def test_dates_of_other_forms(tmp_path):
    years = read(tmp_path, "date,value\n1700,1\n1701,2\n1702,3\n")
    assert str(years.frequency) == "1 year"
    words = read(tmp_path, "date,value\nJan 1 2000,1\nFeb 1 2000,2\nMar 1 2000,3\n")
    assert (str(words.frequency), words.series[0].dates[2]) == ("1 month", np.datetime64("2000-03-01"))
    # The thirteenth is no month: the first ones are days, too.
    days = "date,value\n" + "".join(f"{day}.01.2001,1\n" for day in range(11, 16))
    for text, form, step, last in (
        (days, None, "1 day", "2001-01-15"),
        ("date,value\n01/01/2001,1\n01/02/2001,1\n01/03/2001,1\n", "%d/%m/%Y", "1 month", "2001-03-01"),
        ("date,value\n01/01/2001,1\n01/02/2001,1\n01/03/2001,1\n", "%m/%d/%Y", "1 day", "2001-01-03"),
    ):
        found = read(tmp_path, text, form=Format(date_format=form))
        assert (str(found.frequency), found.series[0].dates[-1]) == (step, np.datetime64(last))
    # Clocks that were put forward do not make a gap where the offset is told.
    zone = read(tmp_path, "date,value\n2001-03-25 01:00+01:00,1\n2001-03-25 03:00+02:00,2\n2001-03-25 04:00+02:00,3\n")
    assert (str(zone.frequency), zone.series[0].dates[0]) == ("1 hour", np.datetime64("2001-03-25T00:00"))


def test_what_is_missing_is_filled_with_what_was_known_by_then(tmp_path):
    gaps = "date,value\n2001-01-01,1\n2001-01-02,\n2001-01-03,3\n2001-01-06,6\n2001-01-07,NA\n2001-01-08,7\n"
    (series,) = read(tmp_path, gaps, fill=True).series
    np.testing.assert_array_equal(series.values, [1, 1, 3, 3, 3, 6, 6, 7])
    assert (len(series.dates), series.filled) == (8, 4)


BAD_FILES = {
    "empty": ("", "expected a line of column names and at least one row, got an empty file"),
    "header only": ("date,value\n", "expected at least one row, got none"),
    "one line": (
        "date,value\n2001-01-01,1\n",
        "'value': expected at least 3 dates to infer their frequency",
    ),
    "column": ("date,price\n2001-01-01,1\n", "expected a column 'value', got ['date', 'price']"),
    "date": (
        DAYS + "tomorrow,3\n",
        "line 6: expected a date in column 'date', got 'tomorrow'; --date-format gives the format",
    ),
    "no date": (DAYS + ",3\n", "line 6: expected a date in column 'date', got ''"),
    "nan": (
        DAYS + "2001-01-05,NaN\n2001-01-06,1\n",
        "line 6, 'value', 2001-01-05T00:00:00: expected a number in column 'value', got 'NaN'; --fill",
    ),
    "empty number": (
        DAYS + "2001-01-05,\n2001-01-06,1\n",
        "2001-01-05T00:00:00: expected a number in column 'value', got ''; --fill",
    ),
    "word": (DAYS + "2001-01-05,much\n", "2001-01-05T00:00:00: expected a number in column 'value', got 'much'; --m"),
    "infinite": (DAYS + "2001-01-05,inf\n", "expected a number in column 'value', got 'inf'\n"),
    "gap": (
        DAYS + "2001-01-07,3\n",
        "expected dates 1 day apart, got none at 2001-01-05T00:00:00 (2 missing in total); ",
    ),
    "duplicate": (DAYS + "2001-01-04,3\n", "'value': expected every date once, got 2001-01-04T00:00:00 twice"),
    "unsorted": (
        DAYS + "2001-01-02,3\n",
        "expected increasing dates, got 2001-01-02T00:00:00 after 2001-01-04T00:00:00",
    ),
    "between": (
        DAYS + "2001-01-05 12:00,3\n",
        "expected dates 1 day apart, starting at 2001-01-01T00:00:00, got 2001-01-05T1",
    ),
    "far apart": (DAYS + "2201-01-01,3\n", "expected most dates to be present, 1 day apart, got 5 of about"),
    "ragged": (DAYS + "2001-01-05,1,2,3\n", "not readable as CSV"),
    "decimal commas": (
        "date,value\n2001-01-01,1,5\n2001-01-02,1,7\n",
        "line 2: not readable as CSV: expected 2 values separated by ',', got 3",
    ),
    "semicolons": (
        "day;value\n2001-01-01;1,5\n",
        "line 1: expected the columns ['date', 'value'], got 'day;value'; --separator",
    ),
    "name twice": ("date,value,value\n2001-01-01,1,2\n", "expected every column name once, got ['date', 'value', 'v"),
    "day or month": (
        "date,value\n" + "".join(f"01/0{month}/2001,1\n" for month in range(1, 6)),
        "line 3: expected unambiguous dates in column 'date', got '01/02/2001'; set --date-format to one of '%d/%m/%Y' "
        "(2001-02-01), '%m/%d/%Y' (2001-01-02)",
    ),
}


def message(tmp_path, text, **options):
    with pytest.raises(ValueError, match=r"file\.csv") as error:
        read(tmp_path, text, **options)
    return f"{error.value}\n"


@pytest.mark.parametrize(("text", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(text, words, tmp_path):
    found = message(tmp_path, text)
    assert words in found
    assert found.count("\n") == 1


def test_bad_series_among_several_is_named(tmp_path):
    text = "date,value,who\n" + "".join(f"2001-01-0{day},{day},{who}\n" for who in "xy" for day in (1, 2, 3))
    columns = Columns(series=("who",))
    assert len(read(tmp_path, text, columns).series) == 2
    twice = message(tmp_path, text + "2001-01-03,1,y\n", columns=columns)
    assert twice.endswith("'y': expected every date once, got 2001-01-03T00:00:00 twice\n")
    assert "got 2001-01-01T00:00:00 after 2001-01-03T00:00:00; for several series, set --series 'who'" in message(
        tmp_path, text
    )
    other = text + "".join(f"2001-0{month}-01,1,z\n" for month in (1, 2, 3))
    assert "'z': expected dates 1 day apart, as in 'x', got 1 month" in message(tmp_path, other, columns=columns)


def test_what_cannot_be_filled(tmp_path):
    lost = "date,value\n2001-01-01,1\n2001-01-02,1\n2001-02-01,1\n"
    assert "got 3 of 32 with all numbers; --fill-limit 29 fills them" in message(tmp_path, lost, fill=True)
    assert "got 'much'" in message(tmp_path, DAYS + "2001-01-05,much\n", fill=True)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="source: expected a file, got"):
        read_series(tmp_path / "none.csv", Columns())
    path = tmp_path / "bytes.csv"
    path.write_bytes(b"date,value\n2001-01-01,\xff\n")
    with pytest.raises(
        ValueError, match=r"bytes\.csv: expected UTF-8, got an invalid byte near offset 22, line 2; --encoding"
    ):
        read_series(path, Columns())
    path.write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(ValueError, match="expected the data itself, got an archive or a compressed file"):
        read_series(path, Columns())


def test_a_table_that_is_there_already():
    table = pandas.DataFrame({"date": pandas.date_range("2001-01-01", periods=5), "value": [1.0, 2.0, 3.0, None, None]})
    for rows in (table.iloc[:3], table):
        assert from_table(rows, Columns(), "table").series[0].values.tolist() == [1, 2, 3]
    table.loc[[1, 3], "value"] = np.nan, 4
    with pytest.raises(ValueError, match="table, row 2, 'value', 2001-01-02T00:00:00: expected a number"):
        from_table(table, Columns(), "table")
