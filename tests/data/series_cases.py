"""Kinds of files that users have: a table of small inputs, each with what must come of it.

`report` is a public report of the kind (repository#number), where one is known.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from rnnjax.data.series import Columns


class Case(NamedTuple):
    """An input, and the series or the error that must come of it."""

    kind: str
    report: str
    text: str | bytes
    dates: str = ""  # first date .. last date, step
    values: Sequence[float] = ()
    error: str = ""  # part of the message, if it must be refused
    note: str = ""  # part of what is said; empty if nothing may be said
    columns: Columns = Columns()
    form: Mapping[str, Any] = MappingProxyType({})
    fill: bool = False
    suffix: str = ".csv"


def rows(dates, values=None, header="date,value"):
    """A file of these dates and values, 1, 2, ... if there are none."""
    values = range(1, len([*dates]) + 1) if values is None else values
    return header + "\n" + "".join(f"{date},{value}\n" for date, value in zip(dates, values, strict=True))


def days(count, first="2021-01-01"):
    return [str(np.datetime64(first) + day) for day in range(count)]


ONE_DAY, FOUR = "2021-01-01 .. 2021-01-04, 1 day", (1, 2, 3, 4)
KNOWN = Columns(known=("open",))
SHOPS = "date,shop,item,value\n" + "".join(
    f"{day},{shop},{item},{number}\n" for shop in (1, 2) for item in "ab" for number, day in enumerate(days(4), 1)
)

CASES = {
    # Blanks at the end, and at the beginning.
    "blank end": Case(
        "blanks", "", rows(days(6), [1, 2, 3, 4, "", ""]), ONE_DAY, FOUR, note="are to be forecast", fill=True
    ),
    "blank end, strict": Case(
        "blanks", "", rows(days(6), [1, 2, 3, 4, "", ""]), form={"strict": True}, error="--strict"
    ),
    "blank end, known": Case(
        "blanks",
        "",
        rows(days(6), ["1,0", "2,1", "3,0", "4,0", ",1", ",0"], "date,value,open"),
        ONE_DAY,
        FOUR,
        columns=KNOWN,
        fill=True,
    ),
    "blank within": Case(
        "blanks", "", rows(days(4), [1, "", 3, 4]), error="line 3, 'value', 2021-01-02T00:00:00: expe"
    ),
    "blank beginning": Case(
        "blanks", "", rows(days(6, "2020-12-30"), ["", "", *FOUR]), ONE_DAY, FOUR, note="begins at the first row"
    ),
    # Several columns.
    "year month day": Case(
        "columns",
        "",
        "year,month,day,value\n2021,1,1,1\n2021,1,2,2\n2021,1,3,3\n2021,1,4,4\n",
        ONE_DAY,
        FOUR,
        note="%Y %m %d",
        columns=Columns(("year", "month", "day")),
    ),
    "day and time": Case(
        "columns",
        "",
        "day,time,value\n2021-01-01,22:00,1\n2021-01-01,23:00,2\n2021-01-02,00:00,3\n",
        "2021-01-01T22:00:00 .. 2021-01-02, 1 hour",
        (1, 2, 3),
        columns=Columns(("day", "time")),
    ),
    "no column": Case(
        "columns", "", "day,value\n2021-01-01,1\n", error="expected a column 'date', got ['day', 'value']; --d"
    ),
    "names in two columns": Case("columns", "", SHOPS, ONE_DAY, FOUR, columns=Columns(series=("shop", "item"))),
    "names not given": Case(
        "columns", "", SHOPS, error="after 2021-01-04T00:00:00; for several series, set --series 'shop' 'item'"
    ),
    "no names": Case(
        "columns", "", rows([*days(3), "2021-01-03"]), error="expected every date once, got 2021-01-03T00:00:00 twice"
    ),
    # Order.
    "newest first": Case(
        "order", "", rows(days(4)[::-1], (4, 3, 2, 1)), ONE_DAY, FOUR, note="the newest date is first; sorted"
    ),
    "no order": Case(
        "order", "", rows([days(4)[i] for i in (0, 2, 1, 3)]), error="--sort sorts the rows of each series"
    ),
    "no order, sorted": Case(
        "order", "", rows([days(4)[i] for i in (0, 2, 1, 3)], (1, 3, 2, 4)), ONE_DAY, FOUR, form={"sort": True}
    ),
    # Words for a missing number.
    **{
        f"missing {word}": Case(
            "missing", "", rows(days(4), [1, word, 3, 4]), ONE_DAY, (1, 1, 3, 4), note=f"{word.lower()!r}", fill=True
        )
        for word in ("null", "?", "-", "N/A")
    },
    "missing given": Case(
        "missing", "", rows(days(4), [1, -999, 3, 4]), ONE_DAY, (1, 1, 3, 4), form={"missing": ("-999",)}, fill=True
    ),
    "missing others": Case(
        "missing", "", rows(days(4), [1, "-", 3, 4]), error="got '-'", form={"missing": ("?",)}, fill=True
    ),
    "words": Case(
        "missing",
        "",
        rows(days(4), [1, "none!", "none!", 4]),
        error="got 'none!'; --missing 'none!' takes it",
        fill=True,
    ),
    # Numbers.
    "thousands": Case(
        "numbers",
        "",
        rows(days(4), [f'"1,23{n}.50"' for n in FOUR]),
        ONE_DAY,
        [1230.5 + n for n in FOUR],
        note="'1,231.50'",
    ),
    "thousands or decimals": Case(
        "numbers",
        "SheetJS/ssf#22",
        rows(days(4), [f'"1,23{n}"' for n in FOUR]),
        error="got '1,231'; set --decimal to . (1231) or , (1.231)",
    ),
    "thousands given": Case(
        "numbers",
        "",
        rows(days(4), [f'"1,23{n}"' for n in FOUR]),
        ONE_DAY,
        [1230 + n for n in FOUR],
        form={"decimal": "."},
    ),
    "decimal commas": Case(
        "numbers",
        "SheetJS/sheetjs#2239",
        rows(days(4), [f"0,{n}" for n in FOUR]).replace(",", ";", 1).replace(",0,", ";0,"),
        ONE_DAY,
        [n / 10 for n in FOUR],
        note="decimal commas, as in '0,1'",
    ),
    "decimal commas and points": Case(
        "numbers",
        "pola-rs/polars#18797",
        "date;value\n" + "".join(f"{day};1.23{n},5\n" for n, day in zip(FOUR, days(4), strict=True)),
        ONE_DAY,
        [1230.5 + n for n in FOUR],
        note="decimal commas, as in '1.231,5'",
    ),
    "two marks": Case(
        "numbers",
        "",
        "date;value\n2021-01-01;1,5\n2021-01-02;1.5\n2021-01-03;2\n",
        error="(line 3); --decimal names it",
    ),
    "groups of two": Case("numbers", "", rows(days(3), ['"1,23,45"', 2.5, 3]), error="got '1,23,45'"),
    "unquoted commas": Case(
        "numbers", "", rows(days(3), ["1,5", "1,6", "1,7"]), error="line 2: not readable as CSV: expected 2"
    ),
    "truth": Case(
        "numbers",
        "",
        rows(days(4), ["1,TRUE", "2,FALSE", "3,True", "4,false"], "date,value,open"),
        ONE_DAY,
        FOUR,
        note="true and false in column 'open' are 1 and 0",
        columns=KNOWN,
    ),
    "truth and numbers": Case(
        "numbers", "", rows(days(3), ["1,TRUE", "2,7", "3,FALSE"], "date,value,open"), error="got 'TRUE'", columns=KNOWN
    ),
    # Lines that are not rows.
    "title": Case(
        "lines",
        "",
        "Sales; of 2021\n\n# from the till\n" + rows(days(4)),
        ONE_DAY,
        FOUR,
        note="3 lines before the column names",
    ),
    "title given": Case("lines", "", "Sales\n" + rows(days(4)), ONE_DAY, FOUR, form={"skip_lines": 1, "strict": True}),
    "title not given": Case(
        "lines", "", "Sales\n" + rows(days(4)), error="expected a column 'date'", form={"skip_lines": 0}
    ),
    "empty lines": Case("lines", "", rows(days(4)).replace("\n", "\n\n"), ONE_DAY, FOUR),
    "empty cells": Case("lines", "", rows(days(4)) + ",\n", ONE_DAY, FOUR, note="rows without anything"),
    "footer": Case(
        "lines", "", rows(days(4)) + "Source: till,\n", error="line 6: expected a date in column 'date', got 'Sour"
    ),
    "row that ends early": Case(
        "lines", "", rows(days(4)) + "2021-01-05\n", error="line 6: expected 2 values separated by"
    ),
    "two names, one given": Case(
        "columns",
        "",
        SHOPS,
        columns=Columns(series=("shop",)),
        error="line 6, '1': expected increasing dates, got 2021-01-01T00:00:00 after 2021-01-04T00:00:00; for several "
        "series, set --series 'shop' 'item'",
    ),
}
