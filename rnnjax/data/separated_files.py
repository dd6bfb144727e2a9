"""Text files of separated columns: CSV, TSV, and lines `text<TAB>label`."""

import re
import reprlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnjax.data.datasets_loader import load_by_datasets, values_of
from rnnjax.data.layouts import (
    Layout,
    check_names,
    distinct,
    first_line,
    found_layout,
    further_column,
    leading_lines,
    named_layout,
    said_separator,
    usual_separator,
    wrong_row,
)
from rnnjax.data.plain_files import plain_copy, without_lines
from rnnjax.data.quoting import with_usual_quotes
from rnnjax.data.stored_texts import BATCH_ROWS
from rnnjax.data.tab_lines import read_tab_lines
from rnnjax.data.text_format import TextFormat
from rnnjax.errors import first_of
from rnnjax.extras import extra

with extra("text"):
    import datasets

NAMELESS = "(no name)"  # a column of row numbers, or of nothing


def read_separated(
    plain: Path, path: Path, suffix: str, columns: Sequence[str], needed: Sequence[str], given: TextFormat, whole: bool
) -> datasets.Dataset:
    """The rows of `plain`, the text of the file `path` in UTF-8. `columns` are strings, or all if `whole`.

    Words such as "NA" and numbers are texts, not missing values or integers. Raises ValueError for a row with more
    fields than the header, unless these are row numbers.
    """
    is_lines = suffix == ".txt"
    if given.comment and not is_lines:
        plain = plain_copy(without_lines(plain, given.comment, None), suffix)
    if not is_lines and (said := said_separator(plain)) is not None:
        plain = plain_copy(without_lines(plain, "", 1), suffix)
        if given.character is None:
            warnings.warn(f"{path}: separated by {said!r}, as its first line says", stacklevel=2)
            given = replace(given, separator=said)
    usual = given.character or usual_separator(suffix)
    layout = found_layout(plain, suffix, needed, given)
    if given.comment is None and not given.names and (first := leading_lines(plain, needed, layout)):
        copy = plain_copy(without_lines(plain, "#", first), suffix)
        below = found_layout(copy, suffix, needed, given)
        if below.has(needed):
            warnings.warn(f"{path}: {first} lines with # before the header skipped (--comment to change)", stacklevel=2)
            plain, layout = copy, below
    if given.names:
        if is_lines and len(given.names) == 2:  # the text may have tabs
            layout = first_line(plain, usual)
            layout = layout if len(layout.names) == 2 else Layout(usual, given.names, header=False)
        if layout.header:
            layout, said = named_layout(layout, columns, given.names, str(path))
            if said:
                warnings.warn(f"{path}: {said}", stacklevel=2)
    if given.comment is None and not layout.has(needed) and layout.names[:1] and layout.names[0].startswith("#"):
        marked = layout._replace(names=[layout.names[0].lstrip("# "), *layout.names[1:]])
        if marked.has(needed):
            warnings.warn(f"{path}: the first line, which begins with #, names the columns", stacklevel=2)
            layout = marked
    own_lines = layout.has(needed) and len(layout.names) <= 2 and layout.separator == usual
    if is_lines and own_lines:
        return read_tab_lines(plain, layout.names, columns[0], given, header=layout.header)
    if is_lines and not given.names and not layout.has(needed):  # no header
        more = ["label"] if len(columns) == 1 and len(layout.names) > 1 else []
        return read_tab_lines(plain, [*columns, *more], columns[0], given, header=False)
    check_names(layout.names, needed, str(path))
    if layout.separator != usual:
        warnings.warn(f"{path}: separated by {layout.separator!r} (--separator to change)", stacklevel=2)
    if layout.dialect:
        warnings.warn(f"{path}: blanks around the column names are left out", stacklevel=2)
    plain, layout = with_usual_quotes(plain, path, suffix, layout)
    rows = _read_csv(plain, path, layout, columns, whole, named=bool(given.names))
    if layout.separator == "\t" and "quoting" not in layout.dialect and columns[0] in rows.column_names:
        _check_quotes((text for (text,) in values_of(rows, columns[0])), plain)
    return rows


def _read_csv(
    plain: Path, path: Path, layout: Layout, columns: Sequence[str], whole: bool, named: bool
) -> datasets.Dataset:
    names = distinct(layout.names)
    if whole and len(set(layout.names)) < len(names):
        twice = [name for name, own in zip(names, layout.names, strict=True) if own and name != own]
        warnings.warn(f"{path}: columns with the name of another one: {first_of(twice)}", stacklevel=2)
    options: dict[str, Any] = {
        "keep_default_na": False,
        "converters": dict.fromkeys([*columns, *(names if whole else ())], str),
        "sep": layout.separator,
        # A row with one field more than the header is an error, not a row with an index column.
        "index_col": False,
        "chunksize": BATCH_ROWS,
        "names": names,
        "header": 0 if layout.header else None,
        **layout.dialect,
    }
    try:
        return load_by_datasets(plain, "csv", columns, options)
    except ValueError as error:
        place = None if named else further_column(plain, layout)
        if place is not None:
            what = "a row number" if place == "first" else "empty"
            warnings.warn(f"{path}: the {place} field of each row is {what}, and has no column name", stacklevel=2)
            names = [NAMELESS, *names] if place == "first" else [*names, NAMELESS]
            return load_by_datasets(plain, "csv", columns, options | {"names": names})
        if (wrong := wrong_row(plain, layout)) is not None:
            raise ValueError(f"{plain}, {wrong}") from error
        raise


def _check_quotes(texts: Iterable[Any], path: Path) -> None:
    """Raises ValueError if an unmatched quote mark has joined several rows."""
    for row, text in enumerate(texts, start=1):
        if re.search(r"\t[^\t\n]*\n", text):
            raise ValueError(
                f"{path}, row {row}: expected quote marks only around whole fields, got {reprlib.repr(text)}; if "
                "quote marks are part of the texts in lines text<TAB>label, use a file name that ends in .txt"
            )
