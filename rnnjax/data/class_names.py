"""Labels as names of classes, compared by value: 1, 1.0, "1e0" and true are one class, and so are "True" and true."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from rnnjax.data.splitting import visible

# More digits are a name. Digits of any script, and the minus sign of typesetting.
_NUMBER = re.compile(r"[-+\u2212]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:[eE][-+]?\d{1,2})?")
BOOLEANS = {"0": "false", "1": "true"}
_VALUES = {word: number for number, word in BOOLEANS.items()}
NO_LABEL = "-1"  # what rows without labels have for labels, if it is none of their classes
# Words for a missing value, which are names of classes where the other classes have words as names.
MISSING = {"?", "-", "na", "n/a", "#n/a", "<na>", "nan", "null"}


def class_name(label: Any) -> str:
    """The name of the class of a label; "" for a missing or invalid label.

    A number has the shortest name of its value, true is 1 and false 0, also as words in any case. Any other string is
    its own name, composed (NFC), without invisible characters and outer spaces.
    """
    if isinstance(label, bool | int):
        label = str(int(label))
    elif isinstance(label, float | Decimal):
        label = f"{Decimal(str(label)):f}" if math.isfinite(label) else ""
    elif not isinstance(label, str) or "\0" in label:
        return ""
    name = visible(label).strip()
    name = _VALUES.get(name.lower(), name)
    if not is_number(name):
        return name
    value = Decimal(name.replace("\u2212", "-"))
    return f"{value.normalize():f}" if value else "0"


def is_boolean(label: Any) -> bool:
    """Whether a label is true or false, also as a word in any case."""
    return isinstance(label, bool) or (isinstance(label, str) and visible(label).strip().lower() in _VALUES)


def is_number(name: str) -> bool:
    """Whether a name is a number."""
    return _NUMBER.fullmatch(name) is not None


def is_missing(name: str, classes: Iterable[str]) -> bool:
    """Whether a class name stands for no label: none of the classes, and "", -1, or a word for a missing value."""
    return name not in classes and (name in ("", NO_LABEL, "None") or name.lower() in MISSING)


def named_alike(names: Iterable[str]) -> list[str]:
    """The names that differ from another one only in case."""
    names = sorted(names)
    counts = Counter(name.casefold() for name in names)
    return [name for name in names if counts[name.casefold()] > 1]


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
