"""Numbers as users have them, and gaps that are filled: a table of small files, each with what must come of it."""

from series_cases import FOUR, ONE_DAY, Case, days, rows

HALVES = (1.5, 2.5, 3.5, 4.5)
THREE = ("1.201", "2.125", "3.500", "4.000")


def semicolons(values):
    """A file of four days with these numbers, divided by semicolons."""
    return "date;value\n" + "".join(f"{day};{value}\n" for day, value in zip(days(4), values, strict=True))


CASES = {
    # Filling: how much, and how many in a row.
    "fill a long gap": Case(
        "filling",
        "",
        rows(days(40), [*range(20), *[""] * 10, *range(10)]),
        fill=True,
        error="expected at most 7 dates in a row to be filled, got 10 from 2021-01-21T00:00:00; --fill-limit 10 fills",
    ),
    "fill a long gap, given": Case(
        "filling",
        "",
        rows(days(40), [*range(20), *[""] * 10, *range(10)]),
        "2021-01-01 .. 2021-02-09, 1 day",
        (*range(20), *[19] * 10, *range(10)),
        form={"fill_limit": 10},
        fill=True,
    ),
    "fill missing rows": Case(
        "filling",
        "",
        rows([*days(20), *days(10, "2021-01-31")]),
        form={"fill_limit": 9},
        fill=True,
        error="got 10 from 2021-01-21T00:00:00",
    ),
    "fill most": Case(
        "filling",
        "",
        rows(days(13), [day if day % 3 == 0 else "" for day in range(13)]),
        fill=True,
        error="got 5 of 13 with all numbers; --fill-limit 2 fills them all the same",
    ),
    "fill most, given": Case(
        "filling",
        "",
        rows(days(7), [0, "", "", 3, "", "", 6]),
        "2021-01-01 .. 2021-01-07, 1 day",
        (0, 0, 0, 3, 3, 3, 6),
        form={"fill_limit": 2},
        fill=True,
    ),
    # Words for a missing number, compared by value.
    **{
        f"missing {given} for {word}": Case(
            "missing",
            "",
            rows(days(4), [1, f'"{word}"', 3.5, 4]),
            ONE_DAY,
            (1, 1, 3.5, 4),
            form={"missing": (given,), "decimal": "."},
            fill=True,
        )
        for given, word in (
            *(("-999", "-999.0"), ("-999.0", "-999"), ("-999", "-9.99e2"), ("-999", "\u2212999"), ("9999", "9,999.00")),
            *(("missing", "MISSING"), ("1e20", "1E+20"), ("0", "0.0"), ("-999,0", "-999,0")),
        )
    },
    "missing by value, with a decimal comma": Case(
        "missing",
        "",
        semicolons(["1,5", "-999,00", "3,5", "4,5"]),
        ONE_DAY,
        (1.5, 1.5, 3.5, 4.5),
        form={"missing": ("-999",), "separator": ";", "decimal": ","},
        fill=True,
    ),
    "missing with a point among decimal commas": Case(
        "missing",
        "",
        semicolons(["1,5", "-999.0", "3,5", "4,5"]),
        ONE_DAY,
        (1.5, 1.5, 3.5, 4.5),
        form={"missing": ("-999",), "separator": ";"},
        fill=True,
        note="decimal commas, as in '1,5'",
    ),
    "missing never among empty ones": Case(
        "missing",
        "",
        rows(days(4), [1, "", 3, 4]),
        ONE_DAY,
        (1, 1, 3, 4),
        form={"missing": ("x",)},
        fill=True,
        note="no number is 'x'",
    ),
    "missing never": Case(
        "missing", "", rows(days(4)), ONE_DAY, FOUR, form={"missing": ("-999",)}, note="no number is '-9"
    ),
    "missing replaces the usual": Case(
        "missing",
        "",
        rows(days(4), [1, "NA", 3, 4]),
        form={"missing": ("-999",)},
        fill=True,
        error="got 'NA'; --missing -999 NA takes it for a missing number, too",
    ),
    "missing once": Case("missing", "", rows(days(4), [1, "lost", 3, 4]), error="got 'lost'; --missing lost takes it"),
    **{
        f"no hint at --missing: {word}": Case("missing", "", rows(days(4), [1, word, 3, 4]), error=f"got '{word}'")
        for word in ("inf", "TRUE", "5 kWh", "1_000", "0x1", "5K", "\u0661")
    },
    # Points and commas that may be groups or decimal marks.
    **{
        f"points with {separator!r}": Case(
            "marks",
            "",
            semicolons(THREE).replace(";", separator),
            error="line 2: expected numbers that show their decimal mark, got '1.201'; set --decimal to , (1201) or ",
        )
        for separator in ";\t|"
    },
    "points with commas between columns": Case(
        "marks", "", rows(days(4), ["1.201", "2.125", "3.5", "4"]), ONE_DAY, (1.201, 2.125, 3.5, 4)
    ),
    "three decimals only": Case(
        "marks",
        "",
        rows(days(4), THREE),
        ONE_DAY,
        (1.201, 2.125, 3.5, 4),
        note="decimal points, as in '1.201'",
    ),
    "points, and none below a thousand": Case(
        "marks", "", rows(days(4), ["950", "1.201", "980", "1.102"]), error="line 3: expected numbers that show"
    ),
    "points, given": Case(
        "marks",
        "",
        semicolons(THREE),
        ONE_DAY,
        (1201, 2125, 3500, 4000),
        form={"decimal": ",", "separator": ";"},
    ),
    "points, shown by another number": Case(
        "marks",
        "",
        semicolons(["0.201", *THREE[1:]]),
        ONE_DAY,
        (0.201, 2.125, 3.5, 4),
        form={"separator": ";"},
    ),
    "groups from zero": Case("marks", "", rows(days(4), [f'"0,12{n}.5"' for n in FOUR]), error="got '0,121.5'"),
    **{
        f"groups divided by {name}": Case(
            "marks",
            "",
            rows(days(4), [f'"1{space}23{n},5"' for n in FOUR]),
            ONE_DAY,
            [1230.5 + n for n in FOUR],
            note="decimal commas",
        )
        for name, space in (("no-break space", "\u00a0"), ("narrow space", "\u202f"), ("apostrophe", "\u2019"))
    },
    "Indian groups": Case(
        "marks",
        "",
        rows(days(4), [f'"1,23,45{n}.50"' for n in FOUR]),
        ONE_DAY,
        [123450.5 + n for n in FOUR],
        note="groups of thousands, as in '1,23,451.50'",
    ),
    "short groups": Case("marks", "", rows(days(4), [f'"1,23.{n}"' for n in FOUR]), error="got '1,23.1'"),
    # Signs around numbers.
    "minus signs": Case("signs", "", rows(days(4), [f"\u2212{n}.5" for n in FOUR]), ONE_DAY, [-n - 0.5 for n in FOUR]),
    **{
        f"signs {word.format(1)}": Case(
            "signs", "", rows(days(4), [f'"{word.format(n)}"' for n in FOUR]), ONE_DAY, values, note=note
        )
        for word, values, note in (
            ("{}.5%", HALVES, "'%' in column 'value' is left out: '1.5%' is 1.5"),
            ("{}.5\u00a0%", HALVES, "is 1.5"),
            ("${}.50", HALVES, "'$' in column 'value' is left out"),
            ("-${}.50", [-value for value in HALVES], "'$' in column 'value' is left out"),
            ("{},50 \u20ac", HALVES, "decimal commas"),
            ("USD {}.5", HALVES, "'USD' in column 'value'"),
            ("({}.5)", [-value for value in HALVES], "negative numbers in column 'value' as '(1.5)'"),
            ("{}.5-", [-value for value in HALVES], "negative numbers"),
            ("$1,20{}.00", [1200 + n for n in FOUR], "groups of thousands"),
        )
    },
    "percent of some": Case(
        "signs",
        "",
        rows(days(4), ["1%", "2%", 3, "4%"]),
        error="line 4: expected '%' in every number of",
    ),
    "two currencies": Case("signs", "", rows(days(4), ["$1", "$2", "\u20ac3", "$4"]), error="line 4: expected '$' in"),
    "half a bracket": Case("signs", "", rows(days(4), ["(1", 2, 3, 4]), error="got '(1'"),
}
