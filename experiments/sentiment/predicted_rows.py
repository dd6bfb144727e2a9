"""Predictions for the rows of a file, written with their other columns to another file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from rnnjax.data import StoredTexts, TextFormat
from rnnjax.data.labelled_texts import checked_texts
from rnnjax.data.table_files import read_table
from rnnjax.files import new_file
from rnnjax.runs import RunFolder

PREDICTION, PROBABILITY = "prediction", "probability_"
WRITERS: dict[str, Any] = {
    ".csv": lambda rows, file: rows.to_csv(file, index=False),
    ".jsonl": lambda rows, file: rows.to_json(
        file, lines=True, force_ascii=False, double_precision=15, date_format="iso"
    ),
    ".parquet": lambda rows, file: rows.to_parquet(file),
}


def check_output(path: Path) -> None:
    """Raises ValueError for another suffix, FileExistsError for a path that is taken."""
    if path.suffix.lower() not in WRITERS:
        raise ValueError(f"output: expected a file of type {', '.join(WRITERS)}, got {path.name!r}")
    RunFolder.check_new(path, "output")


def read_rows(
    source: str, text_column: str, given: TextFormat, classes: Sequence[str]
) -> tuple[datasets.Dataset, StoredTexts]:
    """The rows of a file with all their columns, and their texts; without the bad ones, if these are skipped.

    Raises ValueError if the rows have a column of predictions, and as `read_table`.
    """
    path = Path(source).expanduser()
    rows = read_table(path, text_column, None, given, whole=True)
    for name in added(classes):
        if name in rows.column_names:
            raise ValueError(f"{path}: expected no column {name!r}, which the output gets")
    texts = checked_texts(rows, text_column, str(path), given.skip_bad)
    return rows.select(texts.rows), texts


def added(classes: Sequence[str]) -> list[str]:
    """The names of the columns of predictions: the class, and the probability of each class."""
    return [PREDICTION, *(f"{PROBABILITY}{name}" for name in classes)]


def write_rows(rows: datasets.Dataset, probabilities: np.ndarray, classes: Sequence[str], path: Path) -> None:
    """Writes the rows with their predictions; `probabilities` are `(N, C)`. The file appears when it is complete."""
    names = [classes[number] for number in probabilities.argmax(axis=1)]
    columns = dict(zip(added(classes), [names, *probabilities.T.astype(float).tolist()], strict=True))
    predictions = datasets.Dataset.from_dict(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as file:
        WRITERS[path.suffix.lower()](datasets.concatenate_datasets([rows, predictions], axis=1), file)
