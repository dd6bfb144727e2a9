"""Missing dates and numbers of a series: an error, or filled with what was known by then."""

import numpy as np

from rnnjax.data.frequency import Frequency


def without_gaps(
    dates: np.ndarray, numbers: np.ndarray, frequency: Frequency, where: str, fill: bool
) -> tuple[np.ndarray, np.ndarray, int]:
    """All dates from the first to the last, with missing numbers filled by the previous ones; and how many.

    Raises ValueError for a date that is not on the grid, for a missing one without `fill`, and if most are missing.
    """
    # An upper bound for the number of steps between the first and last date, for any frequency.
    most = int((dates[-1] - dates[0]).astype(int) / (frequency.seconds * 0.9)) + 2 + 2 * frequency.slots
    if most > 100 * len(dates) + 2 * frequency.slots:
        raise ValueError(
            f"{where}: expected most dates to be present, {frequency} apart, got {len(dates)} of about {most}; "
            "--date-format reads dates in another way"
        )
    grid = frequency.after(dates[0], np.arange(most))
    grid = grid[: np.searchsorted(grid, dates[-1]) + 1]
    places = np.searchsorted(grid, dates)
    for row in np.flatnonzero(grid[np.minimum(places, len(grid) - 1)] != dates)[:1]:
        raise ValueError(f"{where}: expected dates {frequency} apart, starting at {dates[0]}, got {dates[row]}")
    present = np.zeros(len(grid), bool)
    present[places] = True
    for row in np.flatnonzero(~present)[:1] if not fill else ():
        missing = int(np.sum(~present))
        raise ValueError(
            f"{where}: expected dates {frequency} apart, got none at {grid[row]} ({missing} missing in total); "
            "--fill uses the previous number"
        )
    if 2 * len(dates) < len(grid):
        raise ValueError(
            f"{where}: expected most dates to be present, {frequency} apart, got {len(dates)} of {len(grid)}"
        )
    whole = np.full((len(grid), numbers.shape[1]), np.nan)
    whole[places] = numbers
    filled = int(np.sum(np.isnan(whole).any(axis=1)))
    # For each row, the last row up to it that has a number.
    rows = np.where(np.isnan(whole), 0, np.arange(len(grid))[:, None])
    return grid, np.take_along_axis(whole, np.maximum.accumulate(rows), axis=0), filled
