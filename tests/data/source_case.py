"""A file as users have it: its kind, a public report of it, its content, and what must happen."""

import io
import json
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


def lines(*rows: Mapping[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def written(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()


def parquet(columns: Mapping[str, Any]) -> bytes:
    return written(pa.table(dict(columns)))


def class_labels(labels: list[int], names: list[str]) -> bytes:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    rows = datasets.Dataset.from_dict({"text": [f"text {n}" for n in range(len(labels))], "label": labels}, features)
    return written(rows.data.table)


def zipped(members: Mapping[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def labelled(*labels: str) -> dict[str, list[tuple[str, str]]]:
    return {"train": [(f"text {n}", label) for n, label in enumerate(labels)]}


def numbered(*labels: str) -> str:
    """A CSV file with these labels."""
    return "text,label\n" + "".join(f"text {n},{label}\n" for n, label in enumerate(labels))
