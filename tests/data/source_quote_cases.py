"""Quote marks as users have them."""

from source_case import ROWS, TRAIN, Case

HEADER = "text,label\n"
ONCE, ESCAPED = "texts in quote marks have their own quote marks once", "their own quote marks after \\"
AS_TEXT = "quote marks are read as part of the texts"


def texts(*rows: str) -> dict[str, list[tuple[str, str]]]:
    """Rows with the labels 1, 0, 1, ..."""
    return {"train": [(text, str((n + 1) % 2)) for n, text in enumerate(rows)]}


QUOTE_CASES: dict[str, Case] = {
    # Within texts, as they should be.
    "doubled": Case(
        "quotes", "", {"a.csv": f'{HEADER}"say ""hi"" now",1\n"""bad""",0\n'}, texts('say "hi" now', '"bad"')
    ),
    "in texts without them around": Case(
        "quotes",
        "vslinko/deno-csv#15",
        {"a.csv": f'{HEADER}say "hi" now,1\n5" long,0\n'},
        texts('say "hi" now', '5" long'),
    ),
    "a backslash at the end": Case(
        "quotes", "", {"a.csv": f'{HEADER}"C:\\\\dir\\\\",1\nb,0\n'}, texts("C:\\\\dir\\\\", "b")
    ),
    # Once.
    **{
        f"once, {name}": Case("quotes", "adaltas/node-csv#20", {"a.csv": HEADER + content}, texts(*rows), said=(ONCE,))
        for name, content, rows in (
            ("within", '"say "hi" now",1\n"bad",0\n', ('say "hi" now', "bad")),
            ("beside doubled ones", '"say "hi" now",1\n"a ""bad"" film",0\n', ('say "hi" now', 'a "bad" film')),
            ("at the start", '""hi" he said",1\nb,0\n', ('"hi" he said', "b")),
            ("at the end", '"he said "hi"",1\n"a, b",0\n', ('he said "hi"', "a, b")),
            ("with Windows line ends", '"say "hi" now",1\r\n"bad",0\r\n', ('say "hi" now', "bad")),
            ("around the first word", '"Jaws" was good,1\n"a, b",0\n', ('"Jaws" was good', "a, b")),
            ("with blanks after them", '"say hi" , 1\n"a, b" ,0\n', ("say hi", "a, b")),
        )
    },
    **{
        f"misplaced, {name}": Case(
            "quotes",
            "adaltas/node-csv#20",
            {"a.csv": HEADER + content},
            error=f"a.csv, {place}: expected quote marks around fields, got: {what}",
        )
        for name, content, place, what in (
            ("before a comma", 'a,0\n"he said "hi", twice",1\n', "row 2 (line 3)", "',' expected after"),
            ("in a text of lines", 'a,0\n\n"he said "hi"\ntwice",1\n', "row 2 (line 4)", "',' expected after"),
            ("not closed", '"good,1\nbad,0\n', "row 1 (line 2)", "unexpected end of data"),
            ("not closed, beside others", '"Jaws" was good,1\n"bad,0\n', "row 1 (line 2)", "',' expected after"),
            ("cut off", '"good",1\n"bad",0\n"cut', "row 3 (line 4)", "unexpected end of data"),
        )
    },
    "unmatched, but in pairs": Case(
        "quotes",
        "",
        {"a.csv": f'{HEADER}"good,1\nbad,0\nx",1\ny,0\n'},
        texts("good,1\nbad,0\nx", "y"),
        said=("row 1 (line 2) has several lines, and each of them the fields of a row: a quote mark may be unmatched",),
    ),
    "texts of several lines": Case(
        "quotes",
        "",
        {"a.csv": f'{HEADER}"one, two\nthree",1\n"bad\n\n""four""",0\n'},
        texts("one, two\nthree", 'bad\n\n"four"'),
    ),
    # After a backslash.
    **{
        f"after a backslash, {name}": Case(
            "quotes", "ClickHouse/ClickHouse#10624", {"a.csv": HEADER + content}, texts(*rows), said=(ESCAPED,)
        )
        for name, content, rows in (
            ("with a comma", '"say \\"hi, you\\" now",1\nbad,0\n', ('say "hi, you" now', "bad")),
            ("before a comma", '"\\"no\\", he said",1\n"\\"",0\n', ('"no", he said', '"')),
            ("of one", '"a\\", b",1\n"c",0\n', ('a", b', "c")),
            ("at the end", '"he said \\"no\\"",1\n"bad",0\n', ('he said "no"', "bad")),
            ("other backslashes stay", '"C:\\new \\"x\\"",1\nbad\\n,0\n', ('C:\\new "x"', "bad\\n")),
            ("in a text of lines", '"say \\"hi\\"\nmore",1\n"bad",0\n', ('say "hi"\nmore', "bad")),
        )
    },
    # In files with tabs, as text.
    **{
        f"as text, {name}": Case(
            "quotes", "SheetJS/sheetjs#2270", {"a.tsv": "text\tlabel\n" + content}, texts(*rows), said=said
        )
        for name, content, rows, said in (
            ("at the start", '"great" film\t1\nbad\t0\n', ('"great" film', "bad"), (AS_TEXT,)),
            ("over lines", 'a\t1\n"b\t0\nthe "best"\t1\nc"\t0\n', ("a", '"b', 'the "best"', 'c"'), (AS_TEXT,)),
            ("within", '5" screen\t1\nbad\t0\n', ('5" screen', "bad"), ()),
            ("around all fields", '"good film"\t1\n"a ""b"""\t0\n', ("good film", 'a "b"'), ()),
            ("around lines", '"one\ntwo"\t1\n"x ""y"""\t0\n', ("one\ntwo", 'x "y"'), ()),
        )
    },
    "of typesetting": Case(
        "quotes",
        "",
        {"a.csv": f"{HEADER}\u201cgood, film\u201d,1\nb,0\n"},
        error="row 1 (line 2): expected 2 fields separated by ',', got 3",
    ),
    "around the header": Case(
        "quotes", "", {"a.csv": '"text","label"\n"good film","pos"\n"dull film","neg"\n'}, {"train": ROWS}
    ),
    "around labels": Case("quotes", "", {"a.csv": f'{HEADER}good film,"pos"\ndull film," neg "\n'}, TRAIN),
}
