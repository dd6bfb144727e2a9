"""The layout of a file of separated columns: its separator, its column names, and which row breaks it."""

import csv
import itertools
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rnnjax.data.file_checks import check_header
from rnnjax.data.splitting import visible
from rnnjax.data.text_format import TextFormat

SEPARATORS = (",", ";", "\t", "|")
SPACED: Mapping[str, Any] = {"skipinitialspace": True}
HINT = "--text-column and --label-column name the columns, --columns those of a file without a header"


class Layout(NamedTuple):
    """The separator and the column names of a file, and further options of its reader.

    `header`: the first line has column names.
    """

    separator: str
    names: list[str]
    header: bool = True
    dialect: Mapping[str, Any] = {}

    def has(self, columns: Sequence[str]) -> bool:
        return set(columns) <= set(self.names)


def check_names(names: Sequence[str], needed: Sequence[str], where: str) -> None:
    """Raises ValueError for a column that is missing, or is there twice."""
    for column in needed:
        if column not in names:
            raise ValueError(f"{where}: expected a column {column!r}, got {reprlib.repr(list(names))}; {HINT}")
        if (count := list(names).count(column)) > 1:
            raise ValueError(
                f"{where}: expected one column {column!r}, got {count} among {reprlib.repr(list(names))}; --columns "
                "names all columns, in their order"
            )


def distinct(names: Sequence[str]) -> list[str]:
    """Column names with numbers at those that are empty, or were there before, as pandas writes them."""
    found: list[str] = []
    for place, name in enumerate(names):
        own = name or f"Unnamed: {place}"
        numbered = (own if number == 0 else f"{own}.{number}" for number in itertools.count())
        found.append(next(name for name in numbered if name not in found))
    return found


def usual_separator(suffix: str) -> str:
    """The separator of files with this suffix."""
    return "\t" if suffix in (".tsv", ".tab", ".txt") else ","


def found_layout(path: Path, suffix: str, columns: Sequence[str], given: TextFormat) -> Layout:
    """The layout of a file, as given; else the first separator with which its first line has the columns.

    With given names, the first one with as many fields. The usual separator of the suffix if there is none. Raises
    ValueError as `check_header`.
    """
    usual = given.character or usual_separator(suffix)
    first = first_line(path, usual)

    def fits(other: Layout) -> bool:
        return len(other.names) == len(given.names) if given.names else other.has(columns)

    if given.character is None and not fits(first) and not (given.names and len(first.names) > 1):
        first = next(filter(fits, (first_line(path, separator) for separator in SEPARATORS)), first)
    return first


def first_line(path: Path, separator: str) -> Layout:
    """The layout with the fields of the first line as column names, without blanks around them."""
    names = [visible(name).strip() for name in check_header(path, separator, **SPACED)]
    return Layout(separator, names, dialect={} if names == check_header(path, separator) else SPACED)


def named_layout(first: Layout, columns: Sequence[str], names: Sequence[str], where: str) -> tuple[Layout, str]:
    """The layout of a file whose columns have given names, and what is to be said of its first line.

    That is a header if it has all these names, whose order is then that of the header, or if it has the `columns` in
    their places. Raises ValueError if it has one of the columns otherwise, or another number of fields.
    """
    same = {name.casefold(): name for name in names}
    header = [same.get(field.casefold(), field) for field in first.names]
    if sorted(header) == sorted(names):
        said = "" if first.names == names else f"the first line names the columns, in this order: {', '.join(header)}"
        return first._replace(names=header), said
    got = f"got {reprlib.repr(first.names)}"
    if len(header) != len(names):
        raise ValueError(
            f"{where}, line 1: expected {len(names)} fields separated by {first.separator!r}, as --columns names them, "
            f"{got}; a text that contains the separator must be in quote marks; --separator names another one, and "
            "--comment begins lines to leave out"
        )
    places = {names.index(column) for column in columns if column in names}
    if all(header[place] == names[place] for place in places):
        return first._replace(names=list(names)), "the first line names columns, and is left out"
    if any(column in header for column in columns):
        raise ValueError(
            f"{where}, line 1: expected the first row of a file without a header, or the column names {list(names)}, "
            f"{got}; without --columns, the first line names the columns"
        )
    return first._replace(names=list(names), header=False, dialect={}), ""


def said_separator(path: Path) -> str | None:
    """The separator that the first line says, as Excel writes it: `sep=;`."""
    with path.open("rb") as file:
        match = re.fullmatch(rb'"?sep=([!-~\t])"?[\s,;]*', file.readline(16), re.IGNORECASE)
    return match[1].decode() if match else None


def leading_lines(path: Path, columns: Sequence[str], layout: Layout) -> int:
    """The number of lines before the header that begin with # or are blank; 0 if the first line has the columns."""
    count = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if layout.has(columns) or (line.strip() and not line.startswith(b"#")):
                break
            count = number if line.startswith(b"#") else count
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
    for line, fields in rows_of(path, layout.separator, **layout.dialect):
        if fields and not header:
            yield line, fields
        header = header and not fields


def rows_of(path: Path, separator: str, skip: int = 0, **options: Any) -> Iterator[tuple[int, list[str]]]:
    """The line that each row begins with, and its fields; nothing of the first `skip` lines, or after a damaged row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(skip):
            file.readline()
        reader, line = csv.reader(file, delimiter=separator, **options), 0
        try:
            for fields in reader:
                yield skip + line + 1, fields
                line = reader.line_num
        except (csv.Error, UnicodeError):
            return
