"""Tables of all benchmarks, in Markdown."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from rnnjax.errors import first_line
from rnnjax.tables import markdown as markdown

Item = TypeVar("Item")


def table(columns: Mapping[str, Callable[[Any], object]], items: Iterable[Any]) -> str:
    """One row for each item; a column is a header and the function that makes its cell."""
    return markdown(list(columns), [[cell(item) for cell in columns.values()] for item in items])


def quartiles(values: Sequence[float] | None, scale: float = 1.0) -> str:
    """The median and the quartiles to three digits, "2.00 (1.50 to 2.50)"; nothing for None."""
    if values is None:
        return ""
    low, middle, high = (three_digits(scale * value) for value in values)
    return f"{middle} ({low} to {high})"


def three_digits(value: float) -> str:
    """A number to three digits; from 100 on, all digits before the point."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def shown(value: float | None, form: str, scale: float = 1.0) -> str:
    """A number in a format; nothing for None."""
    return "" if value is None else format(scale * value, form)


def grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Groups of items with the same key, in the order of the first item of each."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def described(error: Exception) -> str:
    """The error in one line: the reason in place of a measurement."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"
