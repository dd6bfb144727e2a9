"""Time zones of dates: local times as UTC, dates with offsets in a zone, and the names of zones."""

import difflib
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnjax.data.series.date_formats import CLOCK, ISO, OFFSET, parsed
from rnnjax.data.series.notes import Notes
from rnnjax.extras import extra

with extra("series"):
    import pandas

NAMED = r"(.*:\d\d(?:\.\d+)?)\s+(?!AM$|PM$|UTC$|GMT$)([A-Z]{2,5})"


def check_zone(name: str) -> None:
    """Raises ValueError for the name of a time zone that is not known."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name, zoneinfo.available_timezones(), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"timezone: expected a time zone such as Europe/Berlin, got {name!r:.60}{hint}") from None


def to_utc(dates: np.ndarray, zone: str, at: Callable[[int], str], notes: Notes) -> np.ndarray:
    """Local times in their order as UTC: an hour that occurs twice in autumn is first the earlier one.

    Days and longer steps are the same everywhere, and stay as they are. Raises ValueError with the place `at(row)` of a
    time that was skipped in spring, and of one that is ambiguous because it occurs once only.
    """
    if len(np.unique(dates - dates.astype("datetime64[D]"))) == 1:
        notes.add(f"days are the same in every time zone, and not changed to that of {zone}", "leave out --timezone")
        return dates
    local = pandas.DatetimeIndex(dates)
    every = np.ones(len(dates), bool)
    for row in np.flatnonzero(local.tz_localize(zone, ambiguous=every, nonexistent="NaT").isna())[:1]:
        raise ValueError(
            f"{at(row)}: timezone: expected local times of {zone}, got {dates[row]}, which was skipped when summer "
            "time began; leave out --timezone if the clock was not put forward"
        )
    try:
        found = local.tz_localize(zone, ambiguous="infer").tz_convert("UTC").tz_localize(None)
    except ValueError as error:
        for row in np.flatnonzero(local.tz_localize(zone, ambiguous="NaT").isna())[:1]:
            raise ValueError(
                f"{at(row)}: timezone: expected local times of {zone}, with the last hour of summer time twice, got "
                f"{dates[row]}, which may be before or after the change; leave out --timezone if the clock was not put "
                "back, or write offsets"
            ) from error
        raise
    notes.say(f"local times of {zone} converted to UTC (--timezone)")
    return found.to_numpy().astype("datetime64[s]")


def in_zone(found: Any, zone: str, notes: Notes) -> Any:
    """Dates with offsets as local dates if they are midnights in the zone; None for others."""
    local = found.dt.tz_convert(zone).dt.tz_localize(None)
    if (local == local.dt.normalize()).all():
        notes.add(f"dates are midnights in {zone}: local dates", "leave out --timezone")
        return local
    notes.add("dates have offsets or are UTC, and are not changed", "leave out --timezone")
    return None


def wall_times(found: Any, words: Any, column: str, notes: Notes) -> Any:
    """Dates with offsets whose local time of day is always the same, as local dates: days are not 23 hours long.

    Raises ValueError for offsets in some dates only.
    """
    if found.isna().any() or found.dt.tz is None:
        return found
    ends = CLOCK + OFFSET + "$"
    if not words.str.fullmatch(f".*{ends}").all():
        raise ValueError(
            f"{notes.where}: expected an offset in all dates of column {column!r} or in none; --timezone is for dates "
            "without"
        )
    local = parsed(words.str.replace(ends, r"\1", regex=True), ISO)
    if local.dt.time.nunique() == 1 and found.dt.time.nunique() > 1:
        notes.add("dates with the same local time of day are local dates", "dates in UTC have offset Z")
        return local
    return found


def with_names(words: Any) -> Any:
    """Words that end with the short name of a zone (EST, EDT) without it, and the names; None if there are others."""
    parts = words.str.extract(f"^{NAMED}$")
    return None if parts.isna().any(axis=None) else parts


def by_name(local: Any, names: Any, zone: str | None, where: Callable[[int], str]) -> Any:
    """Local times with the short names of their zone, as UTC.

    Raises ValueError without the time zone that has these names, and for a name that it does not have at a time.
    """
    if zone is None:
        raise ValueError(
            f"{where(0)}: expected UTC or an offset after a time, got {names.iloc[0]}; set --timezone to the zone with "
            f"times called {names.iloc[0]}, such as America/New_York for EST and EDT"
        )
    times = pandas.DatetimeIndex(local)
    found = pandas.Series(pandas.NaT, index=local.index, dtype="datetime64[s, UTC]")
    for summer in (True, False):
        zoned = times.tz_localize(zone, ambiguous=np.full(len(times), summer), nonexistent="NaT")
        same = zoned.strftime("%Z") == names.to_numpy()
        found = found.where(~same, pandas.Series(zoned.tz_convert("UTC"), index=local.index))
    for row in np.flatnonzero(found.isna())[:1]:
        raise ValueError(
            f"{where(int(row))}: timezone: expected a time of {zone} with its name, got {times[row]} {names.iloc[row]}"
        )
    return found
