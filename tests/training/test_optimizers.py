"""The optimizer's options: rules, schedules, decay and skipping, against optax's own and by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnjax.training import Optimizer

PARAMS = {"kernel": jnp.asarray([[0.5, -1.0], [2.0, 0.25]]), "bias": jnp.asarray([0.5, -0.5])}
GRADIENTS = [jax.tree.map(lambda leaf, number=number: jnp.cos(leaf * (number + 1)), PARAMS) for number in range(3)]


def trained(transformation: optax.GradientTransformation):
    """The parameters after three updates."""
    params: Any = PARAMS
    state = transformation.init(params)
    for gradient in GRADIENTS:
        updates, state = transformation.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params


def kernels(params):
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


ADAM = optax.inject_hyperparams(optax.adam)(learning_rate=0.1)
RULES = {
    "adam": ({}, ADAM),
    "adamw": ({}, optax.adamw(0.1, weight_decay=0.01, mask=kernels)),
    "adamw all": ({"optimizer": "adamw", "decayed": "all", "weight_decay": 0.2}, optax.adamw(0.1, weight_decay=0.2)),
    "adamw none": ({"optimizer": "adamw", "weight_decay": 0.0}, optax.adam(0.1)),
    "adam l2": ({"l2": 0.3}, optax.chain(optax.add_decayed_weights(0.3, kernels), ADAM)),
    "adam l2 all": ({"l2": 0.3, "decayed": "all"}, optax.chain(optax.add_decayed_weights(0.3), ADAM)),
    "nadam": ({}, optax.nadam(0.1)),
    "sgd": ({}, optax.sgd(0.1)),
    "sgd momentum": ({"optimizer": "sgd", "momentum": 0.9}, optax.sgd(0.1, momentum=0.9, nesterov=True)),
    "lion": ({}, optax.lion(0.1, weight_decay=0.01, mask=kernels)),
    "muon": ({}, optax.contrib.muon(0.1)),
    "muon decay": (
        {"optimizer": "muon", "weight_decay": 0.2, "decayed": "all"},
        optax.contrib.muon(0.1, weight_decay=0.2, adam_weight_decay=0.2),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_that_of_optax(name):
    options, want = RULES[name]
    optimizer = Optimizer(**{"optimizer": name.split()[0], "learning_rate": 0.1, **options})
    got, want = trained(optimizer.transformation(10)), trained(want)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, want)


def test_every_rule_goes_another_way():
    rules: tuple[dict[str, Any], ...] = (
        *({"optimizer": rule} for rule in ("adam", "adamw", "nadam", "sgd", "lion", "muon")),
        *({"optimizer": "sgd", "momentum": 0.5}, {"optimizer": "adamw", "weight_decay": 0.9}),
        {"optimizer": "adamw", "weight_decay": 0.9, "decayed": "all"},
        *({"l2": 0.9}, {"l2": 0.9, "decayed": "all"}),
    )
    found = [
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(trained(Optimizer(**options).transformation(9)))])
        for options in rules
    ]
    for number, one in enumerate(found):
        for other in found[:number]:
            assert np.abs(one - other).max() > 1e-6


def rates(**options):
    """The learning rate of each of 10 steps: Adam's first-order size for a constant gradient of 1."""
    optimizer = Optimizer(learning_rate=0.1, **options).transformation(10)
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
    "of gradient descent": ({"optimizer": "sgd"}, [0.1] * 10),
}


@pytest.mark.parametrize(("options", "want"), SCHEDULES.values(), ids=SCHEDULES.keys())
def test_schedules(options, want):
    np.testing.assert_allclose(rates(**options), want, atol=1e-6)


def test_a_learning_rate_may_be_an_integer():
    transformation = Optimizer(learning_rate=1).transformation(3)
    states: list[Any] = jax.tree.leaves(transformation.init(PARAMS))
    ones: list[Any] = [state for state in states if np.ndim(state) == 0 and float(state) == 1.0]
    assert {state.dtype for state in ones} == {jnp.dtype(jnp.float32)}


def test_the_schedule_step_is_constant_first_and_then_divided_epoch_by_epoch():
    options: dict[str, Any] = {"optimizer": "sgd", "schedule": "step", "constant_epochs": 2, "decay": 2.0}
    optimizer = Optimizer(learning_rate=0.8, **options).transformation(12, epoch_steps=3)
    params = {"w": jnp.zeros(())}
    state, sizes = optimizer.init(params), []
    for _ in range(12):
        update, state = optimizer.update({"w": jnp.ones(())}, state, params)
        sizes.append(-float(jax.tree.leaves(update)[0]))
    np.testing.assert_allclose(sizes, [0.8] * 6 + [0.4] * 3 + [0.2] * 3, rtol=1e-6)
    assert float(optax.tree.get(state, "learning_rate", filtering=lambda _, value: isinstance(value, jax.Array))) == (
        pytest.approx(0.2)
    )


def test_updates_that_are_not_finite_are_skipped_and_counted_up_to_the_number_allowed():
    optimizer = Optimizer(learning_rate=0.1, skip=2).transformation(10)
    params = {"w": jnp.ones(())}
    state, sizes, counts = optimizer.init(params), [], []
    for gradient in (1.0, np.nan, np.inf, 1.0, np.nan, np.nan, np.nan):
        update, state = optimizer.update({"w": jnp.asarray(gradient)}, state, params)
        sizes.append(float(update["w"]))  # pyright: ignore[reportIndexIssue, reportArgumentType, reportCallIssue]
        counts.append(int(optax.tree.get(state, "notfinite_count")))
    assert counts == [0, 1, 2, 0, 1, 2, 3]
    np.testing.assert_allclose(sizes[:6], [-0.1, 0, 0, -0.1, 0, 0], rtol=1e-5)
    assert np.isnan(sizes[6])


def test_clipped_is_behind_the_clipping():
    options = {"optimizer": "sgd", "learning_rate": 1.0}
    update, _ = Optimizer(clip=0.5, **options).clipped(1).update({"w": jnp.full(4, 1.0)}, *started(clip=0.5, **options))
    np.testing.assert_allclose(jax.tree.leaves(update)[0], -0.25 * np.ones(4))
    update, _ = Optimizer(**options).clipped(1).update({"w": jnp.full(4, 1.0)}, *started(**options))
    np.testing.assert_allclose(jax.tree.leaves(update)[0], -np.ones(4))


def started(**options):
    params = {"w": jnp.zeros(4)}
    return Optimizer(**options).clipped(1).init(params), params


WRONG = {
    "rate": ({"learning_rate": 0.0}, "learning_rate: expected a number above 0, got 0.0"),
    "rate_nan": ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0, got nan"),
    "warmup": ({"warmup": 1.0}, "warmup: expected 0 <= share < 1, got 1.0"),
    "skip": ({"skip": -1}, "skip: expected at least 0, got -1"),
    "schedule": ({"schedule": "steps"}, "schedule: expected .*, got 'steps'"),
    "rule": ({"optimizer": "adagrad"}, "optimizer: expected .*, got 'adagrad'"),
    "decay": ({"decay": 0.5}, "decay: expected at least 1, got 0.5"),
    "constant": ({"constant_epochs": 0}, "constant_epochs: expected at least 1, got 0"),
    "clip": ({"clip": 0.0}, "clip: expected a number above 0, got 0.0"),
    "averaging": ({"averaging": 1.1}, "averaging: expected a number from 0 to 1, got 1.1"),
    "average after": ({"average_after": 2}, "average_after: expected an averaging above 0 with it, got 2 alone"),
    "average after none": (
        {"averaging": 1.0, "average_after": 0},
        "average_after: expected at least 1, got 0",
    ),
    "weight decay": ({"optimizer": "sgd", "weight_decay": -0.1}, "weight_decay: expected 0 <= share < 1, got -0.1"),
    "of adam": (
        {"weight_decay": 0.1},
        "weight_decay: expected optimizer adamw, sgd, lion or muon, or l2 in its place, got adam",
    ),
    "l2": ({"l2": -0.1}, "l2: expected a number of at least 0, got -0.1"),
    "momentum": ({"momentum": 0.9}, "momentum: expected optimizer sgd, got adam"),
    "decayed": ({"decayed": "all"}, "decayed: expected a weight decay or an L2 penalty above 0 for 'all', got none"),
    "warm step": ({"schedule": "step", "warmup": 0.1}, "warmup: expected none with the schedule step, got 0.1"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG.keys())
def test_values_out_of_range_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Optimizer(**wrong)


@pytest.mark.parametrize(
    ("steps", "message"), [(0, "at least 1, got 0"), (-1, "at least 1"), (1.5, "an integer, got 1.5")]
)
def test_a_training_has_steps(steps, message):
    with pytest.raises(ValueError, match=f"steps: expected {message}"):
        Optimizer().transformation(steps)


@pytest.mark.parametrize("epoch_steps", [None, 0])
def test_the_schedule_step_must_know_how_long_an_epoch_is(epoch_steps):
    with pytest.raises(ValueError, match=f"epoch_steps: expected at least 1 for the schedule step, got {epoch_steps}"):
        Optimizer(schedule="step").transformation(9, epoch_steps)
