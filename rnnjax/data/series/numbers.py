"""Numbers from the words of columns: decimal marks, groups of thousands, truth values, and words for none."""

import re
import reprlib
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnjax.data.series.notes import Notes
from rnnjax.data.series.signs import without_signs
from rnnjax.data.series.types import Format
from rnnjax.extras import extra

with extra("series"):
    import pandas

NO_WORDS = ("", "na", "nan")
MISSING = (
    *(*NO_WORDS, "n/a", "#n/a", "n.a.", "<na>", "null", "none", "?", "*", ".", "..", "...", "…"),
    *("-", "--", "---", "\u2013", "\u2014", "#div/0!", "#value!", "#ref!"),
)
# By decimal mark: the parts of a number, and what shows that a number has this mark. A group of three digits shows
# nothing: 1,234 may be about one or above a thousand. In India only the last group has three digits.
SPACE = r"[\s']"
GROUPS = {".": r"[,\s']", ",": r"[.\s']"}
POWER = r"(?:[eE][+-]?[0-9]+)?"
INDIAN = r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"
WHOLE = {
    mark: rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?:({group})[0-9]{{3}})(?:\1[0-9]{{3}})*{f'|{INDIAN}' if mark == '.' else ''})"
    for mark, group in GROUPS.items()
}
NUMBER = {mark: re.compile(rf"[+-]?{whole}?(?:[{mark}][0-9]*)?{POWER}") for mark, whole in WHOLE.items()}
EITHER = r"[+-]?[1-9][0-9]{0,2}[,.][0-9]{3}"
COMMA = (
    rf"(?!{EITHER}$)[+-]?(?:(?:[0-9]*|[1-9][0-9]{{0,2}}(?:\.[0-9]{{3}})+),[0-9]*{POWER}"
    r"|[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,})"
)
POINT = (
    rf"(?!{EITHER}$)[+-]?(?:(?:[0-9]*|[1-9][0-9]{{0,2}}(?:,[0-9]{{3}})+|{INDIAN})\.[0-9]*{POWER}"
    rf"|[1-9][0-9]{{0,2}}(?:,[0-9]{{3}}){{2,}}|{INDIAN})"
)
OTHER = {".": ",", ",": "."}
TRUTHS = {"true": 1.0, "false": 0.0}


def empty(column: Any, form: Format) -> np.ndarray:
    """Whether each value of a column is missing: by the words for that, or equal to one of them that is a number."""
    words = column.astype(str).str.strip().str.lower()
    missing = MISSING if form.missing is None else ("", *(word.strip().lower() for word in form.missing))
    found = column.isna().to_numpy() | words.isin(missing).to_numpy()
    numbers: Any = pandas.to_numeric(pandas.Series(missing, dtype=object), errors="coerce")
    values: Any = pandas.to_numeric(words, errors="coerce")
    return found | values.isin(numbers.dropna()).to_numpy()


def read_numbers(
    table: pandas.DataFrame, names: list[str], form: Format, notes: Notes, at: Callable[[int, str], str]
) -> dict[str, np.ndarray]:
    """The numbers of columns, NaN where one is missing; `at(row, column)` is the place of a number in errors.

    A given word for a missing number that is a number stands for all that are equal to it. Raises ValueError for what
    is neither a number nor missing.
    """
    found, words, absent = {}, {}, {}
    for name in names:
        column = table[name]
        absent[name] = column.isna().to_numpy()
        if pandas.api.types.is_bool_dtype(column) or pandas.api.types.is_numeric_dtype(column):
            found[name] = column.to_numpy(dtype=float, na_value=np.nan)
        else:
            absent[name] = empty(column, form)
            _note_missing(column[absent[name]], name, form, notes)
            words[name] = column.astype(str).str.strip().where(~absent[name])
            if not _are_truths(words[name]):
                words[name] = without_signs(words[name], name, notes)
    mark = form.decimal or _decimal(words, form, notes)
    for name, column in words.items():
        found[name] = _truths(column, name, notes) if _are_truths(column) else _plain(column, mark)
    _take_out(found, absent, table, form, mark, notes)
    for name in names:
        bad = np.flatnonzero(~np.isfinite(found[name]) & ~absent[name])
        for row in bad[:1]:
            word = str(table[name].iloc[row])
            raise ValueError(
                f"{at(int(row), name)}: expected a number in column {name!r}, got {reprlib.repr(word)}"
                f"{_hint(word.strip(), form, mark)}"
            )
    return found


def _note_missing(column: Any, name: str, form: Format, notes: Notes) -> None:
    if form.missing is None:
        for word in sorted({*column.astype(str).str.strip().str.lower()} - {*NO_WORDS, "<na>", "nat"}):
            notes.add(f"{word!r} in column {name!r} stands for a missing number", "--missing")


def _take_out(
    found: dict[str, np.ndarray],
    absent: dict[str, np.ndarray],
    table: pandas.DataFrame,
    form: Format,
    mark: str,
    notes: Notes,
) -> None:
    """Makes numbers missing that are equal to a given word for that, and says which words do not occur."""
    for word in form.missing or ():
        plain = pandas.Series([word.strip()], dtype=object)
        values = [value for kind in (mark, ".") if np.isfinite(value := _plain(plain, kind)[0])][:1]
        occurs = False
        for name, numbers in found.items():
            equal = np.isin(numbers, values)
            cells: Any = table[name]
            cells = cells[absent[name]].dropna()
            cells = cells[cells.astype(str).str.strip() != ""]
            occurs |= bool(equal.any()) or bool(empty(cells, Format(missing=(word,))).any())
            absent[name] = absent[name] | equal
            found[name] = np.where(equal, np.nan, numbers)
        if not occurs:
            notes.add(f"no number is {word!r}, a word for a missing one", "--missing without it")


def _hint(word: str, form: Format, mark: str) -> str:
    """The option that would read a word, in words."""
    if word.lower() in MISSING and form.missing is not None:
        every = " ".join(shlex.quote(one) for one in (*form.missing, word))
        return f"; --missing {every} takes it for a missing number, too"
    if re.search(r"\d", word):
        other = OTHER[mark]
        return f"; --decimal {other} reads it" if other in word and NUMBER[other].fullmatch(word) else ""
    if word.lower().lstrip("+-") in ("inf", "infinity", "yes", "no", *TRUTHS) or word.startswith("-"):
        return ""
    return f"; --missing {shlex.quote(word):.60} takes it for a missing number"


def _are_truths(column: Any) -> bool:
    words = column.dropna().str.lower()
    return len(words) > 0 and bool(words.isin(list(TRUTHS)).all())


def _truths(column: Any, name: str, notes: Notes) -> np.ndarray:
    notes.add(f"true and false in column {name!r} are 1 and 0", "write 1 and 0")
    return column.str.lower().map(TRUTHS).to_numpy(dtype=float, na_value=np.nan)


def _plain(column: Any, mark: str) -> np.ndarray:
    numbers = column.where(column.str.fullmatch(NUMBER[mark].pattern) == True)  # noqa: E712, NaN is neither
    plain = numbers.str.replace(GROUPS[mark], "", regex=True).str.replace(mark, ".", regex=False)
    found: Any = pandas.to_numeric(plain, errors="coerce")
    return found.to_numpy(dtype=float, na_value=np.nan)


def _decimal(words: Mapping[str, Any], form: Format, notes: Notes) -> str:
    """The decimal mark of all columns together, from the numbers that can have one mark only."""
    every: Any = (
        pandas.concat([column.dropna() for column in words.values()]) if words else pandas.Series([], dtype=str)
    )
    marked = every[every.str.contains(r"[,.\s']", regex=True)]
    # Groups that are divided by spaces show no mark.
    spaced = marked.str.contains(SPACE, regex=True).any()
    closed = marked if not spaced else marked.str.replace(rf"(?<=[0-9]){SPACE}(?=[0-9]{{3}}(?![0-9]))", "", regex=True)
    commas, points, eithers = (marked[closed.str.fullmatch(pattern)] for pattern in (COMMA, POINT, EITHER))
    if len(commas) and len(points):
        got = " and ".join(f"{one.iloc[0]!r:.60} ({one.index.name} {one.index[0]})" for one in (commas, points))
        raise ValueError(f"{notes.where}: expected one decimal mark, got {got}; --decimal names it")
    if len(commas):
        notes.add(f"decimal commas, as in {commas.iloc[0]!r:.60}", "--decimal ,")
        return ","
    if len(eithers) and not len(points):
        _check_shown(eithers, every[~every.str.contains(r"[,.\s']", regex=True)], form, notes)
        notes.add(f"decimal points, as in {eithers.iloc[0]!r:.60}", "--decimal .")
        return "."
    for word in marked[marked.str.contains(r"[,\s']", regex=True)][:1]:
        notes.add(f"groups of thousands, as in {word!r:.60}", "--decimal .")
    return "."


def _check_shown(eithers: Any, plain: Any, form: Format, notes: Notes) -> None:
    """Raises ValueError for numbers that may be about one or above a thousand: 1,201, or 1.201.

    A point is the usual decimal mark in files separated by commas, unless all numbers without one are below a thousand.
    """
    small = len(plain) > 0 and bool(plain.str.fullmatch(r"[+-]?[0-9]{1,3}").all())
    if not eithers.str.contains(",", regex=False).any() and form.separator in (None, ",") and not small:
        return
    word = eithers.iloc[0]
    large = re.sub("[,.]", "", word)
    mark = "," if "," in word else "."
    raise ValueError(
        f"{notes.where}, {eithers.index.name} {eithers.index[0]}: expected numbers that show their decimal mark, got "
        f"{word!r:.60}; set --decimal to {OTHER[mark]} ({large}) or {mark} ({word.replace(',', '.')})"
    )
