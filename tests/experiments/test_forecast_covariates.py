"""Known future inputs and static covariates: what the network and the regression read, and that it helps them."""

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
from sales_files import HORIZON, write

from experiments.forecast import train as training
from experiments.forecast.backtest import folds
from experiments.forecast.baselines import lags
from experiments.forecast.config import Forecast
from experiments.forecast.data import actual, lacking_known, prepare
from experiments.forecast.sources import load
from rnnjax.data.windows import undone
from rnnjax.forecasting import MEDIAN

# Share of the error that is left with the covariate: 0.12 and 0.37 were measured.
KNOWN, STATIC = 0.3, 0.6


def test_after_a_cut_off_the_known_columns_go_on(tmp_path):
    config = Forecast(
        source=str(write(tmp_path / "file.csv", known=0)),
        series=("shop",),
        known=("promo",),
        static=("size",),
        context=5,
        horizon=HORIZON,
        season=7,
        backtest=2,
    )
    first, last = (prepare(fold) for fold in folds(config, load(config)))
    (one, _), end = first.scaled, first.scaled[0].ends[-1]
    assert end == 108
    promo = (one.series.known[end : end + HORIZON] - one.scaling.known[0]) / one.scaling.known[1]
    np.testing.assert_allclose(one.covariates[end:], promo, rtol=1e-12)
    assert lacking_known(config, first) == ""
    assert "'north', 2001-05-01T00:00:00: expected numbers" in lacking_known(config, last)


def test_the_inputs_by_hand(tmp_path):
    config = Forecast(
        source=str(write(tmp_path / "file.csv")),
        series=("shop",),
        known=("promo", "price"),
        static=("climate",),
        context=5,
        horizon=HORIZON,
        season=7,
        extra=("visits",),
        calendar=("week",),
        relative="none",
    )
    parts = prepare(config)
    row = 40
    number, origin = parts.training.series[row], parts.training.origins[row]
    one = parts.scaled[number]
    scaled = (one.series.known - one.series.known[: one.ends[0]].mean(axis=0)) / one.series.known[: one.ends[0]].std(
        axis=0
    )
    week = one.calendar[:, :2]
    wanted = [
        [one.values[t], *week[t + 1], 1, 0, one.extra[t, 0], *scaled[t + 1 : t + 1 + HORIZON].ravel()]
        for t in range(origin - 5, origin)
    ]
    found = np.array(training.inputs_of(config, parts.training).past[row])
    found[:, 0] = found[:, 0] * one.scaling.scale + one.scaling.mean
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    recursive = dataclasses.replace(config, strategy="recursive", head="point", extra=())
    parts = prepare(recursive)
    inputs = training.inputs_of(recursive, parts.training)
    fed = [[*week[t + 1], 1, 0, *scaled[t + 1]] for t in (origin, origin + 1)]
    np.testing.assert_allclose(inputs.future[row], fed, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(inputs.past[row][:, 5:], scaled[origin - 4 : origin + 1], rtol=1e-5, atol=1e-5)
    # The regression reads the known columns of the steps to forecast, and of the steps whose values it reads.
    for order, first in ((2, 2), (5, 4)):
        read = lags(parts.training.take(np.array([row])), parts.windowing, order)[0]
        known = scaled[origin - first : origin + HORIZON].ravel()
        np.testing.assert_allclose(read[-len(known) :], known, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_without_the_options_everything_is_as_without_the_columns(strategy, tmp_path):
    """Inputs, scaling and first parameters have the bits that they had before there were such columns."""
    config = Forecast(
        source=str(write(tmp_path / "file.csv", known=0)),
        series=("shop",),
        context=5,
        horizon=HORIZON,
        season=7,
        hidden=4,
        relative="season",
        strategy=strategy,
        head="point",
    )
    parts = prepare(config)
    for windows in (parts.training, parts.validation, parts.test):
        found = training.inputs_of(config, windows)
        past = np.concatenate([windows.past[..., None], windows.known[:, :5], windows.extra], axis=-1)
        np.testing.assert_array_equal(found.past, past)
        np.testing.assert_array_equal(found.future, windows.known[:, 5:])
        season = windows.known[:, 5:, -1]
        np.testing.assert_array_equal(
            lags(windows, parts.windowing, 3),
            np.concatenate([windows.past[:, -3:], windows.known[:, 4], season], axis=1),
        )
    one = parts.scaled[0]
    np.testing.assert_array_equal(one.calendar, parts.table.frequency.calendar(one.dates, config.calendar))


def error_of(config):
    """The mean absolute error of the medians in the test part, of one trained seed."""
    parts = prepare(config)
    read = functools.partial(training.inputs_of, config)
    best = None
    for state, _ in training.train(config, read(parts.training), read(parts.validation)):
        best = training.own_seeds(config, state.carry.params)
    found = training.forecasts(config, best, parts.test)[0, ..., MEDIAN]
    return np.abs(undone(found, parts.test, config.log) - actual(parts, parts.test)).mean()


LEARNING: dict[str, Any] = {
    "series": ("shop",),
    **{"context": 4, "horizon": 2, "season": 7, "relative": "none", "calendar": (), "hidden": 12, "recurrence": "scan"},
    **{"epochs": 30, "patience": 30, "batch_size": 64, "learning_rate": 0.02, "statistical": False, "seeds": 1},
}


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_a_series_that_follows_a_known_column(strategy, tmp_path):
    rng = np.random.default_rng(0)
    promo, noise = rng.normal(size=300), 0.2 * rng.normal(size=300)
    rows = [f"{np.datetime64('2001-01-01') + t},a,{3 * promo[t] + noise[t]},{promo[t]}" for t in range(300)]
    path = tmp_path / "file.csv"
    path.write_text("\n".join(["date,shop,value,promo", *rows]) + "\n")
    head = "quantile" if strategy == "direct" else "point"
    config = Forecast(source=str(path), strategy=strategy, head=head, **LEARNING)
    without, known = error_of(config), error_of(dataclasses.replace(config, known=("promo",)))
    assert known < KNOWN * without, (known, without)


def test_series_whose_level_on_some_days_depends_on_a_static_column(tmp_path):
    """The level of all days is that of the scaling of each series, which every network knows."""
    rng = np.random.default_rng(0)
    rows = []
    for shop, (kind, level) in enumerate([("office", -8), ("park", 8)] * 3):
        for t in range(120):
            value = level * {1: 1, 4: -1}.get(t % 7, 0) + rng.normal()
            rows.append(f"{np.datetime64('2001-01-01') + t},shop {shop},{value},{kind}")
    path = tmp_path / "file.csv"
    path.write_text("\n".join(["date,shop,value,kind", *rows]) + "\n")
    config = Forecast(source=str(path), **LEARNING | {"calendar": ("week",), "context": 1, "horizon": 1})
    without, static = error_of(config), error_of(dataclasses.replace(config, static=("kind",)))
    assert static < STATIC * without, (static, without)


@pytest.mark.parametrize("name", ["extra", "known", "static"])
def test_a_source_that_has_no_such_columns(name):
    options: dict[str, Any] = {name: ("a", "b")}
    with pytest.raises(ValueError, match=f"{name}: expected no such columns with the source generated, got a, b"):
        load(Forecast(source="generated", **options))
