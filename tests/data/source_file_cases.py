"""Encodings and compressed files as users have them."""

import bz2
import gzip
import lzma

import pyarrow as pa
from source_case import GOOD, ROWS, TRAIN, Case, lines, parquet, written, zipped

FRENCH = "text,label\nun été à la plage,pos\n«\xa0déjà vu\xa0» et l\u2019ennui,neg\n"
FRENCH_ROWS = {"train": [("un été à la plage", "pos"), ("«\xa0déjà vu\xa0» et l\u2019ennui", "neg")]}
POLISH = "text,label\nzły film,neg\npiękny żart,pos\n"

FILE_CASES: dict[str, Case] = {
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
        error="expected UTF-8, got an invalid byte near offset 14, line 2; --encoding names another one, such as ",
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
    **{
        f"UTF-8 read as {encoding}": Case(
            "encoding",
            "",
            {"a.csv": FRENCH.encode()},
            {"train": rows},
            said=(f"read as {encoding}, as given, but it is",) if said else (),
            options={"encoding": encoding},
        )
        for encoding, rows, said in (
            ("cp1252", [(t.encode().decode("cp1252"), c) for t, c in FRENCH_ROWS["train"]], True),
            ("utf8", FRENCH_ROWS["train"], False),
            ("UTF-8-SIG", FRENCH_ROWS["train"], False),
        )
    },
    "plain letters read as cp1251": Case("encoding", "", {"a.csv": GOOD}, TRAIN, options={"encoding": "cp1251"}),
    "no encoding": Case(
        "encoding", "", {"a.csv": GOOD}, error="encoding: expected a name such as utf-8", options={"encoding": "hex"}
    ),
    **{
        f"compressed as {suffix}": Case("compressed", "", {f"a.csv{suffix}": compress(GOOD.encode())}, TRAIN)
        for suffix, compress in {
            ".gz": gzip.compress,
            ".bz2": bz2.compress,
            ".xz": lzma.compress,
            ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
            ".zip": lambda content: zipped({"films.csv": content.decode()}),
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
        {"a.zip": zipped({"a.csv": GOOD, "b.csv": GOOD})},
        error="not readable as .zip: expected an archive of one file, got 2: ['a.csv', 'b.csv']",
    ),
    "a zip of something else": Case(
        "compressed", "", {"a.zip": zipped({"a.exe": GOOD})}, error="expected a file of type .csv, "
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
        {"train.csv.gz": gzip.compress(GOOD.encode()), "val.zip": zipped({"x.csv": GOOD})},
        {**TRAIN, "validation": ROWS},
    ),
    "an error in a compressed file": Case(
        "compressed",
        "",
        {"a.csv.gz": gzip.compress(b"text,label\na,b,c,d\n")},
        error="a.csv.gz, row 1 (line 2): expected 2 fields",
    ),
    **{
        f"a member without a suffix in {name}": Case("compressed", "", {name: zipped({"data": content})}, rows, error)
        for name, content, rows, error in (
            ("a.csv.zip", GOOD, TRAIN, ""),
            ("a.jsonl.zip", lines(*({"text": text, "label": label} for text, label in ROWS)), TRAIN, ""),
            ("a.zip", GOOD, None, "expected a file of type .csv, "),
        )
    },
    "what a Mac adds to an archive": Case(
        "compressed", "", {"a.zip": zipped({"a.csv": GOOD, "__MACOSX/._a.csv": "x", "._a.csv": "x"})}, TRAIN
    ),
    # JSON.
    **{
        f"two objects on a line, {name}": Case(
            "JSON", "unslothai/unsloth#8759", {"a.jsonl": content}, error=f"a.jsonl, line {line}: expected one object a"
        )
        for name, content, line in (
            ("together", '{"text": "a", "label": 1}\n{"text": "b", "label": 0}{"text": "c", "label": 1}\n', 2),
            ("with a space", '{"text": "a", "label": 1} {"text": "b", "label": 0}', 1),
            (
                "of other types",
                '\n\n{"text": "}{", "label": 1}\n{"text": "b", "label": "0"}{"text": "c", "label": 1}',
                4,
            ),
            ("indented", '{\n"text": "a",\n"label": 1}{\n"text": "b",\n"label": 0}\n', 3),
        )
    },
    **{
        f"objects, {name}": Case("JSON", "", {"a.json": content}, {"train": [("}{", "1"), ("b\n", "0")]})
        for name, content in (
            ("over several lines", '{\n"text": "}{",\n"label": 1\n}\n{\n"text": "b\\n",\n"label": 0\n}'),
            ("in a list", '[{"text": "}{", "label": 1}, {"text": "b\\n", "label": 0}]'),
            ("with an object within", '{"text": "}{", "label": 1, "x": {}}\n{"text": "b\\n", "label": 0, "x": {}}'),
        )
    },
    **{
        f"a name twice in an object, {name}": Case("JSON", "", {"a.json": content}, error=error)
        for name, content, error in (
            (
                "in a list",
                '[{"text": "a", "label": 1}, {"text": "b", "text": "c", "label": 0}]',
                "duplicate name 'text'",
            ),
            ("in lines", '{"text": "a", "text": "b", "label": 1}\n', "specified twice"),
            (
                "in mixed lines",
                '{"text": "a", "label": 1}\n{"text": "b", "label": "0", "text": "c"}\n',
                "line 2: expected",
            ),
        )
    },
    **{
        f"--{option} for {name}": Case(
            "JSON", "", {name: content}, error=f"{name}: expected {error}", options={option: value}
        )
        for option, value, name, content, error in (
            (
                "columns",
                "label,text",
                "a.jsonl",
                "{}",
                "a file of type .csv, .tsv, .tab, .txt with --columns, got '.jsonl'",
            ),
            ("separator", ";", "a.json", "[]", "a file of type .csv, .tsv, .tab, .txt with --separator"),
            ("comment", "#", "a.parquet", "", "a file of type .csv, .tsv, .tab, .txt with --comment"),
            ("encoding", "latin-1", "a.parquet", "", "a text file with --encoding"),
        )
    },
    "a name twice in Parquet": Case(
        "JSON",
        "",
        {"a.parquet": written(pa.Table.from_arrays([["a"], ["b"], [1]], ["text", "text", "label"]))},
        error="a.parquet: expected different column names, got ['text', 'text', 'label']",
    ),
    "an Arrow file, not a stream": Case(
        "JSON",
        "",
        {"a.arrow": b"ARROW1\0\0" + bytes(100)},
        error="a.arrow: expected an Arrow stream, as `datasets` writes it, got an Arrow file (Feather)",
    ),
}
