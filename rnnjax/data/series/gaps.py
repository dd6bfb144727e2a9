"""Missing dates and numbers of a series: an error, or filled with what was known by then."""

from typing import Any, Literal, NamedTuple

import numpy as np

from rnnjax.data.frequency import Frequency

# Of dates that are filled in a row, if nothing else is given and a season is shorter.
LEAST_LIMIT = 3
HOUR = np.timedelta64(3600, "s")
Clock = Literal["local", "utc", "zone"]


class Whole(NamedTuple):
    """A series with all dates, and how much of it was filled."""

    dates: np.ndarray  # (T,)
    numbers: np.ndarray  # (T, C)
    filled: int  # dates that lacked a number
    longest: int  # such dates in a row, at most


class Fill(NamedTuple):
    """Whether missing numbers are filled, and how many of them in a row; None for as many as a season has."""

    on: bool = False
    most: int | None = None


def without_gaps(
    dates: np.ndarray, numbers: np.ndarray, frequency: Frequency, where: str, fill: Fill, clock: Clock = "zone"
) -> Whole:
    """All dates from the first to the last, with missing numbers filled by the previous ones.

    `clock` is how times were read, for hints: local times, in UTC or with offsets, or in the given zone. Raises
    ValueError for a date that is not on the grid, for a missing one without `fill`, for more in a row than it allows,
    and if most are missing unless it says how many.
    """
    # An upper bound for the number of steps between the first and last date, for any frequency.
    most = int((dates[-1] - dates[0]).astype(int) / (frequency.seconds * 0.9)) + 2 + 7 * max(1, frequency.slots)
    if most > 100 * len(dates) + 7 * max(1, frequency.slots):
        raise ValueError(
            f"{where}: expected most dates to be present, {frequency} apart, got {len(dates)} of about {most}; "
            "--date-format reads dates in another way"
        )
    grid = frequency.after(dates[0], np.arange(most))
    grid = grid[: np.searchsorted(grid, dates[-1]) + 1]
    places = np.searchsorted(grid, dates)
    for row in np.flatnonzero(grid[np.minimum(places, len(grid) - 1)] != dates)[:1]:
        raise ValueError(
            f"{where}: expected dates {frequency} apart, starting at {dates[0]}, got {dates[row]}"
            f"{_midnights(dates, clock)}"
        )
    present = np.zeros(len(grid), bool)
    present[places] = True
    for row in np.flatnonzero(~present)[:1] if not fill.on else ():
        missing = int(np.sum(~present))
        hint = "--fill uses the previous number"
        if clock == "local" and _is_spring(grid[row], frequency):
            hint = "--timezone, such as Europe/Berlin, if the clock was put forward; otherwise --fill"
        raise ValueError(
            f"{where}: expected dates {frequency} apart, got none at {grid[row]} ({missing} missing in total); {hint}"
        )
    whole = np.full((len(grid), numbers.shape[1]), np.nan)
    whole[places] = numbers
    lacking = np.asarray(np.isnan(whole).any(axis=1))
    runs = _runs(lacking)
    filled, longest = int(lacking.sum()), int(runs.max(initial=0))
    if fill.most is None and 2 * filled > len(grid):
        raise ValueError(
            f"{where}: expected most dates to be present, {frequency} apart, got {len(grid) - filled} of {len(grid)} "
            f"with all numbers; --fill-limit {longest} fills them all the same"
        )
    if longest > (limit := max(frequency.season, LEAST_LIMIT) if fill.most is None else fill.most):
        start = grid[int(np.argmax(runs == longest)) - longest + 1]
        raise ValueError(
            f"{where}: expected at most {limit} dates in a row to be filled, got {longest} from {start}; --fill-limit "
            f"{longest} fills them all the same"
        )
    # For each row, the last row up to it that has a number.
    rows = np.where(np.isnan(whole), 0, np.arange(len(grid))[:, None])
    return Whole(grid, np.take_along_axis(whole, np.maximum.accumulate(rows), axis=0), filled, longest)


def _runs(lacking: np.ndarray) -> np.ndarray:
    """For each row, how many rows up to it lack a number without a break."""
    counts = np.cumsum(lacking)
    return counts - np.maximum.accumulate(np.where(lacking, 0, counts))


def _is_spring(date: Any, frequency: Frequency) -> bool:
    """Whether clocks may be put forward at this time: in a night to Sunday, but for a few countries."""
    day = date.astype("datetime64[D]")
    return frequency.seconds <= 3600 and (day.astype(int) + 3) % 7 == 6 and (date - day) <= 3 * HOUR


def _midnights(dates: np.ndarray, clock: Clock) -> str:
    """What helps if dates are midnights of a time zone with summer time, written in UTC."""
    times = np.unique(dates - dates.astype("datetime64[D]"))
    if clock == "zone" or len(times) != 2 or times[1] - times[0] != HOUR:
        return ""
    before = "" if clock == "utc" else "write Z after the times, and set "
    return f"; for midnights of a time zone that are written in UTC, {before}--timezone, such as Europe/Berlin"
