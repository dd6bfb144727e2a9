"""Tables of all benchmarks, in Markdown."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from rnnjax.errors import first_line
from rnnjax.tables import markdown as markdown

Item = TypeVar("Item")


def quartiles(values: Sequence[float] | None, scale: float = 1.0) -> str:
    """The median, with the quartiles behind it, to three digits: "2.00 (1.50 to 2.50)"; nothing for None."""
    if values is None:
        return ""
    low, middle, high = (three_digits(scale * value) for value in values)
    return f"{middle} ({low} to {high})"


def three_digits(value: float) -> str:
    """A number to three digits, of large ones every whole digit."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def shown(value: float | None, form: str, scale: float = 1.0) -> str:
    """A number in a format; nothing for None."""
    return "" if value is None else format(scale * value, form)


def grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Items with the same key together, groups and items in the order in which they come."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def described(error: Exception) -> str:
    """What was raised, in one line: the reason in place of a measurement."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"
