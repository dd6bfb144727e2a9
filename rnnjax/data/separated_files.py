"""Text files of separated columns: CSV, TSV, and lines `text<TAB>label`."""

import re
import reprlib
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rnnjax.data.datasets_loader import load_by_datasets, values_of
from rnnjax.data.layouts import (
    Layout,
    check_names,
    found_layout,
    further_column,
    leading_lines,
    usual_separator,
    wrong_row,
)
from rnnjax.data.plain_files import plain_copy, without_lines
from rnnjax.data.stored_texts import BATCH_ROWS
from rnnjax.data.tab_lines import read_tab_lines
from rnnjax.data.text_format import TextFormat
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
    layout = found_layout(plain, suffix, needed, given)
    if given.comment is None and not given.names and (first := leading_lines(plain, needed, layout)):
        copy = plain_copy(without_lines(plain, "#", first), suffix)
        below = found_layout(copy, suffix, needed, given)
        if below.has(needed):
            warnings.warn(f"{path}: {first} lines with # before the header skipped (--comment to change)", stacklevel=2)
            plain, layout = copy, below
    usual = given.character or usual_separator(suffix)
    own_lines = layout.has(needed) and len(layout.names) <= 2 and layout.separator == usual
    if is_lines and own_lines:
        return read_tab_lines(plain, layout.names, columns[0], given)
    if is_lines and not given.names and not layout.has(needed):  # no header
        more = ["label"] if len(columns) == 1 and len(layout.names) > 1 else []
        return read_tab_lines(plain, [*columns, *more], columns[0], given)
    check_names(layout.names, needed, str(path))
    if layout.separator != usual:
        warnings.warn(f"{path}: separated by {layout.separator!r} (--separator to change)", stacklevel=2)
    rows = _read_csv(plain, path, layout, columns, whole, named=bool(given.names))
    if layout.separator == "\t" and columns[0] in rows.column_names:
        _check_quotes((text for (text,) in values_of(rows, columns[0])), plain)
    return rows


def _read_csv(
    plain: Path, path: Path, layout: Layout, columns: Sequence[str], whole: bool, named: bool
) -> datasets.Dataset:
    options: dict[str, Any] = {
        "keep_default_na": False,
        "converters": dict.fromkeys([*columns, *(layout.names if whole else ())], str),
        "sep": layout.separator,
        # A row with one field more than the header is an error, not a row with an index column.
        "index_col": False,
        "chunksize": BATCH_ROWS,
    }
    if named:
        options |= {"names": layout.names, "header": 0 if layout.header else None}
    try:
        return load_by_datasets(plain, "csv", columns, options)
    except ValueError as error:
        place = None if named else further_column(plain, layout)
        if place is not None:
            what = "a row number" if place == "first" else "empty"
            warnings.warn(f"{path}: the {place} field of each row is {what}, and has no column name", stacklevel=2)
            names = [NAMELESS, *layout.names] if place == "first" else [*layout.names, NAMELESS]
            return load_by_datasets(plain, "csv", columns, options | {"names": names, "header": 0})
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
