"""Predictions for the rows of a file, written with their other columns to another file."""

import datetime
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import datasets
import numpy as np

from rnnjax.data import StoredTexts, TextFormat
from rnnjax.data.datasets_loader import values_of
from rnnjax.data.labelled_texts import checked_texts
from rnnjax.data.stored_texts import BATCH_ROWS
from rnnjax.data.table_files import read_table
from rnnjax.files import new_file
from rnnjax.runs import RunFolder

PREDICTION, PROBABILITY, EARLIER = "prediction", "probability_", "earlier_"


def check_output(path: Path) -> None:
    """Raises ValueError for another suffix, FileExistsError for a path that is taken."""
    if path.suffix.lower() not in WRITERS:
        raise ValueError(f"output: expected a file of type {', '.join(WRITERS)}, got {path.name!r}")
    RunFolder.check_new(path, "output")


def read_rows(source: str, text_column: str, given: TextFormat) -> tuple[datasets.Dataset, StoredTexts]:
    """The rows of a file with all their columns, and their texts; without the bad ones, if these are skipped.

    Raises as `read_table`.
    """
    path = Path(source).expanduser()
    rows = read_table(path, text_column, None, given, whole=True)
    texts = checked_texts(rows, text_column, str(path), given.skip_bad)
    return rows.select(texts.rows), texts


def added(classes: Sequence[str]) -> list[str]:
    """The names of the columns of predictions: the class, and the probability of each class."""
    return [PREDICTION, *(f"{PROBABILITY}{name}" for name in classes)]


def write_rows(rows: datasets.Dataset, probabilities: np.ndarray, classes: Sequence[str], path: Path) -> None:
    """Writes the rows with their predictions; `probabilities` are `(N, C)`. The file appears when it is complete.

    A column with the name of one of the predictions gets another name, and a warning says so.
    """
    names = [classes[number] for number in probabilities.argmax(axis=1)]
    columns = dict(zip(added(classes), [names, *probabilities.T.astype(float).tolist()], strict=True))
    for name in [name for name in columns if name in rows.column_names]:
        free = f"{EARLIER}{name}"
        while free in {*rows.column_names, *columns}:
            free = f"{EARLIER}{free}"
        warnings.warn(f"output: column {name!r} of the source is written as {free!r}", stacklevel=2)
        rows = rows.rename_column(name, free)
    predictions = datasets.Dataset.from_dict(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as file:
        WRITERS[path.suffix.lower()](datasets.concatenate_datasets([rows, predictions], axis=1), file)


def _write_csv(rows: datasets.Dataset, file: BinaryIO) -> None:
    """Lists and objects are in JSON, because CSV has none."""
    for name, feature in rows.features.items():
        if not isinstance(feature, datasets.Value | datasets.ClassLabel):
            column = [None if value is None else _json(value) for (value,) in values_of(rows, name)]
            order, own = rows.column_names, datasets.Dataset.from_dict({name: column})
            rows = datasets.concatenate_datasets([rows.remove_columns(name), own], axis=1).select_columns(order)
    rows.to_csv(file, index=False)


def _write_json_lines(rows: datasets.Dataset, file: BinaryIO) -> None:
    for batch in rows.iter(BATCH_ROWS):
        columns: Mapping[str, list[Any]] = dict(batch)
        for values in zip(*columns.values(), strict=True):
            file.write(f"{_json(dict(zip(columns, values, strict=True)))}\n".encode())


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """A value that JSON has: a time as text, and null for what is no number."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value if isinstance(value, str | int | float | None) else str(value)


WRITERS: dict[str, Callable[[datasets.Dataset, BinaryIO], Any]] = {
    ".csv": _write_csv,
    ".jsonl": _write_json_lines,
    ".parquet": lambda rows, file: rows.to_parquet(file),
}
