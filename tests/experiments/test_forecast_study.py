"""Forecasts: nothing of the future is used, and baselines are what they are by hand."""

import dataclasses
import importlib.util
import sys
from typing import Any

import jax
import numpy as np
import pytest

from experiments.forecast import __main__ as forecast
from experiments.forecast import baselines, sources
from experiments.forecast import train as training
from experiments.forecast.config import Forecast
from experiments.forecast.data import actual, prepare
from experiments.forecast.network import calibration_of, network_forecasts
from experiments.forecast.results import FROM, evaluate, interval_table
from rnnjax.data.frequency import Frequency
from rnnjax.data.series import Series, SeriesTable
from rnnjax.data.windows import undone
from rnnjax.forecasting import MEDIAN
from rnnjax.training import DivergedError

DAYS = Frequency("second", 86_400)
LENGTH = 80
TINY = Forecast(
    source="generated",
    context=4,
    horizon=3,
    season=5,
    calendar=("week",),
    hidden=4,
    recurrence="scan",
    paths=5,
    epochs=2,
    batch_size=16,
    seeds=2,
    learning_rate=0.02,
    statistical=False,
)


def table(*values, extra=False):
    """Series of these values, on days; another column goes with each where there is to be one."""
    dates = DAYS.after(np.datetime64("2001-01-01"), np.arange(len(values[0])))
    series = [
        Series(f"series {i}", dates, np.asarray(own, float), np.sin(np.asarray(own, float))[:, None][:, : int(extra)])
        for i, own in enumerate(values)
    ]
    return SeriesTable(tuple(series), DAYS)


def noise(seed):
    return np.random.default_rng(seed).normal(10, 1, LENGTH)


def prepared(monkeypatch, config, *values):
    monkeypatch.setitem(sources.SOURCES, "generated", lambda fill: table(*values, extra=bool(config.extra)))
    return prepare(config)


def remainders(parts, linear):
    """The parts as a network reads them that forecasts what the linear autoregression leaves over."""
    return baselines.network_parts(parts, baselines.Remainder.of(linear, parts.training))


def trained(config, parts):
    """The parameters of every seed's best epoch, and all epochs."""
    epochs: list[Any] = []
    best: Any = None
    for state, epoch in training.train(
        config, training.inputs_of(config, parts.training), training.inputs_of(config, parts.validation)
    ):
        best = state.carry.params
        epochs.append(epoch)
    return training.own_seeds(config, best), epochs


def outcome_of(config, parts, linear, params):
    calibration = calibration_of(config, parts, params)
    return evaluate(config, parts, linear, network_forecasts(config, parts, params, calibration))


STRATEGIES = {
    "direct": dataclasses.replace(
        TINY, head="quantile", linear=True, relative="season", extra=("one",), statistical=True
    ),
    "recursive": dataclasses.replace(TINY, head="gaussian", strategy="recursive", relative="last"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_the_future_changes_nothing_in_the_past(name, monkeypatch):
    config = dataclasses.replace(STRATEGIES[name], seeds=1)
    values = [noise(0), noise(1)]
    parts = prepared(monkeypatch, config, *values)
    # From here on both series are others: after the first windows of the test part.
    origin = parts.scaled[0].ends[1] + 3
    changed = prepared(monkeypatch, config, *[np.where(np.arange(LENGTH) < origin, own, -own) for own in values])
    linear, other_linear = map(baselines.linear_autoregression, (parts, changed))
    if config.linear:
        parts, changed = remainders(parts, linear), remainders(changed, other_linear)
    params, epochs = trained(config, parts)
    others, other_epochs = trained(config, changed)
    jax.tree.map(np.testing.assert_array_equal, params, others)
    np.testing.assert_array_equal(epochs[-1].validation, other_epochs[-1].validation)
    known = parts.test.origins <= origin
    before, after = outcome_of(config, parts, linear, params), outcome_of(config, changed, other_linear, params)
    for one, other in [
        *zip(before.baselines.values(), after.baselines.values(), strict=True),
        *zip(before.quantiles, after.quantiles, strict=True),
        (before.mean, after.mean),
    ]:
        np.testing.assert_array_equal(one[known], other[known])
        # The very next origin knows one number that is another.
        assert np.abs(one[~known] - other[~known]).max() > 0.1
    assert np.abs(before.actual[known] - after.actual[known]).max() > 1


@pytest.mark.slow
def test_one_step_ahead_recursive_is_direct(monkeypatch):
    config = dataclasses.replace(TINY, head="gaussian", horizon=1, seeds=1)
    parts = prepared(monkeypatch, config, noise(0))
    (params, epochs), (others, other_epochs) = (
        trained(dataclasses.replace(config, strategy=strategy), parts) for strategy in ("direct", "recursive")
    )
    jax.tree.map(np.testing.assert_array_equal, params, others)
    np.testing.assert_array_equal(epochs[-1].training, other_epochs[-1].training)
    np.testing.assert_array_equal(
        training.forecasts(config, params, parts.test),
        training.forecasts(dataclasses.replace(config, strategy="recursive"), params, parts.test),
    )


@pytest.mark.slow
def test_each_seed_is_as_if_it_were_alone_and_keeps_its_best_epoch(monkeypatch):
    config = dataclasses.replace(TINY, seeds=3, epochs=12, patience=2, learning_rate=0.3)
    parts = prepared(monkeypatch, config, noise(0))
    params, epochs = trained(config, parts)
    alone, own = trained(dataclasses.replace(config, seeds=1, seed=1), parts)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b[0], rtol=1e-5, atol=1e-6), params, alone)
    validation = np.stack([epoch.validation for epoch in epochs])
    for row, best in enumerate(epochs[-1].best):
        # Whoever has not become better for so many epochs is through, whatever the others do.
        waited = [np.argmin(validation[: end + 1, row]) + 1 for end in range(len(validation))]
        ends = next((i for i, best in enumerate(waited) if i + 1 - best >= config.patience), len(validation) - 1)
        assert best == waited[ends]
    assert epochs[-1].ends(config.patience) == (len(epochs) < config.epochs)
    assert own[-1].best[0] == epochs[-1].best[1]
    epochs, validation = epochs[:3], training.inputs_of(config, parts.validation)

    def check(best, losses=(1, 1, 1)):
        last = training.Epoch(3, np.ones(3), np.array(losses), np.array(best))
        training.check_all_learnt(config, [*epochs[:2], last], params, validation)

    check([1, 2, 3])
    with pytest.raises(DivergedError, match="seed 1: expected an epoch with a finite validation loss, got none in 3"):
        check([1, 0, 2])
    # Of a forecast of 0, whatever the parameters: the quantiles' loss is the absolute error.
    chance = float(np.abs(parts.validation.targets).mean())
    check([1, 2, 3], (1, 1, 9.9 * chance))
    words = rf"seed 2: expected .* below 10 times that of outputs of 0, {chance:.3g}, got {10.1 * chance:.3g} at best"
    with pytest.raises(DivergedError, match=words):
        check([1, 2, 3], (1, 1, 10.1 * chance))


def test_the_naive_ones_by_hand():
    values, origins = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 0.0]), np.array([3, 5])
    np.testing.assert_array_equal(baselines.last_value(values, origins, 2), [[4, 4], [16, 16]])
    # From 1 to 4 in two steps, from 1 to 16 in four.
    np.testing.assert_array_equal(baselines.drift(values, origins, 2), [[5.5, 7], [19.75, 23.5]])


def test_the_linear_autoregression_finds_a_linear_rule(monkeypatch):
    """Two numbers back tell the next one, but for noise, and each series has a rule of its own."""
    rng = np.random.default_rng(0)
    rules = np.array([[1.6, -0.9], [-0.8, -0.8]])
    values = np.zeros((2, 400))
    for step in range(2, 400):
        values[:, step] = rules[:, 0] * values[:, step - 1] + rules[:, 1] * values[:, step - 2] + rng.normal(size=2)
    config = dataclasses.replace(TINY, relative="window", horizon=2, calendar=())
    parts = prepared(monkeypatch, config, *(values + 50))
    linear = baselines.linear_autoregression(parts)
    found = baselines.baseline_forecasts(parts, linear, parts.test)
    assert (linear.model.relative, linear.model.per_series) == ("none", True)
    one = values[parts.test.series, parts.test.origins - 1] * rules[parts.test.series, 0]
    one += values[parts.test.series, parts.test.origins - 2] * rules[parts.test.series, 1]
    assert np.abs(found["linear autoregression"][:, 0] - one - 50).max() < 0.5
    errors = found["linear autoregression"][:, 0] - actual(parts, parts.test)[:, 0]
    np.testing.assert_allclose(errors.std(), 1, atol=0.1)


@pytest.mark.parametrize("log", [False, True])
def test_what_the_linear_autoregression_leaves_over(log, monkeypatch):
    config = dataclasses.replace(TINY, relative="last", log=log)
    plain = prepared(monkeypatch, config, noise(0), noise(1) * 9)
    linear = baselines.linear_autoregression(plain)
    parts = remainders(plain, linear)
    for before, after in ((plain.training, parts.training), (plain.test, parts.test)):
        base = np.exp(after.base) if log else after.base
        np.testing.assert_allclose(base, linear(before))
        np.testing.assert_allclose(undone(after.targets, after, log), actual(plain, before), rtol=1e-4)
        np.testing.assert_array_equal(after.past, before.past)
    for number in (0, 1):
        own = parts.training.targets[parts.training.series == number]
        np.testing.assert_allclose(np.mean(own**2), 1, rtol=1e-4)


def test_a_ridge_is_least_squares_with_a_penalty():
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(3, 2, (30, 4)), rng.normal(size=(30, 2))
    standard = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    for penalty, model in zip(baselines.PENALTIES, baselines.fits(inputs, targets), strict=True):
        square = standard.T @ standard + 30 * penalty * np.eye(4)
        weights = np.linalg.solve(square, standard.T @ (targets - targets.mean(axis=0)))
        np.testing.assert_allclose(model(inputs), standard @ weights + targets.mean(axis=0))


def test_a_series_without_naive_error_has_no_mase(monkeypatch):
    config = dataclasses.replace(TINY, calendar=())
    with pytest.raises(ValueError, match=r"'series 0' to differ from season to season, got one .* same every 5 steps"):
        prepared(monkeypatch, config, np.arange(LENGTH) % 5)


def test_every_preset_and_option_describes_a_network():
    for _, config in forecast.PRESETS.values():
        assert dataclasses.replace(config, layers=2).network().steps == config.horizon
    assert set(FROM) == {"none", "last", "season", "window"}
    changes: list[dict[str, Any]] = [
        *({}, {"layers": 2}, {"cell": "lstm"}, {"projection": 7}),
        *({"hidden": 6}, {"head": "gaussian"}, {"strategy": "recursive", "head": "point"}),
    ]
    shapes = set()
    for change in changes:
        config = dataclasses.replace(TINY, **change)
        params = jax.eval_shape(lambda config=config: training.initial_state(config, 3, 20, 0).params)
        shapes.add(str(jax.tree.map(lambda leaf: leaf.shape, params)))
    assert len(shapes) == len(changes)


def test_options_of_the_optimizer_change_its_steps():
    def steps(**change):
        optimizer: Any = dataclasses.replace(TINY, **change).clipped(2)
        params, found = np.ones(1, np.float32), []
        state = optimizer.init(params)
        for gradient in (100.0, 1.0):
            update, state = optimizer.update(np.full(1, gradient, np.float32), state, params)
            found.append(float(update[0]))
        return found

    plain = steps()
    np.testing.assert_allclose(plain, [-0.02, -0.02], rtol=1e-4)
    np.testing.assert_allclose(steps(schedule="cosine"), [-0.02, -0.01], rtol=1e-4)
    np.testing.assert_allclose(steps(optimizer="adamw", weight_decay=0.5, decayed="all"), [-0.03, -0.03], rtol=1e-4)
    assert steps(clip=None)[1] > -0.016


INSTALLED = {"stocks": (5, 123, "1 month"), "temperatures": (2, 8760, "1 hour"), "sunspots": (1, 309, "1 year")}


@pytest.mark.parametrize("source", INSTALLED)
def test_series_of_installed_packages(source, monkeypatch):
    module = "statsmodels" if source == "sunspots" else "vega_datasets"
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install 'rnnjax[series]'")
    found = sources.load(Forecast(source=source, fill=True))
    assert (len(found.series), len(found.series[0].dates), str(found.frequency)) == INSTALLED[source]
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "statsmodels.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"not installed: pip install 'rnnjax\[series\]'"):
        sources.load(Forecast(source=source))


@pytest.mark.parametrize("intervals", ["network", "split"])
def test_coverage_is_only_told_where_there_are_intervals(intervals, monkeypatch):
    config = dataclasses.replace(TINY, head="point", seeds=1, intervals=intervals)
    parts = prepared(monkeypatch, config, noise(0))
    state = training.initial_state(config, training.inputs_of(config, parts.training).past.shape[-1], 1, 0)
    linear = baselines.linear_autoregression(parts)
    outcome = outcome_of(config, parts, linear, jax.tree.map(lambda leaf: leaf[None], state.params))
    assert (outcome.seeds[0].coverage is None) == (intervals == "network")
    assert outcome.plain.coverage is None
    assert (interval_table(config, outcome) == "") == (intervals == "network")
    assert (np.ptp(outcome.quantiles, axis=-1).max() == 0) == (intervals == "network")


def test_the_option_of_intervals_changes_their_offsets_and_nothing_else(monkeypatch):
    names: list[Any] = ["network", "split", "adaptive"]
    parts = prepared(monkeypatch, TINY, noise(0), noise(1))
    params, _ = trained(TINY, parts)
    found = {}
    for name in names:
        config = dataclasses.replace(TINY, intervals=name)
        found[name] = network_forecasts(config, parts, params, calibration_of(config, parts, params))
    for network in found.values():
        np.testing.assert_array_equal(network.plain, found["network"].test)
        np.testing.assert_array_equal(network.test[..., MEDIAN], found["network"].test[..., MEDIAN])
        np.testing.assert_allclose(network.plain[-1], network.plain[:-1].mean(axis=0), rtol=1e-6)
    moved = found["split"].test - found["network"].test
    assert np.abs(moved).max() > 0.01
    # The first origin of each series has seen nothing new.
    later = found["adaptive"].test - found["split"].test
    first = np.flatnonzero(np.diff(parts.test.series, prepend=-1))
    assert np.abs(later[:, first]).max() == 0
    assert np.abs(later).max() > 0.01
    assert np.abs(found["adaptive"].future - found["split"].future).max() > 0.01
