"""Adam with its schedules and clipping."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.training import TrainState, adam


def rates(**options):
    """The learning rate of each of 10 steps: Adam's first-order size for a constant gradient of 1."""
    optimizer = adam(0.1, steps=10, **options)
    params = {"w": jnp.zeros(())}
    state, sizes = optimizer.init(params), []
    for _ in range(10):
        update, state = optimizer.update({"w": jnp.ones(())}, state, params)
        sizes.append(-np.float64(jax.tree.leaves(update)[0]))
    return np.array(sizes)


SCHEDULES = {
    "constant": ({}, [0.1] * 10),
    "linear": ({"schedule": "linear"}, [0.1 * (1 - t / 10) for t in range(10)]),
    "cosine": ({"schedule": "cosine"}, [0.05 * (1 + np.cos(np.pi * t / 10)) for t in range(10)]),
    "warm": ({"warmup": 0.2}, [0.0, 0.05] + [0.1] * 8),
    "warm_linear": ({"schedule": "linear", "warmup": 0.2}, [0.0, 0.05] + [0.1 * (1 - t / 8) for t in range(8)]),
}


@pytest.mark.parametrize(("options", "want"), SCHEDULES.values(), ids=SCHEDULES.keys())
def test_schedules(options, want):
    np.testing.assert_allclose(rates(**options), want, atol=1e-6)


def test_clipping_is_by_global_norm():
    params = {"a": jnp.zeros(2), "b": jnp.zeros(1)}
    gradient = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([4.0])}
    clipped, plain = adam(0.1, steps=1, clip=1.0), adam(0.1, steps=1)
    _, state = clipped.update(gradient, clipped.init(params), params)
    fifth = jax.tree.map(lambda leaf: leaf / 5, gradient)
    _, want = plain.update(fifth, plain.init(params), params)
    for got, wanted in zip(jax.tree.leaves(state), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


WRONG = {
    "rate": ({"learning_rate": 0.0}, "learning rate: expected a number above 0, got 0.0"),
    "rate_nan": ({"learning_rate": float("nan")}, "learning rate: expected a number above 0, got nan"),
    "clip_inf": ({"clip": float("inf")}, "clip: expected a number above 0, got inf"),
    "warmup": ({"warmup": 1.0}, "warmup: expected 0 <= share < 1, got 1.0"),
    "clip": ({"clip": -1.0}, "clip: expected a number above 0, got -1.0"),
    "schedule": ({"schedule": "steps"}, r"schedule: expected one of \['constant', 'cosine', 'linear'\], got 'steps'"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG.keys())
def test_values_out_of_range_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        adam(**{"learning_rate": 0.1, "steps": 10, **wrong})


def test_a_new_state_has_done_no_step():
    state = TrainState.create({"w": jnp.ones(2)}, adam(0.1, steps=1), jax.random.key(0))
    assert state.step == 0
    assert state.step.dtype == jnp.int32
