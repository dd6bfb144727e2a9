"""Series, and how the file of them is written."""

import dataclasses
import reprlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from rnnjax.data.encodings import check_name
from rnnjax.data.frequency import Frequency
from rnnjax.data.series.time_zones import check_zone
from rnnjax.fields import check_range

# Limits of options.
MOST_SKIPPED, LEAST_CENTURY, MOST_CENTURY = 10_000, 1000, 9_900


class Series(NamedTuple):
    """A value for each date, and further columns."""

    name: str
    dates: np.ndarray  # (T,), datetime64[s], one step apart
    values: np.ndarray  # (T,)
    extra: np.ndarray  # (T, E)
    filled: int = 0  # number of dates that were missing
    known: np.ndarray = np.empty((0, 0))  # (T + F, K), columns that are known up to F dates after the last one
    static: tuple[str, ...] = ()  # columns with one value for the series


class SeriesTable(NamedTuple):
    """Several series with the same frequency."""

    series: tuple[Series, ...]
    frequency: Frequency
    notes: tuple[str, ...] = ()  # what was assumed about the file, and the options that settle it
    dropped: tuple[str, ...] = ()  # names of series that were left out


@dataclasses.dataclass(frozen=True)
class Columns:
    """The names and roles of the columns of a table.

    The `date` columns are joined by spaces. Each column of `values` is a separate series, and so is each combination of
    names in the columns `series`, if given. `extra` and `known` columns are numbers, too. A series ends at its last
    value, and rows after it have the `known` numbers of the future, up to the first one that is missing. `static`
    columns have one text or number for each series.
    """

    date: tuple[str, ...] = ("date",)
    values: tuple[str, ...] = ("value",)
    series: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @property
    def all(self) -> list[str]:
        """All columns that are read."""
        names = [*self.date, *self.values, *self.extra, *self.known, *self.static, *self.series]
        return list(dict.fromkeys(names))

    def check(self, found: Sequence[str], where: str) -> None:
        """Raises ValueError for a column that is missing."""
        options = {"date": self.date, "value": self.values, "series": self.series}
        for name in self.all:
            if name not in found:
                option = next((f"--{key}" for key, own in options.items() if name in own), "")
                near = [repr(one) for one in found if one.lower() == name.lower()]
                hint = (f"; set {option} to {near[0]}" if near else f"; {option} names it") if option else ""
                if found and all(any(letter.isdigit() for letter in one) for one in found):
                    hint = "; the first line must have the column names"
                raise ValueError(f"{where}: expected a column {name!r}, got {reprlib.repr(list(found))}{hint}")

    @property
    def numbers(self) -> list[str]:
        """The columns of numbers."""
        return list(dict.fromkeys([*self.values, *self.extra, *self.known]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """How the values of a file are written; what is None is found out, and said in the notes of the table.

    Raises ValueError for numbers out of their range.
    """

    separator: str | None = None  # of columns; "tab" for tabs
    skip_lines: int | None = None  # before the line of column names
    comment: str | None = None  # beginning of lines that are left out; "" for none
    encoding: str | None = None
    date_format: str | None = None  # as in `strptime`, with %q for a quarter, or one of `NUMBERED`
    century: int | None = None  # first of the hundred years to which two digits belong
    timezone: str | None = None  # of dates without offsets
    decimal: Literal[".", ","] | None = None
    missing: tuple[str, ...] | None = None  # words for a missing number, besides none at all
    fill_limit: int | None = None  # missing numbers in a row that are filled; None: a season, at least three
    sort: bool = False  # rows of a series may be in any order
    unfit: Literal["drop", "keep", "error"] = "error"  # a series of fewer than three dates is left out, or an error
    strict: bool = False  # everything that would be a note is an error

    def __post_init__(self):
        check_range("skip_lines", self.skip_lines or 0, 0, MOST_SKIPPED)
        if self.encoding is not None:
            check_name(self.encoding)
        if self.fill_limit is not None:
            check_range("fill_limit", self.fill_limit, 1)
        if self.century is not None:
            check_range("century", self.century, LEAST_CENTURY, MOST_CENTURY)
        if self.timezone is not None:
            check_zone(self.timezone)
