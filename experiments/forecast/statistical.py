"""Exponential smoothing, ARIMA and the Theta method of statsmodels, as baselines.

Each is fitted once to the end of the training part; later values update its state, and not its parameters. Sources:
Hyndman et al. 2008, "Forecasting with Exponential Smoothing"; Box and Jenkins 1970, "Time Series Analysis";
Assimakopoulos and Nikolopoulos 2000, "The theta model".
"""

import collections
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.forecast.data import Parts
from rnnjax.commands import printable
from rnnjax.data.windows import Scaled, Windows
from rnnjax.errors import first_line
from rnnjax.extras import extra

with extra("series"):
    from statsmodels.tsa.forecasting.theta import ThetaModel
    from statsmodels.tsa.statespace.exponential_smoothing import ExponentialSmoothing
    from statsmodels.tsa.statespace.kalman_filter import (
        MEMORY_NO_FILTERED,
        MEMORY_NO_GAIN,
        MEMORY_NO_PREDICTED_COV,
        MEMORY_NO_SMOOTHING,
    )
    from statsmodels.tsa.statespace.sarimax import SARIMAX
    from threadpoolctl import threadpool_limits

# The last values of the training part that are fitted, and the longest season: more take minutes.
MOST_FITTED, LONGEST_SEASON = 1_000, 60
# Exponential smoothing starts from the first five seasons, or ten values.
LEAST_SEASONS, LEAST_VALUES = 5, 10
MOST_SHOWN = 5
STATES_ONLY = MEMORY_NO_FILTERED | MEMORY_NO_GAIN | MEMORY_NO_PREDICTED_COV | MEMORY_NO_SMOOTHING


class Fit(NamedTuple):
    """What became of the fit of one model to one series."""

    forecast: str  # the baseline
    series: str
    model: str
    chosen: bool  # by the validation part
    problem: str = ""  # that it did not converge, or the error


def candidates(season: int) -> dict[str, list[dict[str, Any]]]:
    """The options of all models that are tried, by baseline; a season of 1 is none."""
    damped: dict[str, Any] = {"trend": True, "damped_trend": True}
    ets: list[dict[str, Any]] = [{}, damped]
    arima: list[dict[str, Any]] = [{"order": (2, 0, 1), "trend": "c"}, {"order": (1, 1, 1)}, {"order": (2, 1, 2)}]
    if season > 1:
        ets += [{"seasonal": season}, {**damped, "seasonal": season}]
        arima.append({"order": (1, 0, 1), "seasonal_order": (0, 1, 0, season)})
    return {"exponential smoothing": ets, "ARIMA": arima, "theta": [{"period": season, "deseasonalize": season > 1}]}


def can_be_fitted(parts: Parts) -> bool:
    """Whether every series that is scored has a validation part, and enough values before it."""
    scored = [parts.scaled[number] for number in np.unique(parts.test.series)]
    return all(len(one.origins(1)) and one.ends[0] >= LEAST_VALUES for one in scored)


def statistical_forecasts(parts: Parts, of: Windows) -> tuple[dict[str, np.ndarray], list[Fit]]:
    """Forecasts `(N, H)` in the units of the source, by baseline, and what became of every fit.

    The validation part chooses the model of each series. A baseline without any model for some series is left out.
    """
    found: dict[str, np.ndarray] = {}
    fits: list[Fit] = []
    with threadpool_limits(1):  # threads are slower than one for matrices of this size
        for number, one in enumerate(parts.scaled):
            season = parts.windowing.season
            fitted = min(one.ends[0], MOST_FITTED)
            season = season if season <= min(LONGEST_SEASON, fitted // LEAST_SEASONS) else 1
            rows = of.series == number
            if not rows.any():
                continue
            for name, options in candidates(season).items():
                best, tried = _best(name, options, one, of.origins[rows])
                fits += tried
                if best is not None:
                    found.setdefault(name, np.full((len(of.origins), parts.windowing.horizon), np.nan))[rows] = best
    # NaN where a series has no model.
    return {name: forecast for name, forecast in found.items() if np.isfinite(forecast).all()}, fits


def _best(
    name: str, options: Sequence[Mapping[str, Any]], one: Scaled, origins: np.ndarray
) -> tuple[np.ndarray | None, list[Fit]]:
    """The forecasts of the model with the lowest error in the validation part, and all fits."""
    validation, horizon = one.origins(1), one.windowing.horizon
    truth = one.series.values[validation[:, None] + np.arange(horizon)]
    best, least, fits = None, np.inf, list[Fit]()
    for option in options:
        words = ", ".join(f"{key} {value}" for key, value in option.items()) or "level"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what matters is told by `problem`
                forecast, converged = _forecasts(name, option, one, np.concatenate([validation, origins]))
        except (ValueError, IndexError, np.linalg.LinAlgError, ZeroDivisionError) as error:
            fits.append(Fit(name, one.series.name, words, False, f"failed: {first_line(error)}"))
            continue
        if not np.isfinite(forecast).all():
            fits.append(Fit(name, one.series.name, words, False, "gave forecasts that are not finite"))
            continue
        error = float(np.abs(forecast[: len(validation)] - truth).mean())
        fits.append(Fit(name, one.series.name, words, False, "" if converged else "did not converge"))
        if error < least:
            best, least = (len(fits) - 1, forecast[len(validation) :]), error
    if best is None:
        return None, fits
    fits[best[0]] = fits[best[0]]._replace(chosen=True)
    return best[1], fits


def _forecasts(name: str, option: Mapping[str, Any], one: Scaled, origins: np.ndarray) -> tuple[np.ndarray, bool]:
    """Forecasts `(N, H)` in the units of the source, and whether the fit converged."""
    end, scaling = one.ends[0], one.scaling
    first = max(0, end - MOST_FITTED)
    # Later values change nothing earlier; the numbers are normalised for the optimizer.
    values = (one.values[first:] - scaling.mean) / scaling.spread
    steps, horizon = origins - first, one.windowing.horizon
    if name == "theta":
        forecast, converged = theta_forecasts(values, end - first, steps, horizon, **option), True
    else:
        kind = ExponentialSmoothing if name == "exponential smoothing" else SARIMAX
        start = {"initialization_method": "heuristic"} if kind is ExponentialSmoothing else {}
        results: Any = kind(values[: end - first], **start, **option).fit(disp=False)
        converged = bool(results.mle_retvals["converged"])
        applied: Any = kind(values, **start, **option)
        applied.ssm.set_conserve_memory(STATES_ONLY)
        forecast = state_forecasts(applied.filter(results.params), steps, horizon)
    forecast = forecast * scaling.spread + scaling.mean
    return np.exp(forecast) if one.windowing.log else forecast, converged


def fit_words(fits: Sequence[Fit]) -> str:
    """A line for each baseline: the models that were chosen, and every fit that failed or did not converge."""
    lines = []
    for name in dict.fromkeys(fit.forecast for fit in fits):
        own = [fit for fit in fits if fit.forecast == name]
        chosen = collections.Counter(fit.model for fit in own if fit.chosen)
        words = "; ".join(f"{model} ({count} series)" for model, count in chosen.items()) or "none"
        problems = [f"{fit.series!r} with {fit.model} {fit.problem}" for fit in own if fit.problem]
        more = f"; {len(problems)} of {len(own)} fits: {', '.join(problems[:MOST_SHOWN])}" if problems else ""
        lines.append(printable(f"{name}, chosen by the validation part: {words}{more}"))
    return "\n".join(lines)


def state_forecasts(results: Any, origins: np.ndarray, horizon: int) -> np.ndarray:
    """Forecasts `(N, H)` from the predicted states of a model whose matrices do not change with time.

    y = d + Z s,  s' = c + T s
    """
    found, filtered = np.empty((len(origins), horizon)), results.filter_results
    design, intercept = filtered.design[..., 0], filtered.obs_intercept[:, 0]
    transition, constant = filtered.transition[..., 0], filtered.state_intercept[:, 0]
    state = filtered.predicted_state[:, origins]
    for step in range(horizon):
        found[:, step] = (intercept[:, None] + design @ state)[0]
        state = constant[:, None] + transition @ state
    return found


def theta_forecasts(values: np.ndarray, end: int, origins: np.ndarray, horizon: int, **option: Any) -> np.ndarray:
    """Forecasts `(N, H)` of the Theta method: exponential smoothing of deseasonalised values, and half of their trend.

        forecast = level + b/2 (h - 1 + 1/alpha - (1 - alpha)^n / alpha)      n values before the origin

    Slope b, alpha and season are those of the first `end` values.
    """
    results: Any = ThetaModel(values[:end], method="additive", **option).fit()
    slope, alpha = results.params
    period = option["period"]
    season = results._seasonal if len(results._seasonal) else np.zeros(period)  # 0 if a test finds no season
    plain = values - season[np.arange(len(values)) % period]
    smoothing = ExponentialSmoothing(plain, initialization_method="known", initial_level=plain[0])
    level = state_forecasts(smoothing.filter([alpha]), origins, 1)
    ahead = np.arange(1, horizon + 1) - 1 + ((1 - (1 - alpha) ** origins) / alpha)[:, None]
    return level + slope / 2 * ahead + season[(origins[:, None] + np.arange(horizon)) % period]
