"""Numbers from the words of columns: decimal marks, groups of thousands, truth values, and words for none."""

import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnjax.data.series.notes import Notes
from rnnjax.data.series.types import Format
from rnnjax.extras import extra

with extra("series"):
    import pandas

NO_WORDS = ("", "na", "nan")
MISSING = (*NO_WORDS, "n/a", "#n/a", "null", "none", "?", "-")
# By decimal mark: the parts of a number, and what shows that a number has this mark. A group of three digits shows
# nothing: 1,234 may be about one or above a thousand.
GROUPS = {".": r"[,\s']", ",": r"[.\s']"}
NUMBER = {
    mark: re.compile(rf"[+-]?(?:\d+|\d{{1,3}}(?:({group})\d{{3}})(?:\1\d{{3}})*)?(?:[{mark}]\d*)?(?:[eE][+-]?\d+)?")
    for mark, group in GROUPS.items()
}
EITHER = r"[+-]?[1-9]\d{0,2}[,.]\d{3}"
COMMA = rf"(?!{EITHER}$)[+-]?(?:(?:\d+|\d{{1,3}}(?:\.\d{{3}})+),\d*|\d{{1,3}}(?:\.\d{{3}}){{2,}})"
POINT = rf"(?!{EITHER}$)[+-]?(?:(?:\d*|\d{{1,3}}(?:,\d{{3}})+)\.\d*(?:[eE].*)?|\d{{1,3}}(?:,\d{{3}}){{2,}})"


def empty(column: Any, form: Format, notes: Notes | None = None) -> np.ndarray:
    """Whether each value of a column is missing."""
    words = column.astype(str).str.strip().str.lower()
    missing = MISSING if form.missing is None else ("", *(word.strip().lower() for word in form.missing))
    found = column.isna().to_numpy() | words.isin(missing).to_numpy()
    if notes is not None and form.missing is None:
        for word in sorted({*words[found]} - {*NO_WORDS, "<na>", "nat"}):
            notes.add(f"{word!r} in column {column.name!r} stands for a missing number", "--missing")
    return found


def read_numbers(
    table: pandas.DataFrame, names: list[str], form: Format, notes: Notes, at: Callable[[int, str], str]
) -> dict[str, np.ndarray]:
    """The numbers of columns, NaN where one is missing; `at(row, column)` is the place of a number in errors.

    Raises ValueError for what is neither a number nor missing.
    """
    found, words = {}, {}
    for name in names:
        column = table[name]
        if pandas.api.types.is_bool_dtype(column) or pandas.api.types.is_numeric_dtype(column):
            found[name] = column.to_numpy(dtype=float, na_value=np.nan)
            _check(found[name], column.isna().to_numpy(), column, name, at)
        else:
            words[name] = column.astype(str).str.strip().where(~empty(column, form, notes))
    mark = form.decimal or _decimal(words, notes)
    for name, column in words.items():
        found[name] = _truths(column, name, notes) if _are_truths(column) else _plain(column, mark)
        _check(found[name], column.isna().to_numpy(), table[name], name, at)
    return found


def _check(numbers: np.ndarray, missing: np.ndarray, column: Any, name: str, at: Callable[[int, str], str]) -> None:
    bad = np.flatnonzero(~np.isfinite(numbers) & ~missing)
    for row in bad[:1]:
        word = str(column.iloc[row])
        hint = ""
        if any(re.fullmatch(pattern, word.strip()) for pattern in NUMBER.values()):
            hint = "; --decimal names the decimal mark"
        elif len(bad) > 1:
            hint = "; --missing names the words for a missing number"
        raise ValueError(f"{at(int(row), name)}: expected a number in column {name!r}, got {reprlib.repr(word)}{hint}")


def _are_truths(column: Any) -> bool:
    words = column.dropna().str.lower()
    return len(words) > 0 and bool(words.isin(("true", "false")).all())


def _truths(column: Any, name: str, notes: Notes) -> np.ndarray:
    notes.add(f"true and false in column {name!r} are 1 and 0", "write 1 and 0")
    return column.str.lower().map({"true": 1.0, "false": 0.0}).to_numpy(dtype=float, na_value=np.nan)


def _plain(column: Any, mark: str) -> np.ndarray:
    numbers = column.where(column.str.fullmatch(NUMBER[mark].pattern) == True)  # noqa: E712, NaN is neither
    plain = numbers.str.replace(GROUPS[mark], "", regex=True).str.replace(mark, ".", regex=False)
    found: Any = pandas.to_numeric(plain, errors="coerce")
    return found.to_numpy(dtype=float, na_value=np.nan)


def _decimal(words: Mapping[str, Any], notes: Notes) -> str:
    """The decimal mark of all columns together, from the numbers that can have one mark only."""
    every: Any = (
        pandas.concat([column.dropna() for column in words.values()]) if words else pandas.Series([], dtype=str)
    )
    grouped = every[every.str.contains(r"[,\s']|\..*\.", regex=True)]
    if not len(grouped):
        return "."
    commas, points = (every[every.str.fullmatch(pattern)] for pattern in (COMMA, POINT))
    if len(commas) and len(points):
        got = " and ".join(f"{one.iloc[0]!r:.60} ({one.index.name} {one.index[0]})" for one in (commas, points))
        raise ValueError(f"{notes.where}: expected one decimal mark, got {got}; --decimal names it")
    for line, word in grouped[grouped.str.fullmatch(EITHER)][:1].items() if not len(commas) + len(points) else ():
        raise ValueError(
            f"{notes.where}, {grouped.index.name} {line}: expected numbers that show their decimal mark, got "
            f"{word!r:.60}; set --decimal to , or ."
        )
    if len(commas):
        notes.add(f"decimal commas, as in {commas.iloc[0]!r:.60}", "--decimal ,")
        return ","
    notes.add(f"groups of thousands, as in {grouped.iloc[0]!r:.60}", "--decimal .")
    return "."
