"""Signs around numbers: percent signs and currencies, and the ways to write a negative number."""

import re
import reprlib
from typing import Any

import numpy as np

from rnnjax.data.series.notes import Notes

# Signs that stand for a minus sign and an apostrophe in files of other programs.
PLAIN = str.maketrans({"\u2212": "-", "\ufe63": "-", "\uff0d": "-", "\u2019": "'"})
UNIT = r"(?:[%‰]|[A-Z]{0,2}[$€£¥₹₽₩₺₴₦₫₪฿₱¢]|[A-Z]{3})"
SIGNED = (
    rf"^(?P<open>\()?\s*(?P<first>[+-])?\s*(?P<before>{UNIT})?\s*(?P<second>[+-])?"
    r"(?P<number>[0-9.,][0-9.,\s']*(?:[eE][+-]?[0-9]+)?)"
    rf"(?P<after>{UNIT})?\s*(?P<last>-)?(?P<close>\))?$"
)


def without_signs(column: Any, name: str, notes: Notes) -> Any:
    """The words of a column of numbers, NaN for none, with minus signs before them, and without a unit.

    Raises ValueError for a unit that only some of the numbers have: 5% and 5 may differ by a factor of 100.
    """
    if not column.str.contains(r"[^0-9.,\s'eE+-]|-$", regex=True, na=False).any():
        return column
    column = column.str.translate(PLAIN)
    parts = column.str.extract(SIGNED)
    units = parts["before"].fillna("") + parts["after"].fillna("")
    brackets = parts[["open", "close"]].notna()
    signs = parts[["first", "second", "last"]].notna().sum(axis=1) + brackets.any(axis=1)
    good = parts["number"].notna() & (brackets["open"] == brackets["close"]) & (signs <= 1)
    good &= parts[["before", "after"]].notna().sum(axis=1) < 2
    _check_units(column, units.where(good), name, notes)
    negative = brackets["open"] | (parts[["first", "second", "last"]] == "-").any(axis=1)
    for word in column[good & (brackets["open"] | parts["last"].notna())][:1]:
        notes.add(f"negative numbers in column {name!r} as {word!r:.60}", "write a minus sign before them")
    bare = parts["number"].str.strip().where(~negative, "-" + parts["number"].str.strip())
    return column.where(~good, bare)


def _check_units(column: Any, units: Any, name: str, notes: Notes) -> None:
    found = units.dropna()
    if not (found != "").any():
        return
    usual = found[found != ""].iloc[0]
    for row in np.flatnonzero(found != usual)[:1]:
        other, first = column[found.index].iloc[row], column[found.index].iloc[int(np.argmax(found == usual))]
        raise ValueError(
            f"{notes.where}, {found.index.name} {found.index[row]}: expected {usual!r} in every number of column "
            f"{name!r}, as in {first!r:.60}, or in none, got {reprlib.repr(other)}"
        )
    word = column[found.index].iloc[0]
    number = re.sub(UNIT, "", word).strip()
    notes.add(f"{usual!r} in column {name!r} is left out: {word!r:.60} is {number:.60}", "write plain numbers")
