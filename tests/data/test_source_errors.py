"""Bad files: each is an error that names the file, the row, what was expected and what came."""

import json
import re

import datasets
import pytest

from rnnjax.data import load_source

GOOD = "text,label\ngood,1\nbad,0\n"


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def bad_label(label, classes, row):
    """The message's end for a label that is not among the classes."""
    return f"(train), row {row}: expected a label of {classes} in column 'label', got {label!r}"


def bad_text(text, row=1):
    return f"(train), row {row}: expected a text in column 'text', got {text!r}"


TYPES = ".csv, .tsv, .tab, .txt, .json, .jsonl, .ndjson, .parquet, .arrow"

# name: (file name, its content, the message, the end of it after the path)
BAD_FILES = {
    "empty": ("films.csv", "", ": expected at least one row, got an empty file"),
    "empty Parquet": ("films.parquet", "", ": expected at least one row, got an empty file"),
    "unknown suffix": ("films.doc", "text", f": expected a file of type {TYPES}, got '.doc'"),
    "no suffix": ("films", "text", f": expected a file of type {TYPES}, got 'no suffix'"),
    "no text column": ("films.csv", "label,review\n1,a\n0,b\n", ": expected a column 'text', got ['label', 'review']"),
    "no label column": ("films.csv", "text,mood\na,1\nb,0\n", ": expected a column 'label', got ['text', 'mood']"),
    "nested JSON": ("films.json", '{"data": [{"text": "a", "label": 0}]}', ": expected a column 'text', got ['data']"),
    "invalid UTF-8": ("films.csv", b"text,label\ngood\xff,1\n", ": expected UTF-8, got an invalid byte near offset 15"),
    "cut-off UTF-16": ("films.csv", GOOD.encode("utf-16")[:-1], ": expected utf-16, got: "),
    "cut-off UTF-8": ("films.csv", GOOD.encode() + b"caf\xc3", ": expected UTF-8, got an invalid byte near offset"),
    "unclosed quote": ("films.csv", 'text,label\n"good,1\nbad,0\n', ", row 1 (line 2): expected quote marks around"),
    "too many fields": (
        "films.csv",
        f"{GOOD}bad,0,7,8\n",
        ", row 3 (line 4): expected 2 fields separated by ',', got 4: ['bad', '0', '7', '8']",
    ),
    "a field more in every row": (
        "films.csv",
        "text,label\na,1,0\nb,0,1\n",
        ", row 1 (line 2): expected 2 fields separated by ',', got 3: ['a', '1', '0']",
    ),
    "a field more in every row of a TSV": (
        "films.tsv",
        "text\tlabel\na\t1\t0\nb\t0\t1\n",
        ", row 1 (line 2): expected 2 fields separated by '\\t', got 3: ['a', '1', '0']",
    ),
    "malformed JSON": ("films.json", '[{"text": "a",', ": not readable as json: Expected object or value"),
    "malformed JSON Lines": ("films.jsonl", "nonsense\n", ": not readable as json: JSON parse error"),
    "malformed Parquet": ("films.parquet", "PAR1 nonsense", ": not readable as parquet: Parquet magic bytes not found"),
    "one class": (
        "films.csv",
        "text,label\na,1\nb,1\n",
        ": expected at least two classes in column 'label', got only '1'",
    ),
    "one named class": (
        "films.jsonl",
        lines({"text": "a", "label": "pos"}),
        "two classes in column 'label', got only 'pos'",
    ),
    "list for label": (
        "films.jsonl",
        lines({"text": "a", "label": [1]}, {"text": "b", "label": [0]}),
        ": expected numbers or names in column 'label', got [1]",
    ),
    "one class beside a missing label": (
        "films.csv",
        "text,label\na,pos\nb,\n",
        "two classes in column 'label', got only 'pos'",
    ),
    "missing label": ("films.csv", "text,label\na,pos\nb,neg\nc,\n", bad_label("", ["neg", "pos"], 3)),
    "null label": (
        "films.jsonl",
        lines({"text": "a", "label": 1}, {"text": "b", "label": 0}, {"text": "c"}),
        bad_label(None, ["0", "1"], 3),
    ),
    "empty text": ("films.csv", "text,label\na,1\n,0\n", bad_text("", 2)),
    "blank text": ("films.csv", 'text,label\n" \t\n",1\nb,0\n', bad_text(" \t\n")),
    "number for text": ("films.jsonl", lines({"text": 3, "label": 1}, {"text": 4, "label": 0}), bad_text(3)),
    "null for text": ("films.jsonl", lines({"text": "a", "label": 1}, {"text": None, "label": 0}), bad_text(None, 2)),
    "list for text": ("films.jsonl", lines({"text": ["a"], "label": 1}, {"text": ["b"], "label": 0}), bad_text(["a"])),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_source(str(path))
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(("name", "content"), [("films.csv", "text,label\n"), ("films.json", "[]")])
def test_a_file_without_a_row_is_an_error(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=f"{name}: expected at least one row, got none"):
        load_source(str(tmp_path / name))


@pytest.mark.parametrize("label", ["other", 2, -1])
def test_a_label_outside_the_given_classes_is_an_error(tmp_path, label):
    path = tmp_path / "films.csv"
    path.write_text(f"text,label\na,0\nb,1\nc,{label}\n")
    known = rf"\(train\), row 3: expected a label of \['neg', 'pos'\] in column 'label', got '{label}'"
    with pytest.raises(ValueError, match=known):
        load_source(str(path), classes=("neg", "pos"))


def test_a_missing_class_label_is_an_error(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    rows = {"text": ["a", "b", "c"], "label": [0, 1, -1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "films.parquet")
    with pytest.raises(ValueError, match=re.escape(bad_label(-1, ["neg", "pos"], 3))):
        load_source(str(tmp_path / "films.parquet"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,1\n ,0\n", "(test), row 2: expected a text in column 'text', got ' '"),
        ("text,label\na,1\nb,2\n", "(test), row 2: expected a label of ['0', '1'] in column 'label', got '2'"),
        ("review,label\na,1\nb,0\n", "test.csv: expected a column 'text', got ['review', 'label']"),
    ],
    ids=["blank text", "unseen class", "no text column"],
)
def test_the_other_parts_are_checked_like_the_training_part(tmp_path, content, message):
    (tmp_path / "train.csv").write_text(GOOD)
    (tmp_path / "test.csv").write_text(content)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_source(str(tmp_path))
    assert str(caught.value).startswith(str(tmp_path))


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    path = str(tmp_path / "none.csv")
    with pytest.raises(
        FileNotFoundError, match=re.escape(f"expected 'reviews', 'imdb' or a path that exists, got {path!r}")
    ):
        load_source(path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("test.csv", " among ['test.csv']; give one of them as the source"), ("train.md", ""), ("traintest.tar.gz", "")],
)
def test_a_folder_without_a_training_part_is_an_error(tmp_path, name, hint):
    (tmp_path / name).write_text(GOOD)
    message = f"{tmp_path}: expected a file train.* of type {TYPES}, found none{hint}"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        load_source(str(tmp_path))


@pytest.mark.parametrize("part", ["train", "test"])
def test_two_files_for_one_part_are_an_error(tmp_path, part):
    for name in ("train.csv", f"{part}.csv", f"{part}.tsv"):
        (tmp_path / name).write_text(GOOD)
    message = f"{tmp_path}: expected one file {part}.*, got ['{part}.csv', '{part}.tsv']"
    with pytest.raises(ValueError, match=re.escape(message)):
        load_source(str(tmp_path))
