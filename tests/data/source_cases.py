"""Files as users have them: the kind of each, a public report of it, the content, and what must happen."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import datasets
import pyarrow as pa
import pyarrow.parquet


class Case(NamedTuple):
    """A file or a folder of files, and how it is read.

    `report` is an issue or pull request of GitHub, "" where none is known. What must happen: `rows` are the texts and
    the names of their labels, of each part; or `error` is in the message. `said` are the warnings, in order.
    """

    kind: str
    report: str
    files: Mapping[str, str | bytes]
    rows: Mapping[str, list[tuple[str, str]]] | None = None
    error: str = ""
    said: tuple[str, ...] = ()
    options: Mapping[str, Any] = {}
    columns: tuple[str, str] = ("text", "label")


GOOD = "text,label\ngood film,pos\ndull film,neg\n"
ROWS = [("good film", "pos"), ("dull film", "neg")]
TRAIN = {"train": ROWS}
FRENCH = "text,label\nun été à la plage,pos\n«\xa0déjà vu\xa0» et l\u2019ennui,neg\n"
FRENCH_ROWS = {"train": [("un été à la plage", "pos"), ("«\xa0déjà vu\xa0» et l\u2019ennui", "neg")]}
POLISH = "text,label\nzły film,neg\npiękny żart,pos\n"


def lines(*rows: Mapping[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def parquet(columns: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(dict(columns)), file)
    return file.getvalue()


def class_labels(labels: list[int], names: list[str]) -> bytes:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    rows = datasets.Dataset.from_dict({"text": [f"text {n}" for n in range(len(labels))], "label": labels}, features)
    file = io.BytesIO()
    pyarrow.parquet.write_table(rows.data.table, file)
    return file.getvalue()


def zipped(**members: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return file.getvalue()


def labelled(*labels: str) -> dict[str, list[tuple[str, str]]]:
    return {"train": [(f"text {n}", label) for n, label in enumerate(labels)]}


def numbered(*labels: str) -> str:
    """A CSV file with these labels."""
    return "text,label\n" + "".join(f"text {n},{label}\n" for n, label in enumerate(labels))


SHARDS = {f"train-0000{n}-of-00002.csv": f"text,label\n{text},{label}\n" for n, (text, label) in enumerate(ROWS)}

CASES: dict[str, Case] = {
    # Item 1: parts of a folder.
    **{
        f"part {name}": Case(
            "parts",
            "rungalileo/dataquality#557",
            {"train.csv": GOOD, f"{name}.csv": GOOD},
            {**TRAIN, part: ROWS},
        )
        for part, names in {
            "validation": ("val", "valid", "validation", "dev", "development", "eval", "Val"),
            "test": ("test", "testing"),
        }.items()
        for name in names
    },
    "training": Case("parts", "huggingface/datasets#3221", {"training.csv": GOOD}, TRAIN),
    "part as a word": Case(
        "parts",
        "huggingface/datasets#3788",
        {"films_train.csv": GOOD, "films-dev.csv": GOOD},
        {**TRAIN, "validation": ROWS},
        said=("films_train.csv is read as the train part", "films-dev.csv is read as the validation part"),
    ),
    "part within a word": Case(
        "parts",
        "huggingface/datasets#3788",
        {"train.csv": GOOD, "www_farodevigo_es.csv": GOOD},
        TRAIN,
        said=("not read: www_farodevigo_es.csv",),
    ),
    "a file that is not read": Case(
        "parts", "", {"train.csv": GOOD, "extra.jsonl": "{}", "notes.md": ""}, TRAIN, said=("not read: extra.jsonl",)
    ),
    "a name before a word": Case(
        "parts",
        "",
        {"train.csv": GOOD, "train_old.csv": GOOD},
        TRAIN,
        said=("not read: train_old.csv",),
    ),
    "two names of a part": Case(
        "parts", "", {"train.csv": GOOD, "val.csv": GOOD, "dev.csv": GOOD}, error="expected one file validation.*, got"
    ),
    "shards": Case("parts", "huggingface/huggingface.js#593", SHARDS, TRAIN),
    "a missing shard": Case(
        "parts",
        "",
        {name: SHARDS[name] for name in list(SHARDS)[1:]},
        error="expected all 2 shards of train, got 1 files",
    ),
    "more shards than memory": Case(
        "parts", "", {"train-1-of-999999999.csv": GOOD}, error="expected all 999,999,999 shards of train, got 1 files"
    ),
    "folder data": Case("parts", "", {"data/train.csv": GOOD}, TRAIN, said=("read from its folder data",)),
    "folders of parts": Case(
        "parts", "huggingface/datasets#4895", {"train/a.csv": GOOD, "val/b.csv": GOOD}, {**TRAIN, "validation": ROWS}
    ),
    # Items 6 and 11: labels.
    "one to five": Case("labels", "", {"a.csv": numbered(*"12345")}, labelled(*"12345")),
    "0 and 4": Case("labels", "", {"a.csv": numbered("4", "0")}, labelled("4", "0")),
    "-1 and +1": Case("labels", "", {"a.csv": numbered("+1", "-1")}, labelled("1", "-1")),
    "10 after 9": Case("labels", "", {"a.csv": numbered("10", "9")}, labelled("10", "9")),
    "numbers by value": Case(
        "labels", "", {"a.csv": numbered("1", "1.0", "01", "2.50", "2.5")}, labelled(*"111", *["2.5"] * 2)
    ),
    "floats in JSON Lines": Case(
        "labels",
        "EducationalTestingService/skll#285",
        {"a.jsonl": lines({"text": "a", "label": 1.0}, {"text": "b", "label": 1.5}, {"text": "c", "label": 1})},
        {"train": [("a", "1"), ("b", "1.5"), ("c", "1")]},
    ),
    "floats in Parquet": Case(
        "labels",
        "",
        {"a.parquet": parquet({"text": ["a", "b"], "label": [5.0, -0.0]})},
        {"train": [("a", "5"), ("b", "0")]},
    ),
    "numbers and words in JSON Lines": Case(
        "labels",
        "",
        {"a.jsonl": lines(*({"text": f"text {n}", "label": label} for n, label in enumerate((1, "1", 2.0, "2", "x"))))},
        labelled("1", "1", "2", "2", "x"),
    ),
    "dates in JSON": Case(
        "labels",
        "",
        {"a.json": json.dumps([{"text": f"2020-01-0{n}", "label": f"2020-01-0{n} 14:00:00"} for n in (1, 2)])},
        {"train": [("2020-01-01", "2020-01-01 14:00:00"), ("2020-01-02", "2020-01-02 14:00:00")]},
    ),
    "a number for a text in JSON Lines": Case(
        "labels",
        "",
        {"a.jsonl": lines({"text": "a", "label": 0}, {"text": 7, "label": 1})},
        error="a.jsonl, row 2: expected a text in column 'text', got 7",
    ),
    "infinity": Case(
        "labels",
        "",
        {"a.parquet": parquet({"text": ["a", "b", "c"], "label": [0.0, 1.0, float("inf")]})},
        error="row 3: expected a label of ['0', '1'] in column 'label', got inf",
    ),
    # Item 12: encodings.
    "cp1252": Case(
        "encoding",
        "oc-courses/perfectionnez_vous_en_python#5",
        {"a.csv": FRENCH.encode("cp1252")},
        FRENCH_ROWS,
        said=("read as cp1252: not UTF-8, but fits a Western text (--encoding to change)",),
    ),
    "Latin-1": Case(
        "encoding",
        "mirador/nhanes#7",
        {"a.txt": "ein schöner Film\t1\nöde\t0\n".encode("latin-1")},
        {"train": [("ein schöner Film", "1"), ("öde", "0")]},
        said=("read as cp1252",),
    ),
    "detection switched off": Case(
        "encoding",
        "",
        {"a.csv": FRENCH.encode("cp1252")},
        error="expected UTF-8, got an invalid byte near offset 14; --encoding names another one, such as cp1252",
        options={"encoding": "utf-8"},
    ),
    **{
        f"UTF-16 {suffix}": Case("encoding", "", {f"a{suffix}": content.encode("utf-16")}, FRENCH_ROWS)
        for suffix, content in {
            ".csv": FRENCH,
            ".jsonl": lines(*({"text": text, "label": label} for text, label in FRENCH_ROWS["train"])),
        }.items()
    },
    "UTF-16 without a mark": Case(
        "encoding",
        "",
        {"a.csv": GOOD.encode("utf-16-le")},
        TRAIN,
        said=("read as utf-16-le: every other byte is zero",),
    ),
    "UTF-8 with a mark in JSON Lines": Case(
        "encoding",
        "",
        {"a.jsonl": b"\xef\xbb\xbf" + lines({"text": "a", "label": "x"}, {"text": "b", "label": "y"}).encode()},
        {"train": [("a", "x"), ("b", "y")]},
    ),
    "cp1250": Case("encoding", "", {"a.csv": POLISH.encode("cp1250")}, error="expected UTF-8, got an invalid byte"),
    "cp1250 given": Case(
        "encoding",
        "",
        {"a.csv": POLISH.encode("cp1250")},
        {"train": [("zły film", "neg"), ("piękny żart", "pos")]},
        options={"encoding": "cp1250"},
    ),
    **{
        f"{encoding} is not taken for cp1252": Case(
            "encoding",
            "",
            {"a.csv": f"text,label\n{text},1\nb,0\n".encode(encoding)},
            error="expected UTF-8, got an invalid",
        )
        for encoding, text in {
            "cp1251": "Хороший фильм",
            "koi8-r": "Хороший фильм",
            "shift-jis": "良い映画でした",
            "gbk": "很好的电影",
            "iso-8859-7": "Καλή ταινία",
            "cp437": "caf\u00e9 noir",
            "mac-roman": "caf\u00e9 noir",
            "cp1254": "k\u00f6t\u00fc \u0131\u015f\u0131k",
        }.items()
    },
    **{
        f"damaged UTF-8, {name}": Case(
            "encoding", "ludwig-ai/ludwig#113", {"a.csv": content}, error="expected UTF-8, got an invalid"
        )
        for name, content in {
            "one byte lost": FRENCH.encode().replace("é".encode(), "é".encode()[:1], 1),
            "first byte lost": FRENCH.encode().replace("à".encode(), "à".encode()[1:], 1),
            "cut off within three bytes": b"text,label\nbon,1\nmauvais,0\n\xe2\x80",
            "cut off": b"text,label\nbon,1\nmauvais,0\ncaf\xc3",
            "only one character, half of it lost": b"text,label\ncaf\xc3,1\nmauvais,0\n",
        }.items()
    },
    "an encoding that does not fit": Case(
        "encoding",
        "",
        {"a.csv": FRENCH.encode("cp1252")},
        error="expected utf-16, got:",
        options={"encoding": "utf-16"},
    ),
    "no encoding": Case(
        "encoding", "", {"a.csv": GOOD}, error="encoding: expected a name such as utf-8", options={"encoding": "hex"}
    ),
    # Item 13: columns.
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
        error="row 1 (line 1): expected 2 fields separated by ',', got 3",
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
    # Item 14: compressed files.
    **{
        f"compressed as {suffix}": Case("compressed", "", {f"a.csv{suffix}": compress(GOOD.encode())}, TRAIN)
        for suffix, compress in {
            ".gz": gzip.compress,
            ".bz2": bz2.compress,
            ".xz": lzma.compress,
            ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
            ".zip": lambda content: zipped(films__csv=content.decode()),
        }.items()
    },
    "two streams in one file": Case(
        "compressed", "", {"a.txt.gz": gzip.compress(b"good film\tpos\n") + gzip.compress(b"dull film\tneg\n")}, TRAIN
    ),
    "compressed Parquet": Case(
        "compressed",
        "",
        {
            "a.parquet.gz": gzip.compress(
                parquet({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]})
            )
        },
        TRAIN,
    ),
    "a zip of two files": Case(
        "compressed",
        "",
        {"a.zip": zipped(a__csv=GOOD, b__csv=GOOD)},
        error="not readable as .zip: expected an archive of one file, got 2",
    ),
    "a zip of something else": Case(
        "compressed", "", {"a.zip": zipped(a__exe=GOOD)}, error="expected a file of type .csv, "
    ),
    "compressed twice": Case(
        "compressed",
        "",
        {"a.csv.gz": gzip.compress(gzip.compress(GOOD.encode()))},
        error="a.csv.gz: expected the data itself",
    ),
    "a compressed file that is cut off": Case(
        "compressed", "", {"a.csv.gz": gzip.compress(GOOD.encode())[:-9]}, error="a.csv.gz: not readable as .gz"
    ),
    "a name that promises a compressed file": Case(
        "compressed", "", {"a.csv.xz": GOOD}, error="a.csv.xz: not readable as .xz"
    ),
    "compressed parts": Case(
        "compressed",
        "",
        {"train.csv.gz": gzip.compress(GOOD.encode()), "val.zip": zipped(x__csv=GOOD)},
        {**TRAIN, "validation": ROWS},
    ),
    "an error in a compressed file": Case(
        "compressed",
        "",
        {"a.csv.gz": gzip.compress(b"text,label\na,b,c,d\n")},
        error="a.csv.gz, row 1 (line 2): expected 2 fields",
    ),
    # Item 15: test parts without labels.
    **{
        f"a test part {name}": Case(
            "unlabelled",
            report,
            {"train.csv": GOOD, "test.csv": content},
            TRAIN,
            said=("the test part has no labels in column 'label': skipped",),
        )
        for name, report, content in (
            ("without a label column", "huggingface/datasets#183", "id,text\n1,a film\n"),
            ("with labels -1", "huggingface/datasets#5624", "text,label\na film,-1\nb film,-1\n"),
            ("with empty labels", "", "text,label\na film,\nb film,\n"),
        )
    },
    "a test part of class -1": Case(
        "unlabelled",
        "",
        {"train.csv": "text,label\na,-1\nb,1\n", "test.csv": "text,label\nc,-1\n"},
        {"train": [("a", "-1"), ("b", "1")], "test": [("c", "-1")]},
    ),
    "a test part with some labels": Case(
        "unlabelled",
        "",
        {"train.csv": GOOD, "test.csv": "text,label\na,pos\nb,\n"},
        error="(test), row 2: expected a label of ['neg', 'pos'] in column 'label', got ''; --skip-bad",
    ),
    "a validation part without labels": Case(
        "unlabelled", "", {"train.csv": GOOD, "val.csv": "text\na\n"}, error="val.csv: expected a column 'label'"
    ),
    "class labels of -1": Case(
        "unlabelled",
        "huggingface/datasets#245",
        {"train.parquet": class_labels([1, 0], ["neg", "pos"]), "test.parquet": class_labels([-1, -1], ["neg", "pos"])},
        labelled("pos", "neg"),
        said=("the test part has no labels",),
    ),
    # Item 16: rows without a text.
    "rows without a text": Case(
        "bad rows",
        "apache/texera#7549",
        {"a.csv": f"{GOOD},pos\n  ,neg\nno label,\n"},
        TRAIN,
        said=("3 of 5 rows left out, which lack a text or label: 3, 4, 5",),
        options={"skip_bad": True},
    ),
    "rows without a text, not skipped": Case(
        "bad rows",
        "apple/turicreate#3357",
        {"a.csv": f"{GOOD},pos\n"},
        error="row 3: expected a text in column 'text', got ''; --skip-bad leaves such rows out",
    ),
    "null for a text": Case(
        "bad rows",
        "",
        {"a.jsonl": lines({"text": "a", "label": 0}, {"text": None, "label": 1}, {"text": "b", "label": 1})},
        {"train": [("a", "0"), ("b", "1")]},
        said=("1 of 3 rows left out, which lack a text or label: 2",),
        options={"skip_bad": True},
    ),
    "blank lines": Case(
        "bad rows",
        "",
        {"a.txt": "good film\tpos\n\ndull film\tneg\n\n"},
        TRAIN,
        said=("2 of 4 rows left out",),
        options={"skip_bad": True},
    ),
    "only rows without a text": Case(
        "bad rows",
        "",
        {"a.csv": "text,label\n,1\n,0\n"},
        error="expected a row with a text and a label, got none in 2 rows",
        options={"skip_bad": True},
    ),
}
