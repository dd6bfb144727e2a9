"""Formats, time zones and weeks as users have them: a table of small files, each with what must come of it."""

import datetime

from series_cases import FOUR, ONE_DAY, Case, days, rows

SUNDAYS = [day for day in days(40, "2021-01-03") if datetime.date.fromisoformat(day).weekday() not in (4, 5)]
TWENTY = [datetime.datetime(2021, 1, 13) + datetime.timedelta(day) for day in range(20)]
HOURS = [datetime.datetime(2021, 1, 13, hour) for hour in range(20)]
TWENTY_DAYS, TWENTY_HOURS = "2021-01-13 .. 2021-02-01, 1 day", "2021-01-13 .. 2021-01-13T19:00:00, 1 hour"

CASES = {
    # Formats.
    **{
        f"format {form}": Case(
            "formats", "", rows([f'"{day.strftime(form)}"' for day in TWENTY]), TWENTY_DAYS, range(1, 21), note=form
        )
        for form in (
            *("%Y%j", "%Y-%j", "%a, %d %b %Y", "%A %d %B %Y", "%a %Y-%m-%d", "%d/%m/%Y (%a)", "%Y.%m.%d", "%d.%m.%Y."),
            *("%b. %d, %Y", "%Y/%b/%d", "%d%b%Y", "%a %b %d %H:%M:%S %Y"),
        )
    },
    **{
        f"hours {form}": Case(
            "formats", "", rows([f'"{hour.strftime(form)}"' for hour in HOURS]), TWENTY_HOURS, range(1, 21), note=note
        )
        for form, note in (
            *(
                (form, form)
                for form in ("%Y-%m-%d %H", "%Y-%m-%dT%H", "%Y-%m-%d %I%p", "%Y%m%dT%H%M%S", "%Y%m%d %H:%M")
            ),
            *(("%d.%m.%Y %H:%M GMT", "%z"), ("%Y-%m-%d %H:%M:%S,000", ""), ("%Y-%m-%d %H:%M UTC", "")),
            *(("%Y-%m-%d %H:%M:%S+00", ""), ("%Y-%m-%d %H:%M:%S +0000", ""), ("%a, %d %b %Y %H:%M:%S GMT", "%z")),
        )
    },
    "midnight as 24:00": Case(
        "formats",
        "",
        rows(["2021-01-01 22:00", "2021-01-01 23:00", "2021-01-01 24:00", "2021-01-02 01:00"]),
        "2021-01-01T22:00:00 .. 2021-01-02T01:00:00, 1 hour",
        FOUR,
    ),
    "hours from 1 to 24": Case(
        "formats",
        "",
        rows([f"2021-01-0{day} {hour}" for day in (1, 2) for hour in range(1, 25)]),
        "2021-01-01T01:00:00 .. 2021-01-03, 1 hour",
        range(1, 49),
        note="%Y-%m-%d %H",
    ),
    "other hyphens": Case("formats", "", rows([day.replace("-", "\u2011") for day in days(4)]), ONE_DAY, FOUR),
    "ordinal numbers": Case(
        "formats",
        "",
        rows(["1st Jan 2021", "2nd Jan 2021", "3rd Jan 2021", "4th Jan 2021"]),
        ONE_DAY,
        FOUR,
        note="%d %b %Y",
    ),
    "names in German": Case("formats", "", rows(["1. M\u00e4rz 2021"] * 3), error="in which names of months"),
    "another format fits": Case(
        "formats",
        "",
        rows([f"{day}/01/2021" for day in range(13, 17)]),
        form={"date_format": "%m/%d/%Y"},
        error="with the format '%m/%d/%Y', got '13/01/2021'; set --date-format to '%d/%m/%Y' (2021-01-13, ...)",
    ),
    "format of spreadsheets": Case(
        "formats",
        "",
        rows(days(4)),
        form={"date_format": "YYYY-MM-DD"},
        error="got 'YYYY-MM-DD'; set --date-format to 'ISO8601' (2021-01-01, ...)",
    ),
    "format without a year": Case(
        "formats",
        "",
        rows(["01/01", "02/01"]),
        form={"date_format": "%d/%m"},
        error="the year may be in a",
    ),
    "unrelated format": Case(
        "formats", "", rows(["Monday"] * 3), error="expected a date in column 'date', got 'Monday'"
    ),
    "century without use": Case(
        "formats", "", rows(days(4)), ONE_DAY, FOUR, form={"century": 1900}, note="leave out --c"
    ),
    "half seconds": Case(
        "formats",
        "",
        rows([f"2021-01-01T00:00:0{n // 2}.{n % 2 * 5}" for n in range(6)]),
        error="line 3: expected at most one time in each second, got 2021-01-01T00:00:00.5",
    ),
    "parts of seconds": Case(
        "formats",
        "",
        rows([f"2021-01-01T00:00:0{n}.25" for n in FOUR]),
        "2021-01-01T00:00:01 .. 2021-01-01T00:00:04, 1 second",
        FOUR,
        note="fractions of a second",
    ),
    # Time zones of dates that need none.
    **{
        f"zone and {name}": Case(
            "zones",
            "",
            rows(words),
            "2021-07-01 .. 2021-07-01T03:00:00, 1 hour",
            FOUR,
            note="dates have offsets or are UTC, and are not changed",
            form={"timezone": "Europe/Berlin", **form},
        )
        for name, words, form in (
            ("Z", [f"2021-07-01T0{hour}:00Z" for hour in range(4)], {}),
            ("an offset", [f"2021-07-01T0{hour + 2}:00+02:00" for hour in range(4)], {}),
            ("UTC", [f"2021-07-01 0{hour}:00 UTC" for hour in range(4)], {}),
            ("seconds", [1625097600 + 3600 * hour for hour in range(4)], {"date_format": "epoch-s"}),
            ("milliseconds", [1000 * (1625097600 + 3600 * hour) for hour in range(4)], {"date_format": "epoch-ms"}),
            ("a format with Z", [f"2021-07-01T0{hour}Z" for hour in range(4)], {"date_format": "%Y-%m-%dT%HZ"}),
            (
                "a format with an offset",
                [f"01.07.2021 0{h}:00+00:00" for h in range(4)],
                {"date_format": "%d.%m.%Y %H:%M%z"},
            ),
        )
    },
    "zone of local times": Case(
        "zones",
        "",
        rows([f"2021-07-01T0{hour + 2}:00" for hour in range(4)]),
        "2021-07-01 .. 2021-07-01T03:00:00, 1 hour",
        FOUR,
        form={"timezone": "Europe/Berlin"},
    ),
    "zone of days": Case(
        "zones", "", rows(days(4)), ONE_DAY, FOUR, form={"timezone": "Europe/Berlin"}, note="days are the same in every"
    ),
    "midnights in UTC": Case(
        "zones",
        "",
        rows([f"2021-{day}:00:00Z" for day in ("03-26T23", "03-27T23", "03-28T22", "03-29T22")]),
        "2021-03-27 .. 2021-03-30, 1 day",
        FOUR,
        form={"timezone": "Europe/Berlin"},
        note="dates are midnights in Europe/Berlin: local dates",
    ),
    "midnights in UTC, no zone": Case(
        "zones",
        "",
        rows([f"2021-{day}:00:00Z" for day in ("03-26T23", "03-27T23", "03-28T22", "03-29T22")]),
        error="got 2021-03-28T22:00:00; for midnights of a time zone that are written in UTC, --timezone, such as",
    ),
    "midnights in UTC, without Z": Case(
        "zones",
        "",
        rows([f"2021-{day}:00:00" for day in ("03-26T23", "03-27T23", "03-28T22", "03-29T22")]),
        error="that are written in UTC, write Z after the times, and set --timezone, such as",
    ),
    "names of zones": Case(
        "zones",
        "",
        rows(["2021-11-07 00:00 EDT", "2021-11-07 01:00 EDT", "2021-11-07 01:00 EST", "2021-11-07 02:00 EST"]),
        "2021-11-07T04:00:00 .. 2021-11-07T07:00:00, 1 hour",
        FOUR,
        form={"timezone": "America/New_York"},
    ),
    "names of zones, no zone": Case(
        "zones",
        "",
        rows([f"2021-11-07 0{h}:00 EST" for h in range(4)]),
        error="set --timezone to the zone with",
    ),
    "names of another zone": Case(
        "zones",
        "",
        rows([f"2021-07-07 0{h}:00 EST" for h in range(4)]),
        form={"timezone": "America/New_York"},
        error="line 2: timezone: expected a time of America/New_York with its name, got 2021-07-07 00:00:00 EST",
    ),
    "skipped hour, no zone": Case(
        "zones",
        "",
        rows([f"2021-03-28 0{h}:00" for h in (0, 1, 3, 4)]),
        error="got none at 2021-03-28T02:00:00 (1 missing in total); --timezone, such as Europe/Berlin, if the clock",
    ),
    # Weeks with other days.
    **{
        f"weeks of {words}": Case(
            "weeks",
            "",
            rows(some),
            f"{some[0]} .. {some[-1]}, 1 day from {words}",
            range(1, len(some) + 1),
            note="other days are no steps",
        )
        for words, free in (("Sunday to Thursday", (4, 5)), ("Monday to Saturday", (6,)), ("Tuesday to Sunday", (0,)))
        for some in [[day for day in days(40) if datetime.date.fromisoformat(day).weekday() not in free]]
    },
    "week of Monday to Saturday, a day missing": Case(
        "weeks",
        "",
        rows([day for day in days(40) if datetime.date.fromisoformat(day).weekday() != 6 and day != "2021-01-20"]),
        error="expected dates 1 day from Monday to Saturday apart, got none at 2021-01-20T00:00:00 (1 missing",
    ),
    "one Sunday missing": Case(
        "weeks", "", rows([day for day in days(12) if day != "2021-01-10"]), error="got none at 2021-01-10T00:00:00"
    ),
    "hours of a week from Sunday to Thursday": Case(
        "weeks",
        "",
        rows([f"{day} {hour:02d}:00" for day in SUNDAYS for hour in range(9, 15)]),
        f"{SUNDAYS[0]}T09:00:00 .. {SUNDAYS[-1]}T14:00:00, 1 hour from 09:00 to 14:00 on Sunday to Thursday",
        range(1, 6 * len(SUNDAYS) + 1),
        note="other hours are no steps",
    ),
}
