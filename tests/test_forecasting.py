"""Heads against NumPy and SciPy, the network against its parts, and forecasts step by step against re-reading."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from rnnjax import GRU, RNN, Elman, Scan, StackedRNN
from rnnjax.forecasting import LEAST_SCALE, LEVELS, MEDIAN, Forecaster, Gaussian, Point, Quantile, direct, recursive

HEADS = {"point": Point(), "gaussian": Gaussian(), "quantile": Quantile()}
TOLERANCE = 1e-5


@pytest.fixture(scope="module", autouse=True)
def compile_quickly(quick_compile):
    """For every test of this file."""


def random(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_the_levels_are_the_ends_of_intervals_around_the_median():
    assert LEVELS[MEDIAN] == 0.5
    np.testing.assert_allclose(np.add(LEVELS, LEVELS[::-1]), 1)
    np.testing.assert_allclose(np.subtract(LEVELS[::-1], LEVELS)[:3], [0.95, 0.8, 0.5])


def test_losses_are_those_of_numpy():
    targets = random(4, 3, seed=1)
    outputs = random(4, 3, 1)
    np.testing.assert_allclose(Point().loss(outputs, targets), np.abs(targets - outputs[..., 0]), rtol=TOLERANCE)

    outputs = random(4, 3, 2)
    scale = np.logaddexp(0, outputs[..., 1]) + LEAST_SCALE
    expected = -scipy.stats.norm.logpdf(targets, outputs[..., 0], scale)
    np.testing.assert_allclose(Gaussian().loss(outputs, targets), expected, rtol=TOLERANCE)
    quantiles = outputs[..., :1] + scale[..., None] * scipy.special.ndtri(LEVELS)
    np.testing.assert_allclose(Gaussian().quantiles(outputs), quantiles, rtol=1e-4, atol=TOLERANCE)

    outputs = random(4, 3, 7)
    error = targets[..., None] - outputs
    pinball = np.where(error > 0, np.array(LEVELS) * error, (np.array(LEVELS) - 1) * error)
    np.testing.assert_allclose(Quantile().loss(outputs, targets), 2 * pinball.mean(axis=-1), rtol=TOLERANCE)
    np.testing.assert_array_equal(Quantile().quantiles(outputs), np.sort(outputs, axis=-1))


def test_the_pinball_loss_is_least_at_the_quantiles():
    numbers = random(20_000)

    def loss(shift):
        outputs = np.quantile(numbers, LEVELS).astype(np.float32) + shift
        return float(Quantile().loss(jnp.broadcast_to(outputs, (len(numbers), 7)), numbers).mean())

    assert loss(0) < min(loss(0.05), loss(-0.05))


@pytest.mark.parametrize("name", HEADS)
def test_the_median_is_the_middle_quantile(name):
    head, outputs = HEADS[name], random(4, 3, HEADS[name].outputs)
    np.testing.assert_allclose(head.median(outputs), head.quantiles(outputs)[..., MEDIAN], atol=TOLERANCE)


def build(head, steps=1, features=3, **options):
    model = Forecaster(StackedRNN([RNN(GRU(), 5, Scan())]), head, steps, **options)
    inputs = random(2, 6, features)
    params = model.init(jax.random.key(0), inputs)["params"]
    # Nothing at zero, where a part that is left out would not be missed.
    leaves, tree = jax.tree.flatten(params)
    params = tree.unflatten([0.5 * random(*leaf.shape, seed=i) for i, leaf in enumerate(leaves)])
    return model, params, inputs


@pytest.mark.slow
def test_the_network_is_its_parts():
    model, params, inputs = build(Gaussian(), 4, projection=8)
    projected = inputs @ params["projection"]["kernel"] + params["projection"]["bias"]
    hidden, state = model.recurrent.apply({"params": params["recurrent"]}, projected)
    outputs = (hidden[:, -1] @ params["head"]["kernel"] + params["head"]["bias"]).reshape(2, 1, 4, 2)
    found, found_state = model.apply({"params": params}, inputs)
    np.testing.assert_allclose(found, outputs, atol=TOLERANCE)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=TOLERANCE), found_state, state)
    np.testing.assert_allclose(direct(model, params, inputs), Gaussian().quantiles(outputs[:, 0]), atol=TOLERANCE)


def test_sizes_that_are_none():
    with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
        Forecaster(RNN(GRU(), 2), Point(), steps=0)
    with pytest.raises(ValueError, match="projection: expected at least 1, got 0"):
        Forecaster(RNN(GRU(), 2), Point(), projection=0)


def test_step_by_step_is_as_if_all_were_read_again():
    model, params, inputs = build(Point())
    known = random(2, 3, 2, seed=3)
    found = recursive(model, params, inputs, known, jax.random.key(0), 1)
    values = [direct(model, params, inputs)[:, 0, MEDIAN]]
    for step in range(3):
        fed = jnp.concatenate([values[-1][:, None], known[:, step]], axis=-1)
        inputs = jnp.concatenate([inputs, fed[:, None]], axis=1)
        values.append(direct(model, params, inputs)[:, 0, MEDIAN])
    np.testing.assert_allclose(found[..., MEDIAN], np.stack(values, axis=1), atol=TOLERANCE)
    np.testing.assert_array_equal(found[..., 0], found[..., -1])


@pytest.mark.parametrize("name", ["point", "gaussian"])
def test_one_step_ahead_recursive_is_direct(name):
    model, params, inputs = build(HEADS[name])
    found = recursive(model, params, inputs, jnp.empty((2, 0, 2)), jax.random.key(0), 7)
    np.testing.assert_array_equal(found, direct(model, params, inputs))


@pytest.mark.slow
def test_paths_that_are_drawn_spread_as_a_random_walk_does():
    """A unit that hands on its last input, and a scale of 1: after h steps the standard deviation is sqrt(h)."""
    model = Forecaster(RNN(Elman(activation="relu"), 1, Scan()), Gaussian())
    inputs = jnp.full((2, 3, 1), 100.0).at[1].set(200.0)
    params = jax.tree.map(jnp.zeros_like, model.init(jax.random.key(0), inputs)["params"])
    cell = params["recurrent"]["cell"]["input"]
    cell["kernel"] = jnp.ones((1, 1))
    params["head"] = {"kernel": jnp.array([[1.0, 0.0]]), "bias": jnp.array([0.0, np.log(np.e - 1)])}
    found = recursive(model, params, inputs, jnp.empty((2, 3, 0)), jax.random.key(0), 20_000)
    deviations = np.sqrt(np.arange(1, 5))[None, :, None] * scipy.special.ndtri(LEVELS)
    np.testing.assert_allclose(found, np.array([100, 200])[:, None, None] + deviations, atol=0.12)
    other = recursive(model, params, inputs, jnp.empty((2, 3, 0)), jax.random.key(1), 20_000)
    assert np.abs(other - found)[:, 1:].min() > 0


def test_quantiles_cannot_be_fed_back():
    model, params, inputs = build(Quantile())
    with pytest.raises(TypeError, match="head: expected Gaussian or Point to forecast recursively, got Quantile"):
        recursive(model, params, inputs, random(2, 1, 2), jax.random.key(0), 1)
