"""Checks of command options, which may come from a command line, from code, or from the JSON of a run folder."""

import reprlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

# Upper limits, since a config may be untrusted: larger than any experiment needs, and small enough that even the limit
# is checked quickly. Whether the memory suffices for all options together is checked when the network is built.
MOST_FEATURES = 65_536
MOST_LAYERS = 1_000
MOST_WORDS = 10_000_000
MOST_ITEMS = 1_000
MOST = 2**31 - 1  # for all other options: the largest int32
LIMITS: Mapping[str, int] = (
    dict.fromkeys(("input", "embedding", "hidden", "hiddens", "dense"), MOST_FEATURES)
    | {"layers": MOST_LAYERS, "vocabulary": MOST_WORDS, "batch_size": 1_000_000, "buckets": 1_000, "paths": 1_000_000}
    | dict.fromkeys(("longest", "time", "times", "train_time"), 10_000_000)
)


def check_fields(
    config: Any, *, at_least_one: Sequence[str] = (), shares: Sequence[str] = (), above_zero: Sequence[str] = ()
) -> None:
    """Raises ValueError for a field that does not match its annotated type, or a number out of its range.

    A field may contain one number, several, or None. The ranges of `seed`, `skip` and `vocabulary` are the same in
    every config. Upper limits are those of `LIMITS`, and `MOST` for any other integer.
    """
    for name, hint in get_type_hints(type(config)).items():
        check_type(name, getattr(config, name), hint)
    values = vars(config)
    ranges = (
        (at_least_one, "at least 1", lambda number: number >= 1),
        (shares, "0 <= share < 1", lambda number: 0 <= number < 1),
        (above_zero, "a number above 0", lambda number: 0 < number <= sys.float_info.max),
    )
    for names, words, fits in ranges:
        for name in names:
            for number in _numbers(values[name]):
                if not fits(number):
                    raise ValueError(f"{name}: expected {words}, got {number}")
    for name, value in values.items():
        most = LIMITS.get(name, MOST)
        for number in _numbers(value):
            if name != "seed" and isinstance(number, int) and number > most:
                raise ValueError(f"{name}: expected at most {most:,}, got {number}")
    if values.get("vocabulary", 3) < 3:
        raise ValueError(f"vocabulary: expected at least 3 (padding, unknown, one word), got {values['vocabulary']}")
    if values.get("skip", 0) < 0:
        raise ValueError(f"skip: expected at least 0, got {values['skip']}")
    if not 0 <= values.get("seed", 0) < 2**32:
        raise ValueError(f"seed: expected 0 to {2**32 - 1}, got {values['seed']}")


def check_range(name: str, value: int, least: int, most: int = sys.maxsize) -> None:
    """Raises ValueError for what is not an integer, and for one outside a range."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name}: expected an integer, got {reprlib.repr(value)}")
    if not least <= value <= most:
        words = f"at least {least}" if most == sys.maxsize else f"{least} to {most}"
        raise ValueError(f"{name}: expected {words}, got {value}")


def _numbers(value: Any) -> list[Any]:
    """The numbers in a field."""
    items = value if isinstance(value, (tuple, list)) else (value,)
    return [item for item in items if isinstance(item, (int, float))]


def check_type(name: str, value: Any, hint: Any) -> None:
    """Raises ValueError if a value does not match the annotated type."""
    optional = [option for option in get_args(hint) if option is not type(None)]
    if len(optional) < len(get_args(hint)) and get_origin(optional[0]) is not None:  # a list or a choice, or nothing
        if value is not None:
            check_type(name, value, optional[0])
        return
    if get_origin(hint) is tuple:
        if not isinstance(value, (tuple, list)):  # JSON has lists only
            raise ValueError(f"{name}: expected a list, got {reprlib.repr(value)}")
        if len(value) > MOST_ITEMS:
            raise ValueError(f"{name}: expected at most {MOST_ITEMS:,} items, got {len(value):,}")
        for item in value:
            check_type(name, item, get_args(hint)[0])
        return
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"{name}: expected one of {list(get_args(hint))}, got {reprlib.repr(value)}")
        return
    allowed = get_args(hint) or (hint,)
    if float in allowed:
        allowed = (*allowed, int)
    if (isinstance(value, bool) and bool not in allowed) or not isinstance(value, allowed):
        names = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in allowed)
        raise ValueError(f"{name}: expected {names}, got {reprlib.repr(value)}")
