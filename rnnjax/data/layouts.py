"""The layout of a file of separated columns: its separator, its column names, and which row breaks it."""

import csv
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from rnnjax.data.file_checks import check_header
from rnnjax.data.text_format import TextFormat

SEPARATORS = (",", ";", "\t", "|")
HINT = "--text-column and --label-column name the columns, --columns those of a file without a header"


class Layout(NamedTuple):
    """The separator and the column names of a file; `header`: its first line has these names."""

    separator: str
    names: list[str]
    header: bool = True

    def has(self, columns: Sequence[str]) -> bool:
        return set(columns) <= set(self.names)


def check_names(names: Sequence[str], needed: Sequence[str], where: str) -> None:
    """Raises ValueError for a column that is missing."""
    for column in needed:
        if column not in names:
            raise ValueError(f"{where}: expected a column {column!r}, got {reprlib.repr(list(names))}; {HINT}")


def usual_separator(suffix: str) -> str:
    """The separator of files with this suffix."""
    return "\t" if suffix in (".tsv", ".tab", ".txt") else ","


def found_layout(path: Path, suffix: str, columns: Sequence[str], given: TextFormat) -> Layout:
    """The layout of a file, as given; else the first separator with which its first line has the columns.

    The usual separator of the suffix if there is none. Raises ValueError as `check_header`.
    """
    usual = given.character or usual_separator(suffix)
    first = Layout(usual, check_header(path, usual))
    if given.names:
        return Layout(usual, given.names, first.names == given.names)
    if given.character is None and not first.has(columns):
        for separator in SEPARATORS:
            other = Layout(separator, check_header(path, separator))
            if other.has(columns):
                return other
    return first


def leading_lines(path: Path, columns: Sequence[str], layout: Layout) -> int:
    """The number of lines before the header that begin with #; 0 if the first line has the columns."""
    if layout.has(columns):
        return 0
    count = 0
    with path.open("rb") as file:
        for line in file:
            if not line.startswith(b"#"):
                break
            count += 1
    return count


def further_column(path: Path, layout: Layout) -> Literal["first", "last"] | None:
    """The place of a column without a name, if each row has one field more than the header.

    The first field, if these are consecutive integers from 0 or 1, as R writes them; the last, if all are empty, as
    rows that end with a separator have them. Any other further field could be the rest of a text.
    """
    start, first, last = None, True, True
    for number, (_, fields) in enumerate(_rows(path, layout)):
        if len(fields) != len(layout.names) + 1:
            return None
        start = fields[0] if start is None else start
        first = first and start in ("0", "1") and fields[0] == str(int(start) + number)
        last = last and fields[-1] == ""
        if not first and not last:
            return None
    return None if start is None else "first" if first else "last"


def wrong_row(path: Path, layout: Layout) -> str | None:
    """The first row with more fields than columns, in words."""
    for number, (line, fields) in enumerate(_rows(path, layout), start=1):
        if len(fields) > len(layout.names):
            return (
                f"row {number} (line {line}): expected {len(layout.names)} fields separated by {layout.separator!r}, "
                f"got {len(fields)}: {reprlib.repr(fields)}; a text that contains the separator must be in quote "
                "marks; --separator names another one"
            )
    return None


def _rows(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """The rows below the header that are not empty, as `rows_of`."""
    header = layout.header
    for line, fields in rows_of(path, layout.separator):
        if fields and not header:
            yield line, fields
        header = header and not fields


def rows_of(path: Path, separator: str, skip: int = 0) -> Iterator[tuple[int, list[str]]]:
    """The line that each row begins with, and its fields; nothing of the first `skip` lines, or after a damaged row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(skip):
            file.readline()
        reader, line = csv.reader(file, delimiter=separator), 0
        try:
            for fields in reader:
                yield skip + line + 1, fields
                line = reader.line_num
        except (csv.Error, UnicodeError):
            return
