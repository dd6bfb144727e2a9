"""A CSV file as a table of texts: its separator, the lines before its column names, and rows of another length."""

import csv
import itertools
import reprlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rnnjax.data.file_checks import MOST_COLUMNS, MOST_HEADER_BYTES, check_file, check_header, check_lines
from rnnjax.data.layouts import SEPARATORS, rows_of
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


def read_table(path: Path, columns: Columns, form: Format, notes: Notes) -> pandas.DataFrame:
    """The columns of a file as texts; the index has the lines of the file.

    The column names are in the first line that has all of them. Raises FileNotFoundError if there is no such
    file, and ValueError for a file that is no CSV.
    """
    if not path.is_file():
        raise FileNotFoundError(f"source: expected a file, got {path}")
    check_file(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{path}: expected at most {MOST_BYTES:,} bytes, got {size:,}")
    check_lines(path)
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: expected a line of column names and at least one row, got an empty file")
    usual = "\t" if path.suffix == ".tsv" else ","
    try:
        with _opened(path) as file:
            lines = file.read(MOST_HEADER_BYTES).splitlines()
    except UnicodeError as error:
        raise ValueError(f"{path}: not readable as CSV: {first_line(error)}; expected UTF-8") from error
    titles, separator = _header(path, lines, columns.all, form, usual)
    if titles and form.skip_lines is None:
        notes.add(f"{titles} lines before the column names, left out", f"--skip-lines {titles}")
    if separator != usual and form.separator is None:
        notes.add(f"columns separated by {separator!r}", "--separator")
    if not titles:
        check_header(path, separator)
    for line in lines[titles : titles + 1]:
        if '"' not in line:  # names that reach over lines are read with the rows
            columns.check(_split(line, separator), f"{path}, line {titles + 1}")
    return _rows(path, titles, separator, notes)


def _opened(path: Path) -> TextIO:
    return path.open(encoding="utf-8-sig", newline="")


def _header(path: Path, lines: list[str], wanted: Sequence[str], form: Format, usual: str) -> tuple[int, str]:
    """How many lines are before the column names, and the separator; of the first line if none has all names."""
    if form.separator is None:
        separators = [usual, *(one for one in SEPARATORS if one != usual)]
    else:
        separators = ["\t" if form.separator == "tab" else form.separator]
        if len(separators[0]) != 1 or separators[0] in '"\r\n':
            raise ValueError(f"separator: expected one character or tab, got {form.separator!r:.60}")
    first = form.skip_lines or 0
    numbers = range(min(MOST_TITLES, len(lines))) if form.skip_lines is None else [first]
    for number, separator in itertools.product(numbers, separators):
        if number < len(lines) and {*wanted} <= {*_split(lines[number], separator)}:
            return number, separator
    got = lines[first] if first < len(lines) else ""
    if form.separator is None and len(_split(got, usual)) == 1 and set(got) & set(SEPARATORS):
        raise ValueError(
            f"{path}, line {first + 1}: expected the columns {reprlib.repr(list(wanted))}, got {reprlib.repr(got)}; "
            "--separator divides it, and --date and --value name the columns"
        )
    return first, separators[0]


def _split(line: str, separator: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


def _rows(path: Path, titles: int, separator: str, notes: Notes) -> pandas.DataFrame:
    # Words such as "NA" are handled elsewhere, so that the error can name their line. A line without anything is a
    # row, so that the others keep their numbers.
    form: Any = {"sep": separator, "dtype": str, "keep_default_na": False, "na_values": [], "skip_blank_lines": False}
    names: list[str] = []
    try:
        with _opened(path) as file:
            for _ in range(titles):
                file.readline()
            names = [str(name).strip() for name in pandas.read_csv(file, header=None, nrows=1, **form).iloc[0]]
        if len(names) > MOST_COLUMNS:
            raise ValueError(f"expected at most {MOST_COLUMNS:,} columns, got {len(names):,}")
        if len(set(names)) < len(names):
            raise ValueError(f"expected every column name once, got {reprlib.repr(names)}")
        with _opened(path) as file, warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # a row with more values than column names
            for _ in range(titles):
                file.readline()
            table = pandas.read_csv(file, index_col=False, **form)
    except (ValueError, UnicodeError, OverflowError, pandas.errors.ParserWarning) as error:
        for line, row in rows_of(path, separator, titles):
            if names and len(row) > len(names):
                raise ValueError(
                    f"{path}, line {line}: not readable as CSV: expected {len(names)} values separated by "
                    f"{separator!r}, got {len(row)}"
                ) from error
        raise ValueError(f"{path}: not readable as CSV: {first_line(error)}") from error
    table.columns = names
    lines = [(line, len(row)) for line, row in rows_of(path, separator, titles)][1:]
    if len(lines) != len(table):  # the two readers do not agree about quotes
        raise ValueError(f"{path}: not readable as CSV: expected quotes to be closed")
    for line, values in lines:
        if 0 < values < len(names):
            raise ValueError(
                f"{path}, line {line}: expected {len(names)} values separated by {separator!r}, got {values}"
            )
    table.index = pandas.Index([line for line, _ in lines], name="line")
    nothing = (table == "").all(axis=1).to_numpy()
    if any(nothing[row] and values for row, (_, values) in enumerate(lines)):
        notes.add("rows without anything in any column, left out", "delete them")
    return table[~nothing]
