"""What a forecast must be better than: the last value, the season's, the drift, and a linear autoregression."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from experiments.forecast.data import Parts, actual, scaled_parts
from experiments.forecast.scores import naive_errors, score
from rnnjax.data.windows import Relative, Windowing, Windows, seasonal_naive, undone

# Of the autoregression: shares of the mean square of its standardised inputs.
PENALTIES = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)


def last_value(values: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
    """The last number before each origin, for every step."""
    return np.repeat(values[origins - 1][:, None], horizon, axis=1)


def drift(values: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
    """The straight line through the first number of the series and the last before each origin, drawn on."""
    slope = (values[origins - 1] - values[0]) / np.maximum(origins - 1, 1)
    return values[origins - 1][:, None] + slope[:, None] * np.arange(1, horizon + 1)


def naive_forecasts(parts: Parts, of: Windows) -> dict[str, np.ndarray]:
    """The forecasts `(N, H)` of those that learn nothing."""
    horizon, season = parts.windowing.horizon, parts.windowing.season
    rules: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "last value": lambda values, origins: last_value(values, origins, horizon),
        "seasonal naive": lambda values, origins: seasonal_naive(values, origins, horizon, season),
        "drift": lambda values, origins: drift(values, origins, horizon),
    }
    found = {}
    for name, rule in rules.items():
        found[name] = np.empty((len(of.origins), horizon))
        for number, series in enumerate(parts.table.series):
            rows = of.series == number
            found[name][rows] = rule(series.values, of.origins[rows])
    return found


class Ridge(NamedTuple):
    """Least squares of standardised inputs, with a penalty on the squared weights."""

    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray  # (F, H)
    constant: np.ndarray  # (H,)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs - self.mean) / self.spread @ self.weights + self.constant


def fits(inputs: np.ndarray, targets: np.ndarray) -> list[Ridge]:
    """A regression of targets `(N, H)` on inputs `(N, F)` for each of `PENALTIES`.

    weights = argmin mean (y - x W)^2 + penalty * |W|^2
    """
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    constant = targets.mean(axis=0)
    standard = (inputs - mean) / spread
    # The least penalty is far above what is lost by squaring.
    values, vectors = np.linalg.eigh(standard.T @ standard / len(inputs))
    projected = vectors.T @ (standard.T @ (targets - constant)) / len(inputs)

    def weights(penalty: float) -> np.ndarray:
        return vectors @ (projected / (np.maximum(values, 0) + penalty)[:, None])

    return [Ridge(mean, spread, weights(penalty), constant) for penalty in PENALTIES]


class Autoregression(NamedTuple):
    """A linear autoregression, a regression for each step ahead, on windows of its own scaling."""

    relative: Relative
    order: int  # how many of the last steps it reads
    penalty: float
    models: list[Ridge]  # one for all series, or one for each

    @property
    def per_series(self) -> bool:
        """Whether each series has its own."""
        return len(self.models) > 1

    def __call__(self, of: Windows, windowing: Windowing) -> np.ndarray:
        """Forecasts `(N, H)` in the numbers of the source, from windows of its scaling."""
        inputs = lags(of, windowing, self.order)
        found = self.models[0](inputs)
        if self.per_series:
            for number, model in enumerate(self.models):
                found[of.series == number] = model(inputs[of.series == number])
        return undone(found, of, windowing.log)


def lags(of: Windows, windowing: Windowing, order: int) -> np.ndarray:
    """What the network knows of the last `order` steps of each window, side by side `(N, F)`.

    Of the calendar, the first step that is forecast: the sines and cosines of all others are linear in its own. Of the
    numbers a season before, those of every step that is forecast.
    """
    count = len(of.origins)
    parts = [of.past[:, -order:], of.known[:, windowing.context - 1], of.extra[:, -order:].reshape(count, -1)]
    if windowing.relative == "season":
        parts.append(of.known[:, windowing.context :, -1])
    return np.concatenate(parts, axis=1, dtype=np.float64)


def orders(context: int) -> list[int]:
    """The whole context, half of it, and so on."""
    return [context] if context == 1 else [context, *orders(context // 2)]


def rescaled(parts: Parts) -> dict[Relative, Parts]:
    """The parts in each scaling that fits wherever their own does."""
    names: tuple[Relative, ...] = ("none", "last", "window")
    found: dict[Relative, Parts] = {parts.windowing.relative: parts}
    for name in names:
        if name not in found:
            windowing = dataclasses.replace(parts.windowing, relative=name)
            found[name] = scaled_parts(parts.table, parts.cuts, windowing)
    return found


class Linear(NamedTuple):
    """The linear autoregression that is compared with, and its windows' scaling of every series."""

    model: Autoregression
    parts: Parts

    def __call__(self, of: Windows) -> np.ndarray:
        """Forecasts `(N, H)` in the numbers of the source, from the origins of windows of any scaling."""
        found = np.empty(of.base.shape)
        for number, one in enumerate(self.parts.scaled):
            rows = of.series == number
            found[rows] = self.model(one.windows(of.origins[rows], number), self.parts.windowing)
        return found


def linear_autoregression(parts: Parts) -> Linear:
    """Learnt on the training part; scaling, order, penalty, and whether all series share one, by the validation part's
    MASE."""
    every = rescaled(parts)
    model = min((found for own in every.values() for found in _tried(own)), key=lambda pair: pair[0])[1]
    return Linear(model, every[model.relative])


class Remainder(NamedTuple):
    """Windows whose base is the linear autoregression's forecast, and whose scale is its error in the training part.

    A network that reads them forecasts what the linear one leaves over. Source: Zhang 2003, "Time series forecasting
    using a hybrid ARIMA and neural network model".
    """

    linear: Linear
    spread: np.ndarray  # of each series

    @classmethod
    def of(cls, linear: Linear, training: Windows) -> "Remainder":
        """From the training part."""
        series = range(len(linear.parts.scaled))
        own = cls(linear, np.ones(len(series)))(training).targets
        return cls(linear, np.array([np.sqrt(np.mean(own[training.series == number] ** 2.0)) for number in series]))

    def __call__(self, of: Windows) -> Windows:
        """The same windows, but for base, scale and targets."""
        numbers = of.base + of.scale * of.targets
        base = np.log(self.linear(of)) if self.linear.parts.windowing.log else self.linear(of)
        scale = self.spread[of.series][:, None]
        return of._replace(base=base, scale=scale, targets=((numbers - base) / scale).astype(np.float32))


def _tried(parts: Parts) -> Iterator[tuple[float, Autoregression]]:
    training, validation, windowing = parts.training, parts.validation, parts.windowing
    shared, own = [training], list[Windows]()
    if len(parts.scaled) > 1:
        own = [training.take(training.series == number) for number in range(len(parts.scaled))]
    truth, naive = actual(parts, validation), naive_errors(parts)[validation.series]
    for order in orders(windowing.context):
        for groups in (shared, own) if own else (shared,):
            fitted = [fits(lags(group, windowing, order), group.targets.astype(np.float64)) for group in groups]
            for i, penalty in enumerate(PENALTIES):
                model = Autoregression(windowing.relative, order, penalty, [models[i] for models in fitted])
                yield score(model(validation, windowing), truth, naive).mase, model


def baseline_forecasts(parts: Parts, linear: Linear, of: Windows) -> dict[str, np.ndarray]:
    """The forecasts `(N, H)` of all baselines, in the numbers of the source."""
    return naive_forecasts(parts, of) | {"linear autoregression": linear(of)}
