"""Dates as users have them: a table of small files, each with what must come of it."""

import numpy as np
from series_cases import FOUR, ONE_DAY, Case, days, rows

from rnnjax.data.series import Columns

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
YEAR = [f"{year}{month:02d}" for year in (2010, 2011) for month in range(1, 13)]
QUARTERS = [f"{year}Q{quarter}" for year in (2021, 2022) for quarter in range(1, 5)]
JANUARY = [f"2101{day:02d}" for day in range(1, 32)]
FORTIES = [f"{month}-{year}" for year in (49, 50) for month in MONTHS]
AUTUMN = [f"2021-10-31 0{hour}:00" for hour in (0, 1, 2, 2, 3, 4)]
WORKING = [day for day in days(40) if np.is_busday(day)]
TRADING = [f"{day} {hour:02d}:30" for day in WORKING[:12] for hour in range(9, 16)]
TWO_YEARS, FIFTIES = "2010-01-01 .. 2011-12-01, 1 month", "1949-01-01 .. 1950-12-01, 1 month"

CASES = {
    # Dates that may be read in several ways.
    "yymmdd": Case("dates", "", rows(JANUARY), error="set --date-format to one of '%y%m%d' (2021-01-01), '%d%m%y'"),
    "yymmdd given": Case(
        "dates", "", rows(JANUARY), "2021-01-01 .. 2021-01-31, 1 day", range(1, 32), form={"date_format": "%y%m%d"}
    ),
    "yyyymm": Case("dates", "", rows(YEAR), error="set --date-format to one of '%Y%m' (2010-01-01), '%y%m%d' (2020-10"),
    "yyyymm given": Case("dates", "", rows(YEAR), TWO_YEARS, range(1, 25), form={"date_format": "%Y%m"}),
    "yyyymmdd": Case("dates", "", rows([f"202101{day:02d}" for day in range(1, 5)]), ONE_DAY, FOUR),
    "years": Case("dates", "", rows(range(1700, 1704)), "1700-01-01 .. 1703-01-01, 1 year", FOUR),
    "years or months": Case(
        "dates", "", rows(range(2001, 2005)), "2001-01-01 .. 2004-01-01, 1 year", FOUR, note="--date-format %Y"
    ),
    "day or month": Case(
        "dates",
        "pandas-dev/pandas#14301",
        rows([f"0{day}/01/2021" for day in range(1, 5)]),
        error="set --date-format to one of '%d/%m/%Y' (2021-01-02), '%m/%d/%Y' (2021-02-01)",
    ),
    "day first": Case(
        "dates",
        "pandas-dev/pandas#25847",
        rows([f"{day:02d}/01/2018" for day in range(1, 32)]),
        "2018-01-01 .. 2018-01-31, 1 day",
        range(1, 32),
        note="%d/%m/%Y",
    ),
    "century": Case("dates", "pola-rs/polars#17213", rows(FORTIES), error="--date-format '%b-%y'; set --century 1900"),
    "century given": Case("dates", "", rows(FORTIES), FIFTIES, range(1, 25), note="%b-%y", form={"century": 1900}),
    "century and format": Case(
        "dates", "", rows(FORTIES), FIFTIES, range(1, 25), form={"century": 1900, "date_format": "%b-%y"}
    ),
    "29 February": Case(
        "dates", "", rows(["28/02/00", "29/02/00", "01/03/00"]), error="got '29/02/00'", form={"century": 1900}
    ),
    # Months, quarters, weeks.
    "month": Case("periods", "", rows([f"{y[:4]}-{y[4:]}" for y in YEAR]), TWO_YEARS, range(1, 25)),
    "name of month": Case(
        "periods", "", rows([f"{m} {y}" for y in (2010, 2011) for m in MONTHS]), TWO_YEARS, range(1, 25), note="%b %Y"
    ),
    "quarter": Case("periods", "", rows(QUARTERS), "2021-01-01 .. 2022-10-01, 1 quarter", range(1, 9), note="%YQ%q"),
    "quarter given": Case(
        "periods",
        "",
        rows([f"{word[5]}. quarter {word[:4]}" for word in QUARTERS]),
        "2021-01-01 .. 2022-10-01, 1 quarter",
        range(1, 9),
        form={"date_format": "%q. quarter %Y"},
    ),
    "fifth quarter": Case(
        "periods", "", rows(["2021Q1", "2021Q2", "2021Q5"]), error="line 4: expected a date in column"
    ),
    "week": Case(
        "periods", "", rows([f"2021-W0{n}" for n in FOUR]), "2021-01-04 .. 2021-01-25, 1 week", FOUR, note="%G-W%V"
    ),
    # Dates as numbers.
    "epoch": Case(
        "numbered",
        "",
        rows([1609459200 + 86400 * day for day in range(4)]),
        ONE_DAY,
        FOUR,
        note="epoch-s",
    ),
    "milliseconds": Case(
        "numbered", "", rows([1000 * (1609459200 + 86400 * day) for day in range(4)]), ONE_DAY, FOUR, note="epoch-ms"
    ),
    "epoch or hours": Case(
        "numbered",
        "",
        rows([f"20210101{h:02d}" for h in range(4)]),
        error="one of 'epoch-s' (2034-01-16 07:41:40), '%Y",
    ),
    "epoch given": Case(
        "numbered",
        "",
        rows([0, 86400, 172800]),
        "1970-01-01 .. 1970-01-03, 1 day",
        (1, 2, 3),
        form={"date_format": "epoch-s"},
    ),
    "fractional years": Case(
        "numbered",
        "",
        rows([f"{2010 + (month + 0.5) / 12:.3f}" for month in range(24)]),
        TWO_YEARS,
        range(1, 25),
        note="fractional-year",
    ),
    "fractional years, late in the month": Case(
        "numbered",
        "",
        rows([f"{2010 + (month + 0.7) / 12:.3f}" for month in range(24)]),
        TWO_YEARS,
        range(1, 25),
        note="fractional-year",
    ),
    "fractional days": Case(
        "numbered",
        "",
        rows([f"{2000 + day / 366:.5f}" for day in range(9)]),
        error="expected a date in column 'date', got '2000.00000'",
    ),
    # Clocks.
    "doubled hour": Case("clocks", "", rows(AUTUMN), error="got 2021-10-31T02:00:00 twice; --timezone"),
    "doubled hour, zone": Case(
        "clocks",
        "",
        rows(AUTUMN),
        "2021-10-30T22:00:00 .. 2021-10-31T03:00:00, 1 hour",
        range(1, 7),
        form={"timezone": "Europe/Berlin"},
    ),
    "doubled hour, newest first": Case(
        "clocks",
        "",
        rows(AUTUMN[::-1], range(6, 0, -1)),
        "2021-10-30T22:00:00 .. 2021-10-31T03:00:00, 1 hour",
        range(1, 7),
        note="newest",
        form={"timezone": "Europe/Berlin"},
    ),
    "doubled hour only once": Case(
        "clocks",
        "pandas-dev/pandas#14402",
        rows(AUTUMN[:3] + AUTUMN[4:]),
        error="line 4, 'value': timezone: expected local times of Europe/Berlin, with the last hour of summer ti",
        form={"timezone": "Europe/Berlin"},
    ),
    "doubled quarters mixed": Case(
        "clocks",
        "pandas-dev/pandas#29031",
        rows([f"2018-10-28 0{h}:{m:02d}" for h in (1, 2, 3) for m in (0, 15, 30, 45) for _ in range(1 + (h == 2))]),
        error="line 6, 'value': timezone: expected",
        form={"timezone": "Europe/Berlin"},
    ),
    "skipped hour": Case(
        "clocks",
        "",
        rows([f"2021-03-28 0{h}:00" for h in range(4)]),
        error="02:00:00",
        form={"timezone": "Europe/Berlin"},
    ),
    "days with offsets": Case(
        "clocks",
        "",
        rows([f"2021-03-{day}T00:00+0{1 + (day > 28)}:00" for day in range(27, 31)]),
        "2021-03-27 .. 2021-03-30, 1 day",
        FOUR,
        note="local dates",
    ),
    "some offsets": Case(
        "clocks",
        "",
        rows(["2021-01-01T00:00Z", "2021-01-01T01:00", "2021-01-01T02:00Z"]),
        error="an offset in all dates",
    ),
    # Days and hours that are left out.
    "working days": Case(
        "hours",
        "unit8co/darts#1854",
        rows(WORKING),
        f"{WORKING[0]} .. {WORKING[-1]}, 1 working day",
        range(1, len(WORKING) + 1),
    ),
    "holiday": Case(
        "hours",
        "unit8co/darts#2368",
        rows(WORKING[:10] + WORKING[11:]),
        error="expected dates 1 working day apart, got none at 2021-01-15T00:00:00 (1 missing in total); --fill",
    ),
    "trading hours": Case(
        "hours",
        "unit8co/darts#2861",
        rows(TRADING),
        f"2021-01-01T09:30:00 .. {WORKING[11]}T15:30:00, 1 hour from 09:30 to 15:30 on working days",
        range(1, len(TRADING) + 1),
        note="other hours are no steps",
    ),
    "trading half day": Case(
        "hours",
        "unit8co/darts#1057",
        rows(TRADING[:11] + TRADING[14:]),
        error="got none at 2021-01-04T13:30:00 (3 missing in total); --fill",
    ),
    # Numbers and years that are not what they seem.
    **{
        f"numbers from {first}": Case("names", "", rows(range(first, first + 12)), error=error)
        for first, error in (
            (1, "got '1'; --date names the column of dates"),
            (1001, "got '1001'; set --date-format to '%Y' (1001-01-01, ...) or '%y%m' (2010-01-01, ...)"),
            (10001, "got '10001'; set --date-format to 'excel' (1927-05-19, ...) or '%y%j' (2010-01-01, ...)"),
            (100001, "got '100001'; --date names the column of dates"),
            (
                100000001,
                "got numbers that count rows, 100000001, 100000002, ...; set --date-format to 'epoch-s' (1",
            ),
        )
    },
    "months of two digits": Case(
        "names",
        "",
        rows([word[2:] for word in YEAR]),
        error="got '1001'; set --date-format to '%Y' (1001-01-01, ...",
    ),
    "years with gaps, or months": Case(
        "names",
        "",
        rows([f"{year}{month:02d}" for year in (19, 20) for month in range(1, 13)]),
        error="set --date-format to one of '%Y' (1901-01-01), '%y%m' (2019-01-01)",
    ),
    "days of spreadsheets": Case("names", "", rows(range(44197, 44201)), ONE_DAY, FOUR, form={"date_format": "excel"}),
    **{
        f"days or years: {words[0]}": Case("names", "", rows(words), error=error)
        for words, error in (
            (
                [f"{day:02d}-Jan" for day in range(1, 21)],
                "set --date-format to '%y-%b' (2001-01-01), or give a year in",
            ),
            (
                [f"Jan-{day:02d}" for day in range(1, 21)],
                "set --date-format to '%b-%y' (2001-01-01), or give a year in",
            ),
            ([f"{day:02d}-{m}" for m in MONTHS[:2] for day in (10, 20)], "set --date-format to '%y-%b' (2010-01-01)"),
            ([f"01-{m}" for m in MONTHS], "set --date-format to '%y-%b' (2001-01-01), or give a year"),
            ([f"{day:02d}/01" for day in range(1, 21)], "set --date-format to '%y/%m' (2001-01-01), or give a year"),
            (
                [f"{day}-Jan" for day in range(1, 9)],
                "got '1-Jan'; a date needs a year, which may be in a",
            ),
        )
    },
    "months of one year": Case(
        "names",
        "",
        rows([f"{m}-20" for m in MONTHS]),
        "2020-01-01 .. 2020-12-01, 1 month",
        range(1, 13),
        note="'%b-%y'",
    ),
    "year in a column": Case(
        "names",
        "",
        "year,day,value\n" + "".join(f"2021,{n}-Jan,{n}\n" for n in FOUR),
        ONE_DAY,
        FOUR,
        columns=Columns(("year", "day")),
        note="%Y %d-%b",
    ),
    "year in a column after the day": Case(
        "names",
        "",
        "day,year,value\n" + "".join(f"{n}/01,2021,{n}\n" for n in range(12, 16)),
        "2021-01-12 .. 2021-01-15, 1 day",
        range(12, 16),
        columns=Columns(("day", "year")),
        note="%d/%m %Y",
    ),
    "years of two numbers, or months": Case(
        "names",
        "",
        rows([f"{year}-{year % 100 + 1:02d}" for year in range(2000, 2011)]),
        error="got '2001-02'; set --date-format to one of 'fiscal-year' (2001-01-01), '%Y-%m' (2001-02-01)",
    ),
    **{
        f"years of two numbers: {words[0]}": Case(
            "names", "", rows(words), "1998-01-01 .. 2001-01-01, 1 year", FOUR, note="'fiscal-year'"
        )
        for words in (
            ("1998-99", "1999-00", "2000-01", "2001-02"),
            ("1998/1999", "1999/2000", "2000/2001", "2001/2002"),
            ("98/99", "99/00", "00/01", "01/02"),
            ("FY 1998-99", "FY 1999-00", "FY 2000-01", "FY 2001-02"),
        )
    },
    "years of two numbers, given": Case(
        "names",
        "",
        rows(["2000-01", "2001-02", "2002-03"]),
        "2000-01-01 .. 2002-01-01, 1 year",
        (1, 2, 3),
        form={"date_format": "fiscal-year"},
    ),
    **{
        f"quarters or months{mark}": Case(
            "names",
            "",
            rows([f"2000{mark}{quarter}" for quarter in FOUR]),
            error=f"set --date-format to one of '%Y{mark}%m' (2000-02-01), '%Y{mark}%q' (2000-04-01)",
        )
        for mark in "-/ :"
    },
    **{
        f"quarters {form}": Case(
            "periods",
            "",
            rows([form.format(year=year, short=year % 100, q=q) for year in (2021, 2022) for q in FOUR]),
            "2021-01-01 .. 2022-10-01, 1 quarter",
            range(1, 9),
            note="%q",
        )
        for form in (
            *("{year}-{q}", "{q}/{year}", "{year}.{q}", "{q}Q{year}", "{q}Q{short}", "Q{q}'{short}", "q{q} {year}"),
            *("Q{q}{year}", "{short}Q{q}", "{year} Q{q}"),
        )
    },
    **{
        f"weeks {form}": Case(
            "periods",
            "",
            rows([form.format(2021 + (n > 52), n - 52 * (n > 52)) for n in range(1, 105)]),
            "2021-01-04 .. 2022-12-26, 1 week",
            range(1, 105),
            note="%V",
        )
        for form in ("{}w{:02d}", "{}-{:02d}", "{}{:02d}", "{}W{:02d}-1")
    },
    "weeks from Sunday, given": Case(
        "periods",
        "",
        rows(["2021-01", "2021-02", "2021-03"]),
        "2021-01-04 .. 2021-01-18, 1 week",
        (1, 2, 3),
        form={"date_format": "%Y-%U"},
    ),
}
