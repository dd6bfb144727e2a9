"""Columns, headers, separators and comments as users have them."""

from source_case import GOOD, ROWS, TRAIN, Case

COLUMN_CASES: dict[str, Case] = {
    "semicolons": Case(
        "columns",
        "pandas-dev/pandas#40201",
        {"a.csv": GOOD.replace(",", ";")},
        TRAIN,
        said=("separated by ';' (--separator to change)",),
    ),
    "tabs in .csv": Case("columns", "", {"a.csv": GOOD.replace(",", "\t")}, TRAIN, said=("separated by '\\t'",)),
    "commas in .tsv": Case("columns", "", {"a.tsv": GOOD}, TRAIN, said=("separated by ','",)),
    "bars": Case("columns", "", {"a.csv": GOOD.replace(",", "|")}, TRAIN, said=("separated by '|'",)),
    "a separator switched off": Case(
        "columns",
        "",
        {"a.csv": GOOD.replace(",", ";")},
        error="expected a column 'text', got ['text;label']",
        options={"separator": ","},
    ),
    "a separator that nobody guesses": Case(
        "columns", "", {"a.csv": GOOD.replace(",", "~")}, TRAIN, options={"separator": "~"}
    ),
    "no header": Case(
        "columns",
        "markowanga/stweet#43",
        {"a.csv": "pos,good film\nneg,dull film\n"},
        TRAIN,
        options={"columns": "label,text"},
    ),
    "no header, not given": Case(
        "columns",
        "markowanga/stweet#43",
        {"a.csv": "pos,good film\nneg,dull film\n"},
        error="--columns those of a file without",
    ),
    "no header, wrong number": Case(
        "columns",
        "pandas-dev/pandas#27515",
        {"a.csv": "pos,good film,7\nneg,dull film,8\n"},
        error="a.csv, line 1: expected 2 fields separated by ',', as --columns names them, got ['pos', 'good",
        options={"columns": "label,text"},
    ),
    "six columns without names": Case(
        "columns",
        "",
        {"a.csv": '"4","1","Mon","NO","me","good film"\n"0","2","Tue","NO","me","dull film"\n'},
        {"train": [("good film", "4"), ("dull film", "0")]},
        options={"columns": "label,id,date,query,user,text"},
    ),
    "a header in spite of --columns": Case("columns", "", {"a.csv": GOOD}, TRAIN, options={"columns": "text,label"}),
    "the label first": Case(
        "columns",
        "",
        {"a.txt": "ham\tsee you\tlater\nspam\twin now\n"},
        {"train": [("see you\tlater", "ham"), ("win now", "spam")]},
        options={"columns": "label,text"},
    ),
    "a .txt with a header of three columns": Case(
        "columns", "", {"a.txt": "id\ttext\tlabel\n7\tgood film\tpos\n8\tdull film\tneg\n"}, TRAIN
    ),
    "a row number without a name": Case(
        "columns", "qri-io/qri#48", {"a.csv": ",text,label\n0,good film,pos\n1,dull film,neg\n"}, TRAIN
    ),
    "row numbers without a column": Case(
        "columns",
        "",
        {"a.csv": '"text","label"\n"1","good film","pos"\n"2","dull film","neg"\n'},
        TRAIN,
        said=("the first field of each row is a row number, and has no column name",),
    ),
    "a separator at every line's end": Case(
        "columns",
        "pandas-dev/pandas#9082",
        {"a.csv": "text,label\ngood film,pos,\ndull film,neg,\n"},
        TRAIN,
        said=("the last field of each row is empty, and has no column name",),
    ),
    "unquoted commas": Case(
        "columns",
        "appvision-ai/fast-bert#96",
        {"a.csv": "text,label\ngood film,pos\n\ndull, really,neg\n"},
        error="a.csv, row 2 (line 4): expected 2 fields separated by ',', got 3: ['dull', ' really', 'neg']",
    ),
    "numbers in front that are not those of rows": Case(
        "columns",
        "",
        {"a.csv": "text,label\n1,good,pos\n7,dull,neg\n3,fair,pos\n"},
        error="row 1 (line 2): expected 2 fields",
    ),
    "unquoted commas in every row": Case(
        "columns",
        "diladele/dnssafety#584",
        {"a.csv": "text,label\n1, good,pos\n3, dull,neg\n"},
        error="a.csv, row 1 (line 2): expected 2 fields",
    ),
    "a title before the header": Case(
        "columns",
        "",
        {"a.csv": f"# films of 2020\n# two\n{GOOD}"},
        TRAIN,
        said=("2 lines with # before the header skipped",),
    ),
    "a title, not skipped": Case(
        "columns", "", {"a.csv": f"# films of 2020\n{GOOD}"}, error="expected a column 'text'", options={"comment": ""}
    ),
    "a header that begins with #, not read": Case(
        "columns", "", {"a.csv": f"#{GOOD}"}, error="expected a column 'text', got ['#text', ", options={"comment": ""}
    ),
    **{
        f"a header that begins with #, {name}": Case(
            "columns", "", {name: content}, TRAIN, said=("the first line, which begins with #, names the columns",)
        )
        for name, content in (
            ("a.csv", f"#{GOOD}"),
            ("b.csv", f"# {GOOD}"),
            ("a.tsv", f"# {GOOD}".replace(",", "\t")),
            ("a.txt", f"#{GOOD}".replace(",", "\t")),
        )
    },
    "comments": Case(
        "columns",
        "",
        {"a.csv": 'text,label\n# good\ngood film,pos\n"dull film\n# said of it",neg\n#end\n'},
        {"train": [("good film", "pos"), ("dull film\n# said of it", "neg")]},
        options={"comment": "#"},
    ),
    "texts that begin with #": Case(
        "columns", "", {"a.csv": "text,label\n#happy,pos\n#sad,neg\n"}, {"train": [("#happy", "pos"), ("#sad", "neg")]}
    ),
    "comments among lines": Case(
        "columns", "", {"a.txt": "# films\ngood film\tpos\n# more\ndull film\tneg\n"}, TRAIN, options={"comment": "#"}
    ),
    # Names of columns that the first line has too.
    **{
        f"--columns {columns} for a header, {name}": Case(
            "columns", "", {name: content}, TRAIN, said=(said,), options={"columns": columns}
        )
        for columns, name, content, said in (
            ("label,text", "a.csv", GOOD, "the first line names the columns, in this order: text, label"),
            ("label,text", "a.txt", GOOD.replace(",", "\t"), "in this order: text, label"),
            ("text,label", "b.csv", GOOD.replace("text,label", "Text,LABEL"), "in this order: text, label"),
            ("label,text,id", "a.csv", "id,text,label\n1,good film,pos\n2,dull film,neg\n", "order: id, text, label"),
            ("text,other,label", "a.csv", "text,text,label\ngood film,1,pos\ndull film,2,neg\n", "is left out"),
        )
    },
    **{
        f"--columns {columns} for another header": Case(
            "columns",
            "",
            {"a.csv": f"{header}\n1,a\n0,b\n"},
            error=f"a.csv, line 1: expected the first row of a file without a header, or the column names {names}, got",
            options={"columns": columns},
        )
        for columns, header, names in (
            ("label,text", "label,review", "['label', 'text']"),
            ("text,label", "label,review", "['text', 'label']"),
        )
    },
    "a header that --columns does not know": Case(
        "columns",
        "",
        {"a.csv": "review,mood\na,1\nb,0\n"},
        {"train": [("review", "mood"), ("a", "1"), ("b", "0")]},
        said=("only row 1 has label 'mood': it may be a header, not a row",),
        options={"columns": "text,label"},
    ),
    "a header of words that --columns does not know": Case(
        "columns",
        "",
        {"a.csv": f"review,mood\n{GOOD[11:]}{GOOD[11:]}"},
        {"train": [("review", "mood"), *ROWS, *ROWS]},
        said=("only row 1 has label 'mood': it may be a header, not a row",),
        options={"columns": "text,label"},
    ),
    "labels and texts swapped": Case(
        "columns",
        "",
        {"a.txt": "ham\tsee you\nspam\twin now\nham\tlater\n"},
        {"train": [("ham", "see you"), ("spam", "win now"), ("ham", "later")]},
        said=("column 'label' has 3 different values, and column 'text' 2: they may be swapped (--columns label,text",),
    ),
    **{
        f"--columns for {name}": Case(
            "columns", "", {"a.csv": content}, rows, error, said=said, options={"columns": "label,text"}
        )
        for name, content, rows, error, said in (
            ("semicolons", "pos;good film\nneg;dull film\n", TRAIN, "", ("separated by ';'",)),
            ("too few fields", "good film\n", None, "expected 2 fields separated by ',', as --columns names them", ()),
            (
                "unquoted commas",
                "pos,good film\nneg,dull, film\n",
                None,
                "row 2 (line 2): expected 2 fields separated by ',', got 3: ['neg', 'dull', ' film']",
                (),
            ),
            ("a comma and a semicolon", "pos,good, film; x\n", None, "line 1: expected 2 fields separated by ','", ()),
            ("a comment", "# 2020\npos,good film\n", None, "--comment begins lines to leave out", ()),
            ("a separator said by Excel", "sep=;\npos;good film\nneg;dull film\n", TRAIN, "", ("as its first line",)),
        )
    },
    **{
        f"blanks in the header {header!r}": Case(
            "columns",
            "pandas-dev/pandas#9067",
            {"a.csv": f'{header}\n"good film", pos\n"dull film" ,neg\n'},
            TRAIN,
            said=("blanks around the column names are left out", *("have their own quote marks once",)),
        )
        for header in ("text, label", " text ,label ", '"text" , "label"', "text,label\u00a0", "\u200btext,label")
    },
    "blanks before quoted fields": Case(
        "columns",
        "pandas-dev/pandas#9067",
        {"a.csv": 'label, text\npos, "good, film"\nneg, dull film\n'},
        {"train": [("good, film", "pos"), ("dull film", "neg")]},
        said=("blanks around the column names are left out",),
    ),
    **{
        f"the same name twice, {header}": Case(
            "columns",
            "pandas-dev/pandas#14704",
            {"a.csv": f"{header}\na,b,1\nc,d,0\n"},
            error=f"a.csv: expected one column {column!r}, got 2 among {header.replace(' ', '').split(',')}; --columns",
        )
        for header, column in (
            ("text,text,label", "text"),
            ("text, text,label", "text"),
            ("text,label,label", "label"),
        )
    },
    "another name twice": Case(
        "columns",
        "pandas-dev/pandas#14704",
        {"a.csv": "x,text,x,,label,\n1,good film,2,,pos,\n3,dull film,4,,neg,\n"},
        TRAIN,
    ),
    **{
        f"a separator said by Excel, {name}": Case(
            "columns",
            "PowerShell/PowerShell#7776",
            {"a.csv": f"{line}{end}text{separator}label{end}good film{separator}pos{end}dull film{separator}neg{end}"},
            TRAIN,
            said=(f"separated by {separator!r}, as its first line says",),
        )
        for name, line, separator, end in (
            ("semicolon", "sep=;", ";", "\n"),
            ("comma", "sep=,", ",", "\r\n"),
            ("tab", "sep=\t", "\t", "\r\n"),
            ("in quote marks", '"sep=;"', ";", "\n"),
            ("in capitals", "SEP=|", "|", "\n"),
            ("with a mark", "\ufeffsep=;", ";", "\n"),
        )
    },
    "a separator said by Excel before a title": Case(
        "columns",
        "PowerShell/PowerShell#7776",
        {"a.csv": f"sep=,\n\n# films\n{GOOD}"},
        TRAIN,
        said=("separated by ','", "lines with # before the header skipped"),
    ),
}
