"""The order of the dates of a series, and what may be the matter if there is none."""

import itertools
from typing import Any, NamedTuple

import numpy as np

from rnnjax.data.series.dates import Dates
from rnnjax.data.series.notes import Notes
from rnnjax.data.series.time_zones import to_utc
from rnnjax.data.series.types import Columns, Format
from rnnjax.extras import extra

with extra("series"):
    import pandas

# A name that no column has, and the largest number of columns of which pairs are tried.
DATE, MOST_OTHERS = "\0", 10
HOUR = np.timedelta64(3600, "s")


class Ordered(NamedTuple):
    """Rows of a table in the order of their dates."""

    rows: np.ndarray
    dates: np.ndarray


def ordered(
    table: pandas.DataFrame,
    dates: Dates,
    rows: np.ndarray,
    name: str,
    columns: Columns,
    form: Format,
    notes: Notes,
) -> Ordered:
    """The rows of a series by increasing dates, in UTC if the time zone is given.

    Dates that all decrease are turned round; with `sort`, any order is changed. Raises ValueError for dates that occur
    twice and for those in no order.
    """
    own = dates.values[rows]
    if len(own) > 1 and not form.sort and (np.diff(own) < np.timedelta64(0, "s")).mean() > 0.5 and own[-1] < own[0]:
        notes.add("the newest date is first; sorted", "--sort", name)
        rows, own = rows[::-1], own[::-1]
    if form.sort:
        if (np.diff(own) < np.timedelta64(0, "s")).any():
            notes.say("rows sorted by date (--sort)")
        rows = rows[np.argsort(own, kind="stable")]
        own = dates.values[rows]

    def at(row: int) -> str:
        return f"{notes.where}, {table.index.name or 'row'} {table.index[rows[row]]}, {name!r}"

    if form.timezone is not None and not dates.aware:
        own = to_utc(own, form.timezone, at, notes)
    for row in np.flatnonzero(np.diff(own) <= np.timedelta64(0, "s"))[:1]:
        before, after = own[row], own[row + 1]
        hint = _hint(table, dates, own, after, columns, form)
        if before == after:
            raise ValueError(f"{at(row + 1)}: expected every date once, got {after} twice{hint}")
        raise ValueError(f"{at(row + 1)}: expected increasing dates, got {after} after {before}{hint}")
    return Ordered(rows, own)


def _hint(table: Any, dates: Dates, own: np.ndarray, date: Any, columns: Columns, form: Format) -> str:
    """The option that may help, in words."""
    twice = len(np.unique(own)) < len(own)
    if twice:
        known = list(columns.series)
        others = [name for name in table.columns if name not in columns.all and table[name].nunique() <= len(table) / 2]
        keys = table[[*known, *others]].astype(str).assign(**{DATE: dates.values})
        # One column, or two of them, that tell rows with the same date apart.
        for names in (*itertools.combinations(others, 1), *itertools.combinations(others[:MOST_OTHERS], 2)):
            if not keys.duplicated([DATE, *known, *names]).any():
                return f"; for several series, set --series {' '.join(map(repr, [*known, *names]))}"
    hour = (date - date.astype("datetime64[D]")) // HOUR
    sunday = (date.astype("datetime64[D]").astype(int) + 4) % 7 == 0
    if (
        form.timezone is None
        and not dates.aware
        and sunday
        and hour <= 3
        and np.diff(np.unique(own)).min(initial=0) <= HOUR
    ):
        return "; --timezone, such as Europe/Berlin, tells apart the two hours of the end of summer time"
    return "" if twice or form.sort else "; --sort sorts the rows of each series"
