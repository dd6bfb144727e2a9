"""Labelled texts: the checked rows of a table, with the number of the class of each."""

import array
import reprlib
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.data.class_names import (
    BOOLEANS,
    class_name,
    in_order,
    indices_of,
    is_boolean,
    is_missing,
    is_number,
    named_alike,
    numbers_of,
)
from rnnjax.data.datasets_loader import values_of
from rnnjax.data.stored_texts import StoredTexts
from rnnjax.errors import first_of
from rnnjax.extras import extra

with extra("text"):
    import datasets

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
    """The checked texts and labels. Raises ValueError that names the first bad row; `skip_bad` skips those without.

    A label is the name of a class, or the number of one, where no class has a number as its name. With `say_indices`,
    a warning says so.
    """
    numbers, indices = numbers_of(classes, where), indices_of(classes)
    good, labels, indexed = array.array("q"), [], 0  # an array takes less memory than a list
    for row, (text, label) in enumerate(values_of(rows, *columns), start=1):
        name = class_name(label)
        number = numbers.get(name, indices.get(name))
        missing = number is None and is_missing(name, numbers)
        if skip_bad and (not is_text(text) or missing):
            continue
        if not is_text(text):
            raise no_text(text, columns[0], f"{where}, row {row}")
        if number is None:
            hint = f"; {SKIP}" if missing else ""
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
    """The names of the classes in a column of labels. Warns of names that may be none, or that are nearly the same.

    Booleans have words as names, unless other labels are numbers. Beside numbers, a word for a missing value is no
    class. Raises ValueError for fewer than two classes.
    """
    feature = rows.features[column]
    booleans, names = set[str](), set[str]()
    for (label,) in values_of(rows, column):
        (booleans if is_boolean(label) else names).add(class_name(label))
    names -= {""}
    numbers = {name for name in names if is_number(name)}
    if missing := {name for name in names if is_missing(name, numbers)}:
        if numbers | booleans and names == numbers | missing:
            names = numbers
        elif names != missing:
            told = first_of([repr(name) for name in sorted(missing)])
            warnings.warn(f"{where}: read as names of classes, not as missing labels: {told}", stacklevel=2)
    if booleans and numbers:
        warnings.warn(f"{where}: true is read as 1 and false as 0, because other labels are numbers", stacklevel=2)
    names |= booleans if numbers else {BOOLEANS[name] for name in booleans}
    if not names:
        raise ValueError(
            f"{where}: expected numbers or names in column {column!r}, got {reprlib.repr(rows[0][column])}"
        )
    if len(names) == 1:
        raise ValueError(f"{where}: expected at least two classes in column {column!r}, got only {names.pop()!r}")
    if isinstance(feature, datasets.ClassLabel):
        numbers_of(feature.names, where)
        return tuple(feature.names)
    if alike := named_alike(names):
        told = first_of([repr(name) for name in alike])
        warnings.warn(f"{where}: classes with names that differ only in case: {told}", stacklevel=2)
    return in_order(names)


def say_doubts(
    rows: datasets.Dataset, columns: tuple[str, str], classes: Sequence[str], where: str, headerless: bool
) -> None:
    """Warns of columns that may be swapped, and of a first row that may be a header, unless labels are numbers."""
    counts = Counter(class_name(label) for (label,) in values_of(rows, columns[1]))
    if 2 * len(classes) > len(rows) and not all(map(is_number, classes)):
        texts = len({text for (text,) in values_of(rows, columns[0]) if isinstance(text, str)})
        if texts < len(classes):
            warnings.warn(
                f"{where}: column {columns[1]!r} has {len(classes):,} different values, and column {columns[0]!r} "
                f"{texts:,}: they may be swapped (--columns label,text without a header; else --text-column and "
                "--label-column)",
                stacklevel=2,
            )
    first = class_name(rows[0][columns[1]])
    others = counts.keys() - {first}
    repeated = all(map(is_number, others)) or min(counts[name] for name in others) > 1
    if headerless and counts[first] == 1 and repeated and not is_number(first):
        warnings.warn(f"{where}: only row 1 has label {first!r}: it may be a header, not a row", stacklevel=2)


def is_labelled(rows: datasets.Dataset, column: str, classes: Sequence[str]) -> bool:
    """Whether a column exists and has any label; -1 and words for a missing value are none, unless they are classes."""
    names = {class_name(name) for name in classes}
    return column in rows.column_names and any(
        not is_missing(class_name(label), names) for (label,) in values_of(rows, column)
    )


def is_text(value: Any) -> bool:
    """Whether a value is a text with more than white space, and without the null character of damaged files."""
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def no_text(value: Any, column: str, where: str) -> ValueError:
    """The error of a row without a text."""
    hint = f"; {SKIP}" if value is None or isinstance(value, str) else ""
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
