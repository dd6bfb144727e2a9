"""Windows of series: the past before an origin and the values after it, scaled using only the training part.

past  [origin - context, origin)      forecast  [origin, origin + horizon)
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from rnnjax.data.frequency import Cycle, Frequency
from rnnjax.data.series import Series, SeriesTable

# The smallest standard deviation that is not due to rounding, relative to the size of the numbers.
CONSTANT = 1e-9
# The smallest scale of a window, relative to the standard deviation of the training part.
LEAST_WINDOW = 0.05
Relative = Literal["none", "last", "season", "window"]


class Cuts(NamedTuple):
    """The first dates of the validation part and of the test part."""

    validation: np.datetime64
    test: np.datetime64

    def places(self, series: Series) -> tuple[int, int, int]:
        """The end index of each part of a series."""
        validation, test = np.searchsorted(series.dates, np.array(self))
        return int(validation), int(test), len(series.dates)


class Windows(NamedTuple):
    """N windows as inputs of a network: past and targets are `(number - base) / scale`; `undone` is the inverse."""

    past: np.ndarray  # (N, C)
    known: np.ndarray  # (N, C + H - 1, K): features known at the origin, for each step after the first of the past
    extra: np.ndarray  # (N, C, E)
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
    """

    context: int
    horizon: int
    season: int = 1
    relative: Relative = "none"
    log: bool = False
    cycles: tuple[Cycle, ...] = ()

    @property
    def first(self) -> int:
        """The first possible origin in a series."""
        return self.context + (self.season if self.relative == "season" else 0)


def cut_dates(table: SeriesTable, validation: float, test: float) -> Cuts:
    """The cut dates for these shares of all dates, the same for every series, so that no part contains later dates."""
    dates = np.unique(np.concatenate([series.dates for series in table.series]))
    places = [round(len(dates) * (1 - test - validation)), round(len(dates) * (1 - test))]
    return Cuts(*dates[np.minimum(places, len(dates) - 1)])


def seasonal_naive(values: np.ndarray, origins: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """For each step after each origin, the last known number that is a whole number of seasons earlier."""
    return values[np.maximum(origins[:, None] - season + np.arange(horizon) % season, 0)]


class Scaled:
    """A normalised series, from which windows are cut; mean, spread and scale are computed from its training part.

    Raises ValueError for a training part that is too short for a window, or constant, and for a logarithm of numbers
    that are not above 0.
    """

    def __init__(self, series: Series, windowing: Windowing, cuts: Cuts, frequency: Frequency):
        self.series, self.windowing = series, windowing
        self.ends = cuts.places(series)
        self._check(cuts)
        self.values = np.log(series.values) if windowing.log else series.values
        self.mean, self.spread = self._spread(self.values, "training part")
        self.extra = np.empty(series.extra.shape)
        for column, numbers in enumerate(series.extra.T):
            mean, spread = self._spread(numbers, f"training part of extra column {column + 1}")
            self.extra[:, column] = (numbers - mean) / spread
        # Calendar features are also known for the future, beyond the last date.
        self.dates = frequency.after(series.dates[0], np.arange(len(series.dates) + windowing.horizon))
        self.calendar = frequency.calendar(self.dates, windowing.cycles)
        self.scale = self._scale()

    def _check(self, cuts: Cuts) -> None:
        windowing, name = self.windowing, repr(self.series.name)
        if windowing.log and self.series.values.min() <= 0:
            row = int(np.argmax(self.series.values <= 0))
            raise ValueError(
                f"log: expected numbers above 0 in {name}, got {self.series.values[row]:g} at {self.series.dates[row]}"
            )
        if self.ends[0] < windowing.first + windowing.horizon:
            season = f", after a season of {windowing.season}," if windowing.first > windowing.context else ""
            raise ValueError(
                f"horizon: expected a context of {windowing.context}{season} and a horizon of {windowing.horizon} to "
                f"fit in the training part, got {self.ends[0]} dates of {name} before {cuts.validation}"
            )

    def _spread(self, numbers: np.ndarray, what: str) -> tuple[float, float]:
        train = numbers[: self.ends[0]]
        mean, spread = float(train.mean()), float(train.std())
        if spread <= CONSTANT * abs(mean):
            raise ValueError(f"expected the {what} of {self.series.name!r} to vary, got {mean:g} throughout")
        return mean, spread

    def _scale(self) -> float:
        if self.windowing.relative not in ("last", "season"):
            return self.spread
        origins = self.origins(0)
        scale = float(np.sqrt(np.mean((self.values[self._future(origins)] - self.base(origins)) ** 2)))
        if scale <= CONSTANT * self.spread:
            raise ValueError(
                f"relative: expected the training part of {self.series.name!r} to differ from its base, got a base "
                f"({self.windowing.relative}) that is equal to it everywhere"
            )
        return scale

    def origins(self, part: int) -> np.ndarray:
        """The origins with the whole horizon in a part (0 training, 1 validation, 2 test); the past may be earlier."""
        start = self.ends[part - 1] if part else 0
        return np.arange(max(start, self.windowing.first), self.ends[part] - self.windowing.horizon + 1)

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
            "none": lambda: np.full(len(origins), self.mean),
            "last": lambda: self.values[origins - 1],
            "window": lambda: self.values[self._past(origins)].mean(axis=1),
        }[self.windowing.relative]()
        return np.repeat(one[:, None], horizon, axis=1)

    def windows(self, origins: np.ndarray, number: int = 0) -> Windows:
        """The windows at these origins; `number` is the number of this series. Targets after the last date are NaN."""
        past, future = self._past(origins), self._future(origins)
        base, past_base = self.base(origins), self.base(origins)[:, :1]
        known = [self.calendar[np.concatenate([past, future], axis=1)[:, 1:]]]
        if self.windowing.relative == "season":
            past_base = self.values[past - self.windowing.season]
            bases = np.concatenate([past_base, base], axis=1)[:, 1:]
            known.append(((bases - self.mean) / self.spread)[..., None])
        scale = np.full((len(origins), 1), self.scale)
        if self.windowing.relative == "window":
            own = self.values[past].std(axis=1, keepdims=True)
            scale = np.maximum(own, LEAST_WINDOW * self.spread)
        values = np.concatenate([self.values, np.full(self.windowing.horizon, np.nan)])
        return Windows(
            past=((values[past] - past_base) / scale).astype(np.float32),
            known=np.concatenate(known, axis=-1).astype(np.float32),
            extra=self.extra[past].astype(np.float32),
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
