"""How quote marks are used in a file of separated columns: around fields, escaped by a backslash, or as text."""

import contextlib
import csv
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rnnjax.data.file_checks import MOST_LINE_BYTES
from rnnjax.data.layouts import Layout
from rnnjax.data.plain_files import plain_copy

AS_TEXT = {"quoting": csv.QUOTE_NONE}
_ESCAPED = re.compile(rb'(?<!\\)((?:\\\\)*)\\"')


class Scan(NamedTuple):
    """The rows of a file: whether all have the fields of the header.

    `longer` is the first row of several lines, `fault` the first one with a misplaced quote mark, both in words.
    """

    even: bool
    longer: str
    fault: str


def with_usual_quotes(plain: Path, path: Path, suffix: str, layout: Layout) -> tuple[Path, Layout]:
    """A file with quote marks around fields, those of a text twice, or part of the texts as the layout then says.

    A warning says what is not the usual way: quote marks within texts after a backslash, or only once; in files with
    tabs, also as part of the texts. Raises ValueError that names the row with a misplaced quote mark.
    """
    if not _has(plain, b'"'):
        return plain, layout
    usual = _scan(plain, layout)
    if (usual.fault or not usual.even) and _has(plain, b'\\"'):
        copy = plain_copy(_after_backslash(plain), suffix)
        mended = _scan(copy, layout)
        if not mended.fault and (usual.fault or mended.even):
            warnings.warn(f"{path}: texts in quote marks have their own quote marks after \\", stacklevel=2)
            return copy, layout
    if not usual.fault and not usual.longer:
        return plain, layout
    as_text = layout._replace(dialect={**layout.dialect, **AS_TEXT})
    lines = _scan(plain, as_text)
    if lines.even and layout.separator == "\t":
        warnings.warn(f"{path}: quote marks are read as part of the texts, since they enclose no fields", stacklevel=2)
        return plain, as_text
    if usual.fault:
        with contextlib.suppress(_UnevenError):
            copy = plain_copy(_once(plain, layout), suffix)
            warnings.warn(f"{path}: texts in quote marks have their own quote marks once, not twice", stacklevel=2)
            return copy, layout
        raise ValueError(
            f'{path}, {usual.fault}; a text in quote marks has each of its own ones twice: "a ""good"" film"'
        )
    if lines.even:
        warnings.warn(
            f"{path}, {usual.longer} has several lines, and each of them the fields of a row: a quote mark may be "
            "unmatched",
            stacklevel=2,
        )
    return plain, layout


def _scan(plain: Path, layout: Layout) -> Scan:
    counts, longer, line, row = set[int](), "", 1, 1 - layout.header
    with plain.open(encoding="utf-8-sig", newline="") as file, _long_fields():
        reader = csv.reader(file, delimiter=layout.separator, strict=True, **layout.dialect)
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                return Scan(False, longer, f"row {row} (line {line}): expected quote marks around fields, got: {error}")
            if fields is None:
                return Scan(counts == {len(layout.names)}, longer, "")
            if fields and row:
                counts.add(len(fields))
                if reader.line_num > line and not longer:
                    longer = f"row {row} (line {line})"
            row, line = row + bool(fields), reader.line_num + 1


class _UnevenError(ValueError):
    """A line that is not a row with the fields of the header."""


def _after_backslash(path: Path) -> Iterator[bytes]:
    """A file with each quote mark after a backslash twice instead."""
    with path.open("rb") as file:
        for line in file:
            yield _ESCAPED.sub(rb'\1""', line)


def _once(path: Path, layout: Layout) -> Iterator[bytes]:
    """A file whose lines are rows, with each quote mark within a text twice: all that are before no separator.

    A text that begins with one, but does not end with one, is not in quote marks. Raises _UnevenError for a line that
    then has not the fields of the header, and for such a text with an odd number of them.
    """
    separator = re.escape(layout.separator)
    field = re.compile(rf' *"(.*?)" *(?={separator}|$)|([^{separator}]*)')
    with path.open(encoding="utf-8", newline="") as file:
        for line in file:
            text, fields, place = line.rstrip("\r\n"), list[str](), 0
            # At most one field too many: each may take a search of the whole line.
            while place <= len(text) and len(fields) <= len(layout.names) and (match := field.match(text, place)):
                enclosed, other = match[1], match[2] or ""
                if other.lstrip().startswith('"'):
                    if other.count('"') % 2:
                        raise _UnevenError(text)
                    enclosed = other
                fields.append(other if enclosed is None else '"' + re.sub('"{1,2}', '""', enclosed) + '"')
                place = match.end() + 1
            if text and len(fields) != len(layout.names):
                raise _UnevenError(text)
            yield f"{layout.separator.join(fields)}\n".encode()


def _has(path: Path, sign: bytes) -> bool:
    with path.open("rb") as file:
        return any(sign in line for line in file)


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    """Fields as long as a line may be; the limit of the module holds for the whole process."""
    before = csv.field_size_limit(MOST_LINE_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)
