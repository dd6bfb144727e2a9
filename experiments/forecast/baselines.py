"""The baselines of a forecast: last value, seasonal naive, drift, and linear autoregression."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from experiments.forecast.data import Parts, actual, scaled_parts
from experiments.forecast.scores import naive_errors, score
from rnnjax.data.windows import CONSTANT, Relative, Windowing, Windows, seasonal_naive, undone

# Penalties of the autoregression, relative to the mean square of its standardised inputs.
PENALTIES = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)


def last_value(values: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
    """The last value before each origin, for every step."""
    return np.repeat(values[origins - 1][:, None], horizon, axis=1)


def drift(values: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
    """The extrapolated line through the first value of the series and the last value before each origin."""
    slope = (values[origins - 1] - values[0]) / np.maximum(origins - 1, 1)
    return values[origins - 1][:, None] + slope[:, None] * np.arange(1, horizon + 1)


def naive_forecasts(parts: Parts, of: Windows) -> dict[str, np.ndarray]:
    """The forecasts `(N, H)` of the baselines without training."""
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
    """A ridge regression: least squares on standardised inputs, with a penalty on the squared weights."""

    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray  # (F, H)
    constant: np.ndarray  # (H,)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs - self.mean) / self.spread @ self.weights + self.constant


def fits(inputs: np.ndarray, targets: np.ndarray) -> list[Ridge]:
    """A ridge regression of targets `(N, H)` on inputs `(N, F)` for each of `PENALTIES`.

    weights = argmin mean (y - x W)^2 + penalty * |W|^2
    """
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    constant = targets.mean(axis=0)
    standard = (inputs - mean) / spread
    # The smallest penalty is far above the rounding error of the squared matrix.
    values, vectors = np.linalg.eigh(standard.T @ standard / len(inputs))
    projected = vectors.T @ (standard.T @ (targets - constant)) / len(inputs)

    def weights(penalty: float) -> np.ndarray:
        return vectors @ (projected / (np.maximum(values, 0) + penalty)[:, None])

    return [Ridge(mean, spread, weights(penalty), constant) for penalty in PENALTIES]


class Autoregression(NamedTuple):
    """A linear autoregression: one regression for each step ahead, on windows with their own scaling."""

    relative: Relative
    order: int  # number of last steps that it reads
    penalty: float
    models: list[Ridge]  # one for all series, or one for each series

    @property
    def per_series(self) -> bool:
        """Whether each series has its own model."""
        return len(self.models) > 1

    def __call__(self, of: Windows, windowing: Windowing) -> np.ndarray:
        """Forecasts `(N, H)` in the units of the source, from windows with the scaling of the model."""
        inputs = lags(of, windowing, self.order)
        found = self.models[0](inputs)
        if self.per_series:
            for number, model in enumerate(self.models):
                found[of.series == number] = model(inputs[of.series == number])
        return undone(found, of, windowing.log)


def lags(of: Windows, windowing: Windowing, order: int) -> np.ndarray:
    """The inputs of the regression `(N, F)`: what the network reads of the last `order` steps of each window.

    The calendar features are those of the first forecast step: those of the other steps are linear in them. The values
    one season earlier and the known columns are included for every forecast step, the latter also for the last steps.
    """
    count, extra = len(of.origins), of.extra.shape[-1]
    parts = [of.past[:, -order:], of.known[:, windowing.context - 1]]
    parts.append(of.extra[:, -order:].reshape(count, order * extra))
    if windowing.relative == "season":
        parts.append(of.known[:, windowing.context :, -1])
    covariates = of.covariates[:, max(windowing.context - 1 - order, 0) :]
    parts.append(covariates.reshape(count, covariates.shape[1] * covariates.shape[2]))
    return np.concatenate(parts, axis=1, dtype=np.float64)


def orders(context: int) -> list[int]:
    """The orders that are tried: the whole context, half of it, and so on down to 1."""
    return [context] if context == 1 else [context, *orders(context // 2)]


def rescaled(parts: Parts) -> dict[Relative, Parts]:
    """The parts in their own scaling, and in all other scalings that are always possible."""
    names: tuple[Relative, ...] = ("none", "last", "window")
    found: dict[Relative, Parts] = {parts.windowing.relative: parts}
    for name in names:
        if name not in found:
            windowing = dataclasses.replace(parts.windowing, relative=name)
            found[name] = scaled_parts(parts.table, parts.cuts, windowing)
    return found


class Linear(NamedTuple):
    """The linear autoregression, and the parts in its scaling."""

    model: Autoregression
    parts: Parts

    def __call__(self, of: Windows) -> np.ndarray:
        """Forecasts `(N, H)` in the units of the source, from the origins of windows with any scaling."""
        found = np.empty(of.base.shape)
        for number, one in enumerate(self.parts.scaled):
            rows = of.series == number
            found[rows] = self.model(one.windows(of.origins[rows], number), self.parts.windowing)
        return found


def linear_autoregression(parts: Parts) -> Linear:
    """The linear autoregression, fitted to the training part.

    Scaling, order, penalty, and whether all series share one model are chosen by the MASE of the validation part.
    """
    every = rescaled(parts)
    model = min((found for own in every.values() for found in _tried(own)), key=lambda pair: pair[0])[1]
    return Linear(model, every[model.relative])


class Remainder(NamedTuple):
    """Makes windows whose targets are the residuals of the linear autoregression.

    Their base is its forecast, and their scale is its error in the training part. Source: Zhang 2003, "Time series
    forecasting using a hybrid ARIMA and neural network model".
    """

    linear: Linear
    spread: np.ndarray  # of each series

    @classmethod
    def of(cls, linear: Linear, training: Windows) -> "Remainder":
        """The remainder of this autoregression, with the scales of the training part."""
        series = range(len(linear.parts.scaled))
        own = cls(linear, np.ones(len(series)))(training).targets.astype(np.float64)
        spread = np.array([np.sqrt(np.mean(own[training.series == number] ** 2)) for number in series])
        scale = np.array([one.scaling.scale for one in linear.parts.scaled])
        # A constant series that is kept has no residuals.
        return cls(linear, np.where(spread > CONSTANT * scale, spread, scale))

    def __call__(self, of: Windows) -> Windows:
        """The windows with another base, scale and targets."""
        numbers = of.base + of.scale * of.targets
        base = np.log(self.linear(of)) if self.linear.parts.windowing.log else self.linear(of)
        scale = self.spread[of.series][:, None]
        return of._replace(base=base, scale=scale, targets=((numbers - base) / scale).astype(np.float32))


def network_parts(parts: Parts, remainder: Remainder | None) -> Parts:
    """The parts with the windows of the network: those of the remainder, if there is one."""
    return parts if remainder is None else parts.map(remainder)


def _tried(parts: Parts) -> Iterator[tuple[float, Autoregression]]:
    training, validation, windowing = parts.training, parts.validation, parts.windowing
    shared, own = [training], list[Windows]()
    if len(parts.scaled) > 1:
        own = [training.take(training.series == number) for number in range(len(parts.scaled))]
    truth, naive = actual(parts, validation), naive_errors(parts, validation)
    for order in orders(windowing.context):
        for groups in (shared, own) if own else (shared,):
            fitted = [fits(lags(group, windowing, order), group.targets.astype(np.float64)) for group in groups]
            for i, penalty in enumerate(PENALTIES):
                model = Autoregression(windowing.relative, order, penalty, [models[i] for models in fitted])
                yield score(model(validation, windowing), truth, naive).mase, model


def baseline_forecasts(parts: Parts, linear: Linear, of: Windows) -> dict[str, np.ndarray]:
    """The forecasts `(N, H)` of all baselines, in the units of the source."""
    return naive_forecasts(parts, of) | {"linear autoregression": linear(of)}
