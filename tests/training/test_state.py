"""Adam with its schedules and clipping."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnjax.training import TrainState, adam, sgd


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


def test_updates_that_are_not_finite_are_skipped_and_counted_up_to_the_number_allowed():
    optimizer = adam(0.1, steps=10, skip=2)
    params = {"w": jnp.ones(())}
    state, sizes, counts = optimizer.init(params), [], []
    for gradient in (1.0, np.nan, np.inf, 1.0, np.nan, np.nan, np.nan):
        update, state = optimizer.update({"w": jnp.asarray(gradient)}, state, params)
        sizes.append(float(update["w"]))  # pyright: ignore[reportIndexIssue, reportArgumentType, reportCallIssue]
        counts.append(int(optax.tree.get(state, "notfinite_count")))
    assert counts == [0, 1, 2, 0, 1, 2, 3]
    np.testing.assert_allclose(sizes[:6], [-0.1, 0, 0, -0.1, 0, 0], rtol=1e-5)
    assert np.isnan(sizes[6])


WRONG = {
    "rate": ({"learning_rate": 0.0}, "learning rate: expected a number above 0, got 0.0"),
    "rate_nan": ({"learning_rate": float("nan")}, "learning rate: expected a number above 0, got nan"),
    "warmup": ({"warmup": 1.0}, "warmup: expected 0 <= share < 1, got 1.0"),
    "skip": ({"skip": -1}, "skip: expected at least 0, got -1"),
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


def test_gradient_descent_is_constant_first_and_then_divided_epoch_by_epoch():
    optimizer = sgd(0.8, epoch_steps=3, constant_epochs=2, decay=2.0)
    params = {"w": jnp.zeros(())}
    state, sizes = optimizer.init(params), []
    for _ in range(12):
        update, state = optimizer.update({"w": jnp.ones(())}, state, params)
        sizes.append(-float(jax.tree.leaves(update)[0]))
    np.testing.assert_allclose(sizes, [0.8] * 6 + [0.4] * 3 + [0.2] * 3, rtol=1e-6)
    assert float(optax.tree.get(state, "learning_rate", filtering=lambda _, value: isinstance(value, jax.Array))) == (
        pytest.approx(0.2)
    )


WRONG_DESCENT = {
    "rate": ({"learning_rate": 0.0}, "learning rate: expected a number above 0, got 0.0"),
    "decay": ({"decay": 0.5}, "decay: expected a number of at least 1, got 0.5"),
    "epoch": ({"epoch_steps": 0}, "epoch steps: expected at least 1, got 0"),
    "constant": ({"constant_epochs": 0}, "constant epochs: expected at least 1, got 0"),
    "skip": ({"skip": -1}, "skip: expected at least 0, got -1"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_DESCENT.values(), ids=WRONG_DESCENT.keys())
def test_values_of_gradient_descent_out_of_range_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        sgd(**{"learning_rate": 0.1, "epoch_steps": 10, **wrong})
