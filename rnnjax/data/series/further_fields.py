"""Rows with more fields than column names: separators at their ends, and row names as R writes them."""

import re

from rnnjax.data.series.date_shapes import asked, candidates
from rnnjax.data.series.notes import Notes
from rnnjax.data.series.types import Columns

WHOLE = re.compile(r"\s*[+-]?\d+\s*")


def without_further_fields(rows: list[list[str]], names: list[str], columns: Columns, notes: Notes) -> list[list[str]]:
    """The rows without empty fields after the last column, and without row names: a first field in each row.

    A row keeps further fields if they may be parts of its numbers, such as those of 1,5.
    """
    count = len(names)
    if any(len(row) > count and not any(row[count:]) for row in rows):
        rows = [row[:count] if len(row) > count and not any(row[count:]) else row for row in rows]
        notes.add("separators at the ends of rows, left out", "delete them")
    if rows and all(len(row) == count + 1 for row in rows) and _are_named(rows, names, columns):
        notes.add("the first field of each row is its name, and has no column name", "give the column a name")
        return [row[1:] for row in rows]
    while names and not names[-1] and all(len(row) < len(names) for row in rows):
        names.pop()  # a separator after the last column name only
    return rows


def _are_named(rows: list[list[str]], names: list[str], columns: Columns) -> bool:
    """Whether the first fields are different, and no number or date could be divided by a comma that is part of it."""
    if len({row[0] for row in rows}) < len(rows):
        return False
    for place, name in enumerate(names):
        if name in columns.date and _may_be_date(",".join(rows[0][place : place + 2])):
            return False  # such as Jan 1, 2021
        if name not in columns.numbers:
            continue
        if not all(WHOLE.fullmatch(row[place]) and WHOLE.fullmatch(row[place + 1]) for row in rows):
            continue
        # The columns before the number would keep their places.
        before = [number for number, other in enumerate(names[:place]) if other in columns.date]
        if all(_may_be_date(rows[0][number]) for number in before):
            return False
    return True


def _may_be_date(word: str) -> bool:
    return any(candidates(word)) or bool(asked(word))
