"""The baselines of statsmodels: what is updated without a new fit equals the library's own forecasts."""

import dataclasses
import functools
import re
import warnings
from typing import Any

import numpy as np
import pytest
from statsmodels.tsa.forecasting.theta import ThetaModel, ThetaModelResults
from statsmodels.tsa.statespace.exponential_smoothing import ExponentialSmoothing
from statsmodels.tsa.statespace.sarimax import SARIMAX

from experiments.forecast import baselines, statistical
from experiments.forecast.config import Forecast
from experiments.forecast.data import actual, prepare
from experiments.forecast.scores import naive_errors, score
from rnnjax.data.frequency import Frequency
from rnnjax.data.series import Series, SeriesTable

END, LENGTH, HORIZON, SEASON = 90, 140, 5, 7
ORIGINS = np.array([90, 91, 117, 140])
CONFIG = Forecast(source="generated", context=4, horizon=HORIZON, season=SEASON, calendar=())
# Of numbers near 1: 2e-12 was measured.
EQUAL = 1e-9


def values(seed=0):
    rng = np.random.default_rng(seed)
    steps = np.arange(LENGTH)
    return 20 + 0.05 * steps + 3 * np.sin(2 * np.pi * steps / SEASON) + np.cumsum(rng.normal(0, 0.3, LENGTH))


def parts_of(monkeypatch, *own, **options):
    days = Frequency("second", 86_400)
    dates = days.after(np.datetime64("2001-01-01"), np.arange(LENGTH))
    table = SeriesTable(tuple(Series(f"s{i}", dates, v, np.empty((LENGTH, 0))) for i, v in enumerate(own)), days)
    monkeypatch.setattr("experiments.forecast.data.load", lambda config: table)
    return prepare(dataclasses.replace(CONFIG, **options))


CASES = [(name, option) for name, options in statistical.candidates(SEASON).items() for option in options][:8]


@pytest.mark.quick("exponential*", "ARIMA-5")
@pytest.mark.parametrize(("name", "option"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)])
def test_the_state_of_a_model_is_updated_as_the_library_does(name, option):
    own = values()
    build: Any
    if name == "ARIMA":
        build = functools.partial(SARIMAX, **option)
    else:
        build = functools.partial(ExponentialSmoothing, initialization_method="heuristic", **option)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted: Any = build(own[:END]).fit(disp=False, maxiter=20)
        whole = build(own)
        whole.ssm.set_conserve_memory(statistical.STATES_ONLY)
        found = statistical.state_forecasts(whole.filter(fitted.params), ORIGINS, HORIZON)
        for row, origin in enumerate(ORIGINS):
            wanted = fitted.append(own[END:origin]).forecast(HORIZON) if origin > END else fitted.forecast(HORIZON)
            np.testing.assert_allclose(found[row], wanted, rtol=EQUAL)


@pytest.mark.parametrize("option", [{"period": SEASON, "deseasonalize": True}, {"period": 1, "deseasonalize": False}])
def test_the_theta_method_is_updated_with_the_parameters_of_the_training_part(option):
    own = values()
    found = statistical.theta_forecasts(own, END, ORIGINS, HORIZON, **option)
    model = ThetaModel(own[:END], method="additive", **option)
    fitted = model.fit()
    np.testing.assert_allclose(found[0], fitted.forecast(HORIZON), rtol=EQUAL)
    slope, alpha = fitted.params
    season = fitted._seasonal if option["deseasonalize"] else np.zeros(1)
    for row, origin in enumerate(ORIGINS[1:], start=1):
        # The library's own results, of a model of more values with the same parameters.
        level = own[0] - season[0]
        for t in range(origin):
            level = alpha * (own[t] - season[t % option["period"]]) + (1 - alpha) * level
        later = ThetaModel(own[:origin], method="additive", **option)
        later._has_seasonality = option["deseasonalize"]
        wanted = ThetaModelResults(slope, alpha, None, level, season, False, later).forecast(HORIZON)
        np.testing.assert_allclose(found[row], wanted, rtol=EQUAL)


def test_the_naive_baselines_are_those_of_the_library():
    own, origins = values(), np.array([40, 77])
    seasonal = baselines.seasonal_naive(own, origins, HORIZON, SEASON)
    for row, origin in enumerate(origins):
        last = SARIMAX(own[:origin], order=(0, 1, 0)).filter([1.0]).forecast(HORIZON)
        np.testing.assert_allclose(baselines.last_value(own, origins, HORIZON)[row], last, rtol=EQUAL)
        season = (
            SARIMAX(own[:origin], order=(0, 0, 0), seasonal_order=(0, 1, 0, SEASON)).filter([1.0]).forecast(HORIZON)
        )
        np.testing.assert_allclose(seasonal[row], season, rtol=EQUAL)
        slope = np.diff(own[:origin]).mean()
        drift = SARIMAX(own[:origin], order=(0, 1, 0), trend="c").filter([slope, 1.0]).forecast(HORIZON)
        np.testing.assert_allclose(baselines.drift(own, origins, HORIZON)[row], drift, rtol=EQUAL)


def test_a_seasonal_series_is_forecast_better_than_by_the_naive_ones(monkeypatch):
    parts = parts_of(monkeypatch, values(0), values(1) * 9)
    found, fits = statistical.statistical_forecasts(parts, parts.test)
    naive, truth = naive_errors(parts, parts.test), actual(parts, parts.test)
    others = baselines.naive_forecasts(parts, parts.test)
    least = min(score(forecast, truth, naive).mase for forecast in others.values())
    assert list(found) == ["exponential smoothing", "ARIMA", "theta"]
    for forecast in found.values():
        assert score(forecast, truth, naive).mase < least
    assert [(fit.forecast, fit.series) for fit in fits if fit.chosen] == [
        (n, one) for one in ("s0", "s1") for n in found
    ]


def test_logarithms_are_undone(monkeypatch):
    parts = parts_of(monkeypatch, np.exp(values() / 10), log=True)
    plain = parts_of(monkeypatch, values() / 10)
    found, _ = statistical.statistical_forecasts(parts, parts.test)
    wanted, _ = statistical.statistical_forecasts(plain, plain.test)
    # Of the others, another one may be chosen: the validation part is scored in the units of the source.
    np.testing.assert_allclose(found["theta"], np.exp(wanted["theta"]), rtol=EQUAL)


def test_what_failed_or_did_not_converge_is_told(monkeypatch):
    parts = parts_of(monkeypatch, values())
    plain = statistical._forecasts

    def patched(name, option, one, origins):
        if name == "theta" or option.get("order") == (1, 1, 1):
            raise np.linalg.LinAlgError("singular")
        forecast, _ = plain(name, option, one, origins)
        if option.get("order") == (2, 1, 2):
            forecast[-1, -1] = np.nan
        return forecast, "seasonal" not in option

    monkeypatch.setattr(statistical, "_forecasts", patched)
    found, fits = statistical.statistical_forecasts(parts, parts.test)
    assert list(found) == ["exponential smoothing", "ARIMA"]
    assert [fit.problem for fit in fits if fit.forecast == "theta"] == ["failed: singular"]
    assert [(fit.problem, fit.chosen) for fit in fits if fit.model == "order (2, 1, 2)"] == [
        ("gave forecasts that are not finite", False)
    ]
    words = statistical.fit_words(fits)
    assert "; 1 of 1 fits: 's0' with period 7, deseasonalize True failed: singular" in words
    assert "theta, chosen by the validation part: none" in words
    assert re.search(
        r"smoothing, chosen .*: .* \(1 series\); 2 of 4 fits: 's0' with seasonal 7 did not converge", words
    )


def test_the_season_is_left_out_where_it_is_too_long_for_the_training_part(monkeypatch):
    short = parts_of(monkeypatch, values(), season=20, relative="none")
    _, fits = statistical.statistical_forecasts(short, short.test)
    assert not any("seasonal" in fit.model.split() for fit in fits)
    assert [fit.model for fit in fits if fit.forecast == "theta"] == ["period 1, deseasonalize False"]
    assert statistical.can_be_fitted(short)
