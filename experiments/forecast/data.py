"""The data of a study of forecasts: the series, and the windows of each part."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.forecast.config import Forecast
from experiments.forecast.sources import load
from rnnjax.data.series import SeriesTable
from rnnjax.data.static import StaticColumn, static_columns
from rnnjax.data.windows import Cuts, Scaled, UnfitError, Windowing, Windows, cut_dates, joined
from rnnjax.training.capacity import check_capacity

# Series that are left out are named in this number of lines.
MOST_NOTES = 20


class Parts(NamedTuple):
    """The data for training and evaluation."""

    table: SeriesTable
    cuts: Cuts
    windowing: Windowing
    scaled: tuple[Scaled, ...]
    training: Windows
    validation: Windows
    test: Windows
    last: Windows  # after those of the test part, up to the end of each series: only some of the targets are known

    @classmethod
    def of(cls, table: SeriesTable, cuts: Cuts, windowing: Windowing, scaled: Sequence[Scaled]) -> "Parts":
        """The windows of scaled series."""

        def windows(origins: Callable[[Scaled], np.ndarray]) -> Windows:
            return joined([one.windows(origins(one), number) for number, one in enumerate(scaled)])

        training, validation, test = (windows(lambda one, part=part: one.origins(part)) for part in range(3))
        last = windows(Scaled.last_origins)
        return cls(table, cuts, windowing, tuple(scaled), training, validation, test, last)

    def map(self, change: Callable[[Windows], Windows]) -> "Parts":
        """The parts with changed windows."""
        changed = {name: change(getattr(self, name)) for name in ("training", "validation", "test", "last")}
        return self._replace(**changed)


def prepare(config: Forecast) -> Parts:
    """The data of the config. Raises ValueError if a part has no window, or if the windows do not fit into memory."""
    table = load(config)
    cuts = cut_dates(table, config.validation, config.test)
    season = _season(config, table, cuts)
    table = fit_series(config, table, cuts, windowing_of(config, season, ()))
    windowing = windowing_of(config, season, static_columns(config.static, table.series))
    check_rows(config, table, windowing)
    return scaled_parts(table, cuts, windowing)


def windowing_of(config: Forecast, season: int, static: tuple[StaticColumn, ...]) -> Windowing:
    """The windowing of the config, with the season and the static columns of the data."""
    cycles = tuple(config.calendar)
    keep = config.unfit == "keep"
    return Windowing(config.context, config.horizon, season, config.relative, config.log, cycles, static, keep)


def fit_series(config: Forecast, table: SeriesTable, cuts: Cuts, windowing: Windowing) -> SeriesTable:
    """The series that can be trained on, and scored unless others are kept; the rest is left out and noted.

    Raises UnfitError if none is left, and for the first one that is unfit if that is an error.
    """
    problems: dict[str, str] = {}
    for series in table.series:
        try:
            one = Scaled(series._replace(static=()), windowing, cuts, table.frequency)
            if not windowing.keep:
                _check_windows(one)
                one.check_naive()
        except UnfitError as error:
            if config.unfit == "error" or len(table.series) == 1:
                raise
            problems[series.name] = str(error)
    left = tuple(series for series in table.series if series.name not in problems)
    if not left:
        raise UnfitError(next(iter(problems.values())))
    words = [f"{config.source}, {name!r}, left out: {why}" for name, why in problems.items()]
    if len(words) > MOST_NOTES:
        words[MOST_NOTES:] = [f"{config.source}: {len(words) - MOST_NOTES} further series left out"]
    options = "--unfit error" if windowing.keep else "--unfit keep or error"
    notes = (f"{line} ({options})" for line in words)
    return table._replace(series=left, notes=(*table.notes, *notes), dropped=(*table.dropped, *problems))


def _check_windows(one: Scaled) -> None:
    """Raises UnfitError for a series without a window in one of the parts."""
    for part, name in ((1, "validation"), (2, "test")):
        if not len(one.origins(part)):
            raise UnfitError(
                f"horizon: expected one that fits in the {name} part, got {one.windowing.horizon} steps and "
                f"{one.ends[part] - one.ends[part - 1]} dates of {one.series.name!r} in it"
            )


def check_rows(config: Forecast, table: SeriesTable, windowing: Windowing) -> None:
    """Raises ValueError if the windows of the table do not fit into memory."""
    rows = sum(len(series.dates) for series in table.series)
    features = 2 + 2 * len(config.calendar) + len(config.extra) + config.steps * len(config.known)
    features += sum(column.features for column in windowing.static)
    check_capacity(f"{rows:,} windows", 8 * rows * (config.context + config.horizon) * features)


def _season(config: Forecast, table: SeriesTable, cuts: Cuts) -> int:
    """The season of the config, or that of the dates, or 1 if the training part is not longer than the latter.

    Raises ValueError if no training part is longer than the season of the config.
    """
    longest = max(cuts.places(series)[0] for series in table.series)
    if config.season is None:
        return table.frequency.season if table.frequency.season < longest else 1
    if config.season >= longest:
        raise ValueError(
            f"season: expected one shorter than the training part, got {config.season} steps and {longest} dates"
        )
    return config.season


def scaled_parts(table: SeriesTable, cuts: Cuts, windowing: Windowing) -> Parts:
    """The windows of every part. Raises UnfitError if a part has none, of any series or (with `keep`) of all."""
    scaled = tuple(Scaled(series, windowing, cuts, table.frequency) for series in table.series)
    checked = [max(scaled, key=lambda one: min(len(one.origins(1)), len(one.origins(2))))] if windowing.keep else scaled
    for one in checked:
        _check_windows(one)
    return Parts.of(table, cuts, windowing, scaled)


def lacking_known(config: Forecast, parts: Parts) -> str:
    """The first date after the end of a series that has no known columns, as words; empty if all are there."""
    for one in parts.scaled:
        end = one.ends[-1]
        for row in np.flatnonzero(np.isnan(one.covariates[end:]).any(axis=1))[:1]:
            return (
                f"{config.source}, {one.series.name!r}, {one.dates[end + row]}: expected numbers in the known columns "
                f"({', '.join(config.known)}) of {config.horizon} dates after the last value, got those of {row}"
            )
    return ""


def actual(parts: Parts, of: Windows) -> np.ndarray:
    """The true values `(N, H)` after the origins of the windows, in the units of the source."""
    steps = np.arange(parts.windowing.horizon)
    series = parts.table.series
    return np.stack([series[k].values[origin + steps] for k, origin in zip(of.series, of.origins, strict=True)])
