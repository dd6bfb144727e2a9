"""Labels as names of classes. Numbers are compared by value: 1, 1.0, "1" and "1.0" are one class."""

import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

# More digits are a name.
_NUMBER = re.compile(r"[-+]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})", re.ASCII)


def class_name(label: Any) -> str:
    """The name of the class of a label; "" for a missing or invalid label.

    A number has the shortest name of its value; any other string is its own name, without outer spaces.
    """
    if isinstance(label, bool | int):
        label = str(int(label))
    elif isinstance(label, float):
        label = f"{Decimal(repr(label)):f}" if math.isfinite(label) else ""
    elif not isinstance(label, str):
        return ""
    name = label.strip()
    if not is_number(name):
        return name
    value = Decimal(name)
    return f"{value.normalize():f}" if value else "0"


def is_number(name: str) -> bool:
    """Whether a name is a number."""
    return _NUMBER.fullmatch(name) is not None


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """The names in their order as classes: numbers by value, others by the alphabet."""
    names = list(names)
    return tuple(sorted(names, key=Decimal) if all(map(is_number, names)) else sorted(names))


def numbers_of(classes: Sequence[str], where: str) -> dict[str, int]:
    """The number of each class, by the name of its labels.

    Raises ValueError for two names of one class.
    """
    numbers = {class_name(name): number for number, name in enumerate(classes)}
    if len(numbers) < len(classes):
        raise ValueError(f"{where}: expected different classes, compared by value, got {list(classes)}")
    return numbers


def indices_of(classes: Sequence[str]) -> dict[str, int]:
    """Class numbers as labels, of classes that have no number as a name: "0" is the first class."""
    if any(is_number(class_name(name)) for name in classes):
        return {}
    return {str(number): number for number in range(len(classes))}
