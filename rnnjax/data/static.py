"""Static columns of series, as features: a text is one-hot over the values of training, a number is scaled."""

import math
import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rnnjax.fields import MOST_ITEMS

if TYPE_CHECKING:
    from rnnjax.data.series import Series


class StaticColumn(NamedTuple):
    """The values of a column of texts, or mean and standard deviation over the series of a column of numbers."""

    name: str
    values: tuple[str, ...]  # none for numbers
    mean: float = 0.0
    spread: float = 1.0

    @property
    def features(self) -> int:
        """The number of features."""
        return len(self.values) or 1

    def __call__(self, word: str, series: str) -> np.ndarray:
        """The features of a series with this value. Raises ValueError for one that training had not."""
        if self.values:
            if word not in self.values:
                raise ValueError(
                    f"static: expected a value of column {self.name!r} as in training, "
                    f"{reprlib.repr(list(self.values))}, got {reprlib.repr(word)} for {series!r}"
                )
            return np.array([float(word == value) for value in self.values])
        number = _number(word)
        if not math.isfinite(number):
            raise ValueError(
                f"static: expected a number in column {self.name!r}, as in training, got {reprlib.repr(word)} for "
                f"{series!r}"
            )
        return np.array([(number - self.mean) / self.spread])


def static_columns(names: Sequence[str], series: "Sequence[Series]") -> tuple[StaticColumn, ...]:
    """The static columns of the series of training; one that has only numbers is a column of numbers.

    Raises ValueError for a column that is the same for all series, and for too many texts.
    """
    found = []
    for name, words in zip(names, zip(*(one.static for one in series), strict=True), strict=True):
        values, numbers = sorted(set(words)), np.array([_number(word) for word in words])
        spread = float(numbers.std()) if np.isfinite(numbers).all() else None
        if len(values) == 1 or spread == 0:
            raise ValueError(
                f"static: expected a column that differs between series, got {reprlib.repr(values[0])} for all of them "
                f"in {name!r}"
            )
        if spread is None and len(values) > MOST_ITEMS:  # each is a feature, and in the list of values of a run
            raise ValueError(f"static: expected at most {MOST_ITEMS:,} texts in column {name!r}, got {len(values):,}")
        if spread is None:
            found.append(StaticColumn(name, tuple(values)))
        else:
            found.append(StaticColumn(name, (), float(numbers.mean()), spread))
    return tuple(found)


def static_features(columns: Sequence[StaticColumn], series: "Series") -> np.ndarray:
    """The features `(S,)` of a series, of all static columns. Raises as `StaticColumn`."""
    pairs = zip(columns, series.static, strict=True)
    return np.concatenate([np.empty(0), *(column(word, series.name) for column, word in pairs)])


def _number(word: str) -> float:
    """The number that a text stands for; NaN for any other text."""
    try:
        return float(word)
    except ValueError:
        return math.nan
