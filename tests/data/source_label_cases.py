"""Labels and rows as users have them."""

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
from source_case import GOOD, ROWS, TRAIN, Case, labelled, lines, numbered, parquet

BOOLEANS = ("true", "false", "true", "true", "false")
TRUE_IS_1 = ("true is read as 1 and false as 0, because other labels are numbers",)


def json_labels(*labels: Any) -> str:
    return lines(*({"text": f"text {n}", "label": label} for n, label in enumerate(labels)))


LABEL_CASES: dict[str, Case] = {
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
    "numbers of other types in Parquet": Case(
        "labels",
        "",
        {
            "a.parquet": parquet(
                {"text": ["a", "b"], "label": pa.array([Decimal("1.0"), Decimal("2.50")], pa.decimal128(5, 2))}
            )
        },
        {"train": [("a", "1"), ("b", "2.5")]},
    ),
    "floats of single precision": Case(
        "labels",
        "",
        {"a.parquet": parquet({"text": ["a", "b"], "label": pa.array([0.1, 2.0], pa.float32())})},
        {"train": [("a", "0.1"), ("b", "2")]},
    ),
    "booleans in Parquet": Case(
        "labels",
        "",
        {"a.parquet": parquet({"text": ["a", "b"], "label": [True, False]})},
        {"train": [("a", "true"), ("b", "false")]},
    ),
    "bytes for a text": Case(
        "labels",
        "",
        {"a.parquet": parquet({"text": [b"a", b"b"], "label": [0, 1]})},
        error="row 1: expected a text in column 'text', got b'a'",
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
    # Booleans, other ways to write numbers, and words for no label.
    **{
        f"booleans, {name}": Case(
            "labels",
            "shancarter/mr-data-converter#16",
            {file: content},
            labelled(*("10110" if said else BOOLEANS)),
            said=said,
        )
        for name, file, content, said in (
            ("words", "a.csv", numbered("True", "false", "TRUE", " true", "\ufeffFalse"), ()),
            ("JSON", "a.jsonl", json_labels(True, False, True, True, False), ()),
            ("JSON and words", "a.jsonl", json_labels(True, "False", "TRUE", True, False), ()),
            ("beside numbers", "a.jsonl", json_labels(True, 0, 1, "1", False), TRUE_IS_1),
            ("words beside numbers", "a.csv", numbered("true", "0.0", "1", "1e0", "FALSE"), TRUE_IS_1),
        )
    },
    "true among other words": Case(
        "labels",
        "",
        {"a.csv": numbered("TRUE", "half-true", "False", "true")},
        labelled("true", "half-true", "false", "true"),
    ),
    "numbers in other ways": Case(
        "labels",
        "",
        {"a.csv": numbered("1e0", "10E-1", "+1", "\uff11", "\u0661", "\u22121", "-1", ".5", "5e-1", "2E+1", "20")},
        labelled(*"11111", "-1", "-1", "0.5", "0.5", "20", "20"),
    ),
    "names that are no numbers": Case(
        "labels",
        "",
        {"a.csv": numbered("1_0", "0x1", "1e", "e1", "1e999")},
        labelled("1_0", "0x1", "1e", "e1", "1e999"),
    ),
    "accents in two ways": Case(
        "labels",
        "undertheseanlp/underthesea#161",
        {"a.csv": numbered("caf\u00e9", "cafe\u0301", "\ufeffcaf\u00e9\u200b", "th\u00e9")},
        labelled(*["caf\u00e9"] * 3, "th\u00e9"),
    ),
    "names alike except for case": Case(
        "labels",
        "",
        {"a.csv": numbered("Pos", "pos", "neg")},
        labelled("Pos", "pos", "neg"),
        said=("classes with names that differ only in case: 'Pos', 'pos'",),
    ),
    **{
        f"{word} beside numbers": Case(
            "labels",
            "",
            {"a.csv": numbered("1", "0", word)},
            error=f"row 3: expected a label of ['0', '1'] in column 'label', got {word!r}; --skip-bad",
        )
        for word in ("nan", "NA", "N/A", "None", "NULL", "?", "-")
    },
    "nan beside numbers, skipped": Case(
        "labels",
        "",
        {"a.csv": numbered("1", "nan", "0", "true")},
        {"train": [("text 0", "1"), ("text 2", "0"), ("text 3", "1")]},
        said=("true is read as 1 and false as 0", "1 of 4 rows left out, which lack a text or label: 2"),
        options={"skip_bad": True},
    ),
    "nan beside words": Case(
        "labels",
        "",
        {"a.csv": numbered("good", "nan", "bad", "?")},
        labelled("good", "nan", "bad", "?"),
        said=("read as names of classes, not as missing labels: '?', 'nan'",),
    ),
    "a text with a null character": Case(
        "bad rows",
        "turicas/rows#273",
        {"a.csv": f"{GOOD}a\0b,pos\n"},
        error="row 3: expected a text in column 'text', got 'a\\x00b'; --skip-bad leaves such rows out",
    ),
    "a text with a null character, skipped": Case(
        "bad rows",
        "turicas/rows#273",
        {"a.jsonl": lines(*({"text": text, "label": label} for text, label in (*ROWS, ("a\0b", "pos"))))},
        TRAIN,
        said=("1 of 3 rows left out",),
        options={"skip_bad": True},
    ),
}
