"""Labelled texts: the checked rows of a table, with the number of the class of each."""

import array
import reprlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.data.class_names import class_name, in_order, indices_of, numbers_of
from rnnjax.data.datasets_loader import values_of
from rnnjax.data.stored_texts import StoredTexts
from rnnjax.extras import extra

with extra("text"):
    import datasets

NO_LABEL = "-1"  # what a part without labels has for labels, if it is none of its classes
MOST_NAMED = 10
SKIP = "--skip-bad leaves such rows out"


class LabelledTexts(NamedTuple):
    """Texts, in memory or stored, and the class index of each."""

    texts: Sequence[str]
    labels: list[int]

    def take(self, rows: np.ndarray) -> "LabelledTexts":
        """These rows, in this order; stored texts stay on disk."""
        texts, labels = self.texts, self.labels
        chosen = texts.take(rows) if isinstance(texts, StoredTexts) else [texts[row] for row in map(int, rows)]
        return LabelledTexts(chosen, [labels[row] for row in rows])


def checked_texts(rows: datasets.Dataset, column: str, where: str, skip_bad: bool) -> StoredTexts:
    """The texts of a column. Raises ValueError that names the first row without a text; or skips such rows."""
    good = array.array("q")
    for row, (text,) in enumerate(values_of(rows, column), start=1):
        if is_text(text):
            good.append(row - 1)
        elif not skip_bad:
            raise no_text(text, column, f"{where}, row {row}")
    return _stored(rows, column, good, where)


def labelled(
    rows: datasets.Dataset,
    columns: tuple[str, str],
    classes: tuple[str, ...],
    where: str,
    *,
    skip_bad: bool,
    say_indices: bool,
) -> LabelledTexts:
    """The checked texts and labels. Raises ValueError that names the first bad row; `skip_bad` skips empty ones.

    A label is the name of a class, or the number of one, where no class has a number as its name. With `say_indices`,
    a warning says so.
    """
    numbers, indices = numbers_of(classes, where), indices_of(classes)
    good, labels, indexed = array.array("q"), [], 0  # an array takes less memory than a list
    for row, (text, label) in enumerate(values_of(rows, *columns), start=1):
        name = class_name(label)
        number = numbers.get(name, indices.get(name))
        if skip_bad and (not is_text(text) or name == ""):
            continue
        if not is_text(text):
            raise no_text(text, columns[0], f"{where}, row {row}")
        if number is None:
            hint = f"; {SKIP}" if name == "" else ""
            raise ValueError(
                f"{where}, row {row}: expected a label of {_names(classes)} in column {columns[1]!r}, "
                f"got {reprlib.repr(label)}{hint}"
            )
        indexed += name not in numbers
        good.append(row - 1)
        labels.append(number)
    if indexed and say_indices:
        meaning = ", ".join(f"{index} {name}" for index, name in list(enumerate(classes))[:MOST_NAMED])
        warnings.warn(f"{where}: labels of {indexed:,} rows are numbers of the classes: {meaning}", stacklevel=2)
    return LabelledTexts(_stored(rows, columns[0], good, where), labels)


def found_classes(rows: datasets.Dataset, column: str, where: str) -> tuple[str, ...]:
    """The names of the classes in a column of labels. Raises ValueError for fewer than two."""
    labels = {class_name(label) for (label,) in values_of(rows, column)} - {""}
    if not labels:
        raise ValueError(
            f"{where}: expected numbers or names in column {column!r}, got {reprlib.repr(rows[0][column])}"
        )
    if len(labels) == 1:
        raise ValueError(f"{where}: expected at least two classes in column {column!r}, got only {labels.pop()!r}")
    feature = rows.features[column]
    if isinstance(feature, datasets.ClassLabel):
        numbers_of(feature.names, where)
        return tuple(feature.names)
    return in_order(labels)


def is_labelled(rows: datasets.Dataset, column: str, classes: Sequence[str]) -> bool:
    """Whether a column exists and has any label; -1 is no label, unless it is a class."""
    if column not in rows.column_names:
        return False
    none = {""} if NO_LABEL in map(class_name, classes) else {"", NO_LABEL}
    return any(class_name(label) not in none for (label,) in values_of(rows, column))


def is_text(value: Any) -> bool:
    """Whether a value is a text with more than white space."""
    return isinstance(value, str) and bool(value.strip())


def no_text(value: Any, column: str, where: str) -> ValueError:
    """The error of a row without a text."""
    hint = "" if isinstance(value, int | float | list | dict) else f"; {SKIP}"
    return ValueError(f"{where}: expected a text in column {column!r}, got {reprlib.repr(value)}{hint}")


def _stored(rows: datasets.Dataset, column: str, good: Sequence[int], where: str) -> StoredTexts:
    """The texts of the good rows. Warns of the others; raises ValueError if there are only others."""
    skipped = len(rows) - len(good)
    if not good:
        raise ValueError(f"{where}: expected a row with a text and a label, got none in {len(rows):,} rows")
    if skipped:
        first = ", ".join(str(row) for row in _gaps(good, len(rows)))
        warnings.warn(
            f"{where}: {skipped:,} of {len(rows):,} rows left out, which lack a text or label: {first}", stacklevel=2
        )
    return StoredTexts(rows, column, np.asarray(good, np.int64))


def _gaps(good: Sequence[int], count: int) -> Iterator[str]:
    """The numbers from 1 of the first rows that are not good."""
    bad = np.setdiff1d(np.arange(count), np.asarray(good)) + 1
    yield from map(str, bad[:MOST_NAMED])
    if len(bad) > MOST_NAMED:
        yield "..."


def _names(classes: Sequence[str]) -> str:
    """The names of classes, as a list."""
    return reprlib.repr(list(classes)) if len(classes) > MOST_NAMED * 2 else str(list(classes))
