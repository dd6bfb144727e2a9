"""A CSV file as a table of texts: its separator, the lines before its column names, and rows of another length."""

import contextlib
import csv
import itertools
import re
import reprlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from rnnjax.data.encodings import HINT, found_encoding
from rnnjax.data.file_checks import MOST_COLUMNS, MOST_HEADER_BYTES, check_file, check_lines
from rnnjax.data.layouts import SEPARATORS, usual_separator
from rnnjax.data.packed_files import opened, suffixes
from rnnjax.data.series.further_fields import without_further_fields
from rnnjax.data.series.notes import Notes
from rnnjax.data.series.types import Columns, Format
from rnnjax.errors import first_line
from rnnjax.extras import extra

with extra("series"):
    import pandas

# Limit on the file size, since the whole file is read into memory.
MOST_BYTES = 4 * 2**30
# Lines that may stand before that of the column names.
MOST_TITLES = 50
COMMENT, TAB = "#", "\t"
SHEETS = (".xlsx", ".xlsm", ".xls", ".ods")  # some of them are archives


class _File(NamedTuple):
    """A file of text, which may be a copy of the file `path`."""

    path: Path
    plain: Path
    encoding: str

    @contextlib.contextmanager
    def opened(self) -> Iterator[TextIO]:
        """The lines of the file. Raises ValueError for bytes that are not text."""
        with self.plain.open(encoding=self.encoding, newline="") as file:
            try:
                yield file
            except UnicodeError as error:
                raise ValueError(f"{self.path}: expected {self.encoding}, got: {first_line(error)}; {HINT}") from error

    def start(self) -> list[str]:
        """The first lines of the file."""
        with self.opened() as file:
            return re.split(r"\r\n|\r|\n", file.read(MOST_HEADER_BYTES))


def read_table(path: Path, columns: Columns, form: Format, notes: Notes) -> tuple[pandas.DataFrame, str]:
    """The columns of a file as texts, and its separator; the index of the table has the lines of the file.

    The column names are in the first line that has all of them. Raises FileNotFoundError if there is no such
    file, and ValueError for a file that is no CSV.
    """
    if not path.is_file():
        raise FileNotFoundError(f"source: expected a file, got {path}")
    if path.suffix.lower() in SHEETS:
        raise ValueError(f"{path}: expected a file of separated columns, got {path.suffix}; save the sheet as CSV")
    suffix, packed = suffixes(path)
    check_file(path, packed != "")
    with _unpacked(path) if packed else contextlib.nullcontext((path, suffix)) as (plain, kind):
        try:
            encoding = _checked(plain, path, form, notes)
        except ValueError as error:  # of the copy
            raise ValueError(str(error).replace(str(plain), str(path))) from error
        return _table(_File(path, plain, encoding), usual_separator(kind), columns, form, notes)


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[tuple[Path, str]]:
    """A copy of the content of a compressed file, and its suffix."""
    with tempfile.NamedTemporaryFile() as copy:
        with opened(path) as (blocks, suffix):
            for block in blocks:
                copy.write(block)
        copy.flush()
        yield Path(copy.name), suffix


def _checked(plain: Path, path: Path, form: Format, notes: Notes) -> str:
    """The encoding of a file. Raises ValueError for one that is too large, is empty, or is no text."""
    if (size := plain.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{path}: expected at most {MOST_BYTES:,} bytes, got {size:,}")
    check_file(plain)
    check_lines(plain)
    if size == 0:
        raise ValueError(f"{path}: expected a line of column names and at least one row, got an empty file")
    encoding, how = found_encoding(plain, form.encoding)
    if how:
        notes.add(f"read as {encoding}: {how}", f"--encoding {encoding}")
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _table(file: _File, usual: str, columns: Columns, form: Format, notes: Notes) -> tuple[pandas.DataFrame, str]:
    lines = file.start()
    titles, separator = _header(file.path, lines, columns.all, form, usual)
    is_excel = titles > 0 and _excel_separator(lines) is not None
    if titles > int(is_excel) and form.skip_lines is None:
        words = "1 line" if titles == 1 else f"{titles} lines"
        notes.add(f"{words} before the column names, left out", f"--skip-lines {titles}")
    if separator != usual and form.separator is None and not is_excel:
        notes.add(
            f"columns separated by {separator!r}", f"--separator {'tab' if separator == TAB else repr(separator)}"
        )
    for line in lines[titles : titles + 1]:
        if '"' not in line:  # names that reach over lines are read with the rows
            _check_names(_names(_split(line, separator), columns), columns, f"{file.path}, line {titles + 1}")
    return _rows(file, titles, separator, columns, form, notes), separator


def _header(path: Path, lines: list[str], wanted: Sequence[str], form: Format, usual: str) -> tuple[int, str]:
    """How many lines are before the column names, and the separator; of the first line if none has all names."""
    if form.separator is None:
        named = _excel_separator(lines)
        separators = [named] if named else [usual, *(one for one in SEPARATORS if one != usual)]
    else:
        separators = [TAB if form.separator == "tab" else form.separator]
        if len(separators[0]) != 1 or separators[0] in '"\r\n':
            raise ValueError(f"separator: expected one character or tab, got {form.separator!r:.60}")
    first = form.skip_lines or 0
    numbers = range(min(MOST_TITLES, len(lines))) if form.skip_lines is None else [first]
    for number, separator in itertools.product(numbers, separators):
        if number < len(lines) and {*wanted} <= {*_split(lines[number].removeprefix(COMMENT), separator)}:
            return number, separator
    got = lines[first] if first < len(lines) else ""
    if form.separator is None and len(_split(got, usual)) == 1 and set(got) & {*SEPARATORS, " "}:
        raise ValueError(
            f"{path}, line {first + 1}: expected the columns {reprlib.repr(list(wanted))}, got {reprlib.repr(got)}; "
            "--separator divides it, and --date and --value name the columns"
        )
    return first, separators[0]


def _excel_separator(lines: list[str]) -> str | None:
    """The separator in a first line for Excel, such as sep=;"""
    match = re.fullmatch(r'"?sep=([^"\r\n])"?[,;\s]*', lines[0], re.IGNORECASE)
    return match[1] if match else None


def _split(line: str, separator: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


def _names(names: list[str], columns: Columns) -> list[str]:
    """The column names, of which the first one may be after a mark of comments."""
    first = names[0].removeprefix(COMMENT).strip() if names else ""
    return [first, *names[1:]] if first in columns.all else names


def _rows(file: _File, titles: int, separator: str, columns: Columns, form: Format, notes: Notes) -> pandas.DataFrame:
    names: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    begin = titles + 1
    with file.opened() as text:
        for _ in range(titles):
            next(text, "")
        reader = csv.reader(_Uncommented(text, separator, columns, form, notes), delimiter=separator, strict=True)
        try:
            for fields in reader:
                if not names:
                    names = _names([name.strip() for name in fields], columns)
                    _check_names(names, columns, str(file.path))
                elif len(fields) > 2 * MOST_COLUMNS:
                    raise csv.Error(f"expected {len(names)} values, got {len(fields)}")
                elif fields:
                    rows.append(fields)
                    lines.append(begin)
                begin = titles + reader.line_num + 1
        except csv.Error as error:
            raise ValueError(
                f"{file.path}, line {begin}: not readable as CSV: {error}; a quote mark within a value is written twice"
            ) from error
    if not names:
        raise ValueError(f"{file.path}: expected a line of column names, got none")
    rows = without_further_fields(rows, names, columns, notes)
    for line, fields in zip(lines, rows, strict=True):
        if len(fields) > len(names):
            raise ValueError(
                f"{file.path}, line {line}: not readable as CSV: expected {len(names)} values separated by "
                f"{separator!r}, got {len(fields)}; a value that contains {separator!r} must be in quote marks"
            )
        if len(fields) < len(names):
            raise ValueError(
                f"{file.path}, line {line}: expected {len(names)} values separated by {separator!r}, got {len(fields)}"
            )
    table = pandas.DataFrame(rows, index=pandas.Index(lines, name="line"), columns=names, dtype=object)
    table = table.loc[:, ~table.columns.duplicated()]  # of columns that are not read
    nothing = (table == "").all(axis=1).to_numpy()
    if nothing.any():
        notes.add("rows without anything in any column, left out", "delete them")
    return table[~nothing]


def _check_names(names: list[str], columns: Columns, where: str) -> None:
    if len(names) > MOST_COLUMNS:
        raise ValueError(f"{where}: expected at most {MOST_COLUMNS:,} columns, got {len(names):,}")
    for name in columns.all:
        if names.count(name) > 1:
            raise ValueError(f"{where}: expected every column name once, got {reprlib.repr(names)}")
    columns.check(names, where)


class _Uncommented:
    """The lines of a file after the first one, of which comments are empty, so that all keep their numbers."""

    def __init__(self, lines: Iterator[str], separator: str, columns: Columns, form: Format, notes: Notes):
        self.lines, self.separator, self.columns, self.notes = lines, separator, columns, notes
        self.mark = COMMENT if form.comment is None else form.comment
        self.given = form.comment is not None

    def __iter__(self) -> Iterator[str]:
        first = next(self.lines, "")
        yield first
        # A name of a series may begin with the mark.
        names = _names(_split(first, self.separator), self.columns)
        is_name = bool(names) and names[0] in (*self.columns.series, *self.columns.static)
        quoted = first.count('"') % 2 == 1
        for line in self.lines:
            if not quoted and self.mark and line.startswith(self.mark) and not self._is_row(line, is_name, names):
                if not self.given:
                    self.notes.add(f"lines that begin with {self.mark}, left out", f"--comment {self.mark!r}")
                yield "\n"
            else:
                quoted ^= line.count('"') % 2 == 1
                yield line

    def _is_row(self, line: str, is_name: bool, names: list[str]) -> bool:
        return is_name and not self.given and line.count(self.separator) == len(names) - 1
