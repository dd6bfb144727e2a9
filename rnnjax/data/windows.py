"""Windows of series: the past before an origin and the values after it, scaled using only the training part.

past  [origin - context, origin)      forecast  [origin, origin + horizon)
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from rnnjax.data.frequency import Cycle, Frequency
from rnnjax.data.static import StaticColumn, static_features

if TYPE_CHECKING:
    from rnnjax.data.series import Series, SeriesTable

# The smallest standard deviation that is not due to rounding, relative to the size of the numbers.
CONSTANT = 1e-9
# The smallest scale of a window, relative to the standard deviation of the training part.
LEAST_WINDOW = 0.05
Relative = Literal["none", "last", "season", "window"]


class UnfitError(ValueError):
    """A series that is too short or constant, where others may not be."""


class Cuts(NamedTuple):
    """The first dates of the validation part and of the test part."""

    validation: np.datetime64
    test: np.datetime64

    def places(self, series: "Series") -> tuple[int, int, int]:
        """The end index of each part of a series."""
        validation, test = np.searchsorted(series.dates, np.array(self))
        return int(validation), int(test), len(series.dates)


class Windows(NamedTuple):
    """N windows as inputs of a network: past and targets are `(number - base) / scale`; `undone` is the inverse."""

    past: np.ndarray  # (N, C)
    known: np.ndarray  # (N, C + H - 1, K): features known at the origin, for each step after the first of the past
    extra: np.ndarray  # (N, C, E)
    covariates: np.ndarray  # (N, C + H - 1, K): the known columns for the same steps, NaN where they have ended
    targets: np.ndarray  # (N, H)
    base: np.ndarray  # (N, H)
    scale: np.ndarray  # (N, 1)
    series: np.ndarray  # (N,)
    origins: np.ndarray  # (N,), indices in the series

    def take(self, rows: np.ndarray) -> "Windows":
        """The windows with these row numbers."""
        return Windows(*(leaf[rows] for leaf in self))


@dataclasses.dataclass(frozen=True)
class Windowing:
    """The size of windows, and the base and scale that normalise their numbers.

    | relative | base | scale |
    |---|---|---|
    | none | mean of the training part | standard deviation of the training part |
    | last | last number before the origin | root mean square of `target - base` over the training windows |
    | season | number one season earlier; for the future, the last known one | the same |
    | window | mean of the past of the window | standard deviation of the past of the window |

    "window" is from Kim et al. 2022, "Reversible Instance Normalization for Accurate Time-Series Forecasting against
    Distribution Shift". With "season", the base of each step is also an input. `log` takes the logarithm first.
    `static` describes the static columns of the series, which are features known at every step. `keep` allows a
    constant training part: its scale is 1.
    """

    context: int
    horizon: int
    season: int = 1
    relative: Relative = "none"
    log: bool = False
    cycles: tuple[Cycle, ...] = ()
    static: tuple[StaticColumn, ...] = ()
    keep: bool = False

    @property
    def first(self) -> int:
        """The first possible origin in a series."""
        return self.context + (self.season if self.relative == "season" else 0)


def cut_dates(table: "SeriesTable", validation: float, test: float) -> Cuts:
    """The cut dates for these shares of all dates, the same for every series, so that no part contains later dates."""
    dates = np.unique(np.concatenate([series.dates for series in table.series]))
    places = [round(len(dates) * (1 - test - validation)), round(len(dates) * (1 - test))]
    return Cuts(*dates[np.minimum(places, len(dates) - 1)])


def seasonal_naive(values: np.ndarray, origins: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """For each step after each origin, the last known number that is a whole number of seasons earlier."""
    return values[np.maximum(origins[:, None] - season + np.arange(horizon) % season, 0)]


def naive_error(values: np.ndarray, season: int) -> float:
    """The mean absolute error of the seasonal naive forecast of these values, of which there are more than a season."""
    return float(np.abs(values[season:] - values[:-season]).mean())


class Scaling(NamedTuple):
    """What is computed from the training part of a series, to normalise its numbers and to score forecasts of them."""

    mean: float
    spread: float  # the standard deviation
    scale: float  # of windows (see `Windowing`)
    extra: np.ndarray  # (2, E), mean and standard deviation of the extra columns
    known: np.ndarray  # (2, K), of the known columns
    naive: float  # the mean absolute error of the seasonal naive forecast, in the units of the source


class Scaled:
    """A normalised series, from which windows are cut.

    Its scaling is that of an earlier series, or else is computed from its training part. Raises UnfitError for a
    training part that is too short for a window, or constant, and ValueError for a logarithm of numbers that are not
    above 0, for a series that is too short for the past of a window, and for an unknown static value
    (`static_features`).
    """

    def __init__(
        self, series: "Series", windowing: Windowing, cuts: Cuts, frequency: Frequency, scaling: Scaling | None = None
    ):
        self.series, self.windowing = series, windowing
        self.ends = cuts.places(series)
        self._check(cuts, fitted=scaling is not None)
        self.values = np.log(series.values) if windowing.log else series.values
        # Calendar and static features are also known for the future, beyond the last date.
        self.dates = frequency.after(series.dates[0], np.arange(len(series.dates) + windowing.horizon))
        static = np.tile(static_features(windowing.static, series), (len(self.dates), 1))
        self.calendar = np.concatenate([frequency.calendar(self.dates, windowing.cycles), static], axis=1)
        self.scaling = self._fitted() if scaling is None else scaling
        self.extra = (series.extra - self.scaling.extra[0]) / self.scaling.extra[1]
        self.covariates = np.full((len(self.dates), series.known.shape[1]), np.nan)
        known = series.known[: len(self.dates)]
        self.covariates[: len(known)] = (known - self.scaling.known[0]) / self.scaling.known[1]

    def _check(self, cuts: Cuts, fitted: bool) -> None:
        windowing, name = self.windowing, repr(self.series.name)
        if windowing.log and self.series.values.min() <= 0:
            row = int(np.argmax(self.series.values <= 0))
            raise ValueError(
                f"log: expected numbers above 0 in {name}, got {self.series.values[row]:g} at {self.series.dates[row]}"
            )
        season = f", after a season of {windowing.season}," if windowing.first > windowing.context else ""
        if fitted and len(self.series.values) < windowing.first:
            raise ValueError(
                f"context: expected a context of {windowing.context}{season} to fit in the series, got "
                f"{len(self.series.values)} dates of {name}"
            )
        if not fitted and self.ends[0] < windowing.first + windowing.horizon:
            raise UnfitError(
                f"horizon: expected a context of {windowing.context}{season} and a horizon of {windowing.horizon} to "
                f"fit in the training part, got {self.ends[0]} dates of {name} before {cuts.validation}"
            )

    def _fitted(self) -> Scaling:
        mean, spread = self._spread(self.values, "training part")
        extra, known = self._spreads("extra"), self._spreads("known")
        season = self.windowing.season
        naive = naive_error(self.series.values[: self.ends[0]], season) if season < self.ends[0] else math.nan
        # The base of windows needs the mean.
        self.scaling = Scaling(mean, spread, spread, extra, known, naive)
        return self.scaling._replace(scale=self._scale())

    def _spreads(self, kind: Literal["extra", "known"]) -> np.ndarray:
        columns = getattr(self.series, kind).T
        names = [f"training part of {kind} column {column + 1}" for column in range(len(columns))]
        return np.array([self._spread(*pair) for pair in zip(columns, names, strict=True)]).reshape(-1, 2).T

    def _spread(self, numbers: np.ndarray, what: str) -> tuple[float, float]:
        train = numbers[: self.ends[0]]
        mean, spread = float(train.mean()), float(train.std())
        if spread <= CONSTANT * abs(mean):
            if self.windowing.keep:
                return mean, 1.0
            raise UnfitError(f"expected the {what} of {self.series.name!r} to vary, got {mean:g} throughout")
        return mean, spread

    def _scale(self) -> float:
        spread = self.scaling.spread
        if self.windowing.relative not in ("last", "season"):
            return spread
        origins = self.origins(0)
        scale = float(np.sqrt(np.mean((self.values[self._future(origins)] - self.base(origins)) ** 2)))
        if scale <= CONSTANT * spread:
            if self.windowing.keep:
                return spread
            raise UnfitError(
                f"relative: expected the training part of {self.series.name!r} to differ from its base, got a base "
                f"({self.windowing.relative}) that is equal to it everywhere"
            )
        return scale

    def check_naive(self) -> None:
        """Raises UnfitError if the training part has no naive error, or one of 0: MASE is then undefined."""
        if math.isnan(self.scaling.naive):
            raise UnfitError(
                f"season: expected one shorter than the training part, got {self.windowing.season} steps and "
                f"{self.ends[0]} dates of {self.series.name!r}"
            )
        if self.scaling.naive == 0:
            raise UnfitError(
                f"expected the training part of {self.series.name!r} to differ from season to season, got one that is "
                f"the same every {self.windowing.season} steps"
            )

    @property
    def scored(self) -> bool:
        """Whether its forecasts have a MASE."""
        return self.scaling.naive > 0

    def origins(self, part: int) -> np.ndarray:
        """The origins with the whole horizon in a part (0 training, 1 validation, 2 test); the past may be earlier.

        A series that is not scored but kept has origins in the training part only.
        """
        if part and self.windowing.keep and not self.scored:
            return np.empty(0, int)
        start = self.ends[part - 1] if part else 0
        return np.arange(max(start, self.windowing.first), self.ends[part] - self.windowing.horizon + 1)

    def last_origins(self) -> np.ndarray:
        """The origins after those of the test part, up to the end of the series: only some of the targets are known."""
        end = self.ends[-1]
        return np.arange(max(self.ends[1], self.windowing.first, end - self.windowing.horizon + 1), end + 1)

    def _past(self, origins: np.ndarray) -> np.ndarray:
        return origins[:, None] + np.arange(-self.windowing.context, 0)

    def _future(self, origins: np.ndarray) -> np.ndarray:
        return origins[:, None] + np.arange(self.windowing.horizon)

    def base(self, origins: np.ndarray) -> np.ndarray:
        """The base of the forecasts, known at the origin: `(N, H)`."""
        horizon = self.windowing.horizon
        if self.windowing.relative == "season":
            return seasonal_naive(self.values, origins, horizon, self.windowing.season)
        one = {
            "none": lambda: np.full(len(origins), self.scaling.mean),
            "last": lambda: self.values[origins - 1],
            "window": lambda: self.values[self._past(origins)].mean(axis=1),
        }[self.windowing.relative]()
        return np.repeat(one[:, None], horizon, axis=1)

    def windows(self, origins: np.ndarray, number: int = 0) -> Windows:
        """The windows at these origins; `number` is the number of this series. Targets after the last date are NaN."""
        past, future = self._past(origins), self._future(origins)
        later = np.concatenate([past, future], axis=1)[:, 1:]
        base, past_base = self.base(origins), self.base(origins)[:, :1]
        known = [self.calendar[later]]
        if self.windowing.relative == "season":
            past_base = self.values[past - self.windowing.season]
            bases = np.concatenate([past_base, base], axis=1)[:, 1:]
            known.append(((bases - self.scaling.mean) / self.scaling.spread)[..., None])
        scale = np.full((len(origins), 1), self.scaling.scale)
        if self.windowing.relative == "window":
            own = self.values[past].std(axis=1, keepdims=True)
            scale = np.maximum(own, LEAST_WINDOW * self.scaling.spread)
        values = np.concatenate([self.values, np.full(self.windowing.horizon, np.nan)])
        return Windows(
            past=((values[past] - past_base) / scale).astype(np.float32),
            known=np.concatenate(known, axis=-1).astype(np.float32),
            extra=self.extra[past].astype(np.float32),
            covariates=self.covariates[later].astype(np.float32),
            targets=((values[future] - base) / scale).astype(np.float32),
            base=base,
            scale=scale,
            series=np.full(len(origins), number),
            origins=origins,
        )


def undone(scaled: np.ndarray, windows: Windows, log: bool) -> np.ndarray:
    """Normalised numbers `(N, H)` or `(N, H, Q)` converted back to the scale of the series."""
    base, scale = (leaf.reshape(*leaf.shape, *[1] * (scaled.ndim - 2)) for leaf in (windows.base, windows.scale))
    numbers = base + scale * scaled
    return np.exp(numbers) if log else numbers


def joined(windows: Sequence[Windows]) -> Windows:
    """The windows of several series, concatenated."""
    return Windows(*(np.concatenate(leaves) for leaves in zip(*windows, strict=True)))
