"""Encodings, compressed files, comments and rows as users have them: small files, each with what must come of it."""

import bz2
import gzip
import io
import lzma
import zipfile

from series_cases import FOUR, ONE_DAY, Case, days, rows

from rnnjax.data.series import Columns

PLAIN = rows(days(4))
ROWS = PLAIN.partition("\n")[2]
NAMES = Columns(series=("shop",))
LATIN = rows(days(4), [f"{n},caf\u00e9" for n in FOUR], "date,value,gr\u00f6\u00dfe").encode("latin-1")


def zipped(*names):
    """An archive of files with these names, each of the same four days."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, PLAIN)
    return packed.getvalue()


CASES = {
    # Encodings, compressed files, and files of spreadsheets.
    "UTF-16 with tabs": Case("files", "", PLAIN.replace(",", "\t").encode("utf-16"), ONE_DAY, FOUR, suffix=".txt"),
    "UTF-16 with tabs, as CSV": Case(
        "files", "", PLAIN.replace(",", "\t").encode("utf-16"), ONE_DAY, FOUR, note="columns separated by '\\t'"
    ),
    "Latin-1": Case(
        "files",
        "",
        LATIN,
        ONE_DAY,
        FOUR,
        note="read as cp1252",
    ),
    "Latin-1 given": Case(
        "files",
        "",
        LATIN,
        ONE_DAY,
        FOUR,
        form={"encoding": "latin-1"},
    ),
    "Cyrillic": Case(
        "files",
        "",
        rows(days(4), FOUR, "date,value").replace("\n", ",\u043f\u0440\u0438\u0432\u0435\u0442\n").encode("cp1251"),
        error="expected UTF-8, got an invalid byte near offset 11, line 1; --encoding",
    ),
    "line for Excel": Case(
        "files",
        "",
        "sep=;\n" + PLAIN.replace(",", ";"),
        ONE_DAY,
        FOUR,
    ),
    "line for Excel, another separator": Case("files", "", "sep=^\r\n" + PLAIN.replace(",", "^"), ONE_DAY, FOUR),
    **{
        f"compressed {suffix}": Case("files", "", packed, ONE_DAY, FOUR, suffix=suffix)
        for suffix, packed in (
            (".csv.gz", gzip.compress(PLAIN.encode())),
            (".csv.xz", lzma.compress(PLAIN.encode())),
            (".CSV.BZ2", bz2.compress(PLAIN.encode())),
            (".tsv.gz", gzip.compress(PLAIN.replace(",", "\t").encode())),
            (".zip", zipped("a.csv")),
            (".csv.zip", zipped("__MACOSX/._a.csv", "a.csv")),
        )
    },
    "compressed, damaged": Case(
        "files", "", gzip.compress(PLAIN.encode())[:-9], suffix=".csv.gz", error="file.csv.gz: not readable as .gz"
    ),
    "compressed, with a bad date": Case(
        "files",
        "",
        gzip.compress(PLAIN.replace("01-03", "01-33").encode()),
        suffix=".csv.gz",
        error="csv.gz, line 4",
    ),
    "two in an archive": Case("files", "", zipped("a.csv", "b.csv"), suffix=".zip", error="of one file, got 2"),
    "sheet": Case("files", "", zipped("xl/workbook.xml"), suffix=".xlsx", error="got .xlsx; save the sheet as CSV"),
    "compressed, not so named": Case("files", "", gzip.compress(PLAIN.encode()), error="what it is: file.csv.gz"),
    # Further fields, and comments.
    "separators at the ends": Case("rows", "", PLAIN.replace("\n", ",\n"), ONE_DAY, FOUR),
    "separators at the ends of rows": Case(
        "rows",
        "",
        "date,value\n" + ROWS.replace("\n", ",,\n"),
        ONE_DAY,
        FOUR,
        note="separators at the ends of rows",
    ),
    "separators after the names": Case("rows", "", PLAIN.replace("value", "value,,"), ONE_DAY, FOUR),
    **{
        f"row names {names[1]}": Case(
            "rows",
            "",
            '"date","value"\n' + "".join(f'"{names[n - 1]}",{day},{n}\n' for n, day in enumerate(days(4), 1)),
            ONE_DAY,
            FOUR,
            note="the first field of each row is its name",
        )
        for names in ((1, 2, 3, 4), (1, 5, 9, 13), "abcd")
    },
    "row names or decimal commas": Case(
        "rows",
        "",
        "value,date\n" + "".join(f"{n},5,{day}\n" for n, day in enumerate(days(4), 1)),
        error="got 3; a value that contains ',' must",
    ),
    "dates with commas": Case(
        "rows", "", "date,value\n" + "".join(f"March 3, {2000 + n},{n}\n" for n in FOUR), error="line 2: not readable"
    ),
    "years or row names": Case(
        "rows", "", "date,value\n" + "".join(f"{1980 + n},{1900 + n},5\n" for n in FOUR), error="line 2: not readable"
    ),
    "row names twice": Case(
        "rows",
        "",
        "date,value\n" + "".join(f"1,{day},{n}\n" for n, day in enumerate(days(4))),
        error="line 2",
    ),
    "lines to skip beyond the end": Case(
        "rows", "", PLAIN, form={"skip_lines": 99}, error="expected a column 'date', got []"
    ),
    "comments": Case(
        "rows",
        "",
        PLAIN.replace("2021-01-03", '# a "note, of two\n2021-01-03'),
        ONE_DAY,
        FOUR,
        note="lines that begin with #, left out (--comment '#')",
    ),
    "comments given": Case(
        "rows", "", PLAIN.replace("2021-01-03", "%% note\n2021-01-03"), ONE_DAY, FOUR, form={"comment": "%"}
    ),
    "no comments": Case(
        "rows",
        "",
        PLAIN.replace("2021-01-03", "# note\n2021-01-03"),
        form={"comment": ""},
        error="expected 2 values",
    ),
    "names after a mark": Case("rows", "", "# " + PLAIN, ONE_DAY, FOUR),
    "series with a mark": Case(
        "rows",
        "",
        "shop,date,value\n" + "".join(f"#{shop},{day},{n}\n" for shop in "ab" for n, day in enumerate(days(4), 1)),
        ONE_DAY,
        FOUR,
        columns=NAMES,
    ),
    "quote mark within": Case("rows", "", PLAIN.replace("3,3", '3,"3" x'), error="line 4: not readable"),
    "quote mark not closed": Case("rows", "", PLAIN.replace("3,3", '3,"3'), error="line 4: not readable"),
    "other letters": Case("rows", "", PLAIN.replace("date", "Date"), error="['Date', 'value']; set --date to 'Date'"),
    "no line of names": Case("rows", "", ROWS, error="the first line must have the column names"),
}
