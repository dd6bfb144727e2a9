"""What training begins with."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax.data import batches
from rnnjax.training import Objective, Optimizer, TrainState, batch_mesh, eval_step, fit, train_step


def test_a_new_state_has_done_no_step():
    state = TrainState.create({"w": jnp.ones(2)}, Optimizer().transformation(1), jax.random.key(0))
    assert state.step == 0
    assert state.step.dtype == jnp.int32


def test_no_array_of_the_caller_is_donated():
    """Neither by a step, whose state was made of it, nor by `fit`, which was given the state itself."""
    params, carry = {"w": jnp.array([1.0, 2.0])}, jnp.zeros((4, 1))
    inputs = np.arange(8, dtype=np.float32).reshape(4, 2)
    data = batches(inputs, inputs.sum(axis=1), batch_size=4)

    def sums(params, batch, key, carry):
        errors = batch.inputs @ params["w"] - batch.targets
        return {"loss": (errors**2).sum(), "weight": batch.weights.sum()}, carry + 1

    objective, optimizer, key = Objective(sums, carries=True), optax.sgd(1e-3), jax.random.key(0)
    step = train_step(objective, optimizer, batch_mesh(1))
    step(TrainState.create(params, optimizer, key, carry), next(data()))
    state = TrainState.create(params, optimizer, key, carry)
    plain = train_step(lambda params, batch, key: sums(params, batch, key, 0)[0], optimizer, batch_mesh(1))
    evaluation = eval_step(plain.objective, batch_mesh(1))
    list(fit(state._replace(carry=()), plain, evaluation, data, data, 2))
    np.testing.assert_array_equal(params["w"], [1.0, 2.0])
    np.testing.assert_array_equal(carry, np.zeros((4, 1)))
    np.testing.assert_array_equal(state.params["w"], [1.0, 2.0])
    jax.random.normal(key)


def test_an_optimizer_that_keeps_the_parameters_themselves_is_donated_once():
    params = {"w": jnp.array([1.0, 2.0])}
    optimizer = optax.GradientTransformation(
        lambda params: {"first": params}, lambda updates, state, params=None: (updates, state)
    )
    step = train_step(lambda params, batch, key: {"loss": params["w"].sum(), "weight": 1.0}, optimizer, batch_mesh(1))
    data = batches(np.zeros((2, 1), np.float32), np.zeros(2), batch_size=2)
    states = [
        state
        for state, _ in fit(
            TrainState.create(params, optimizer, jax.random.key(0)),
            step,
            eval_step(step.objective, batch_mesh(1)),
            data,
            data,
            1,
        )
    ]
    np.testing.assert_array_equal(states[-1].params["w"], [2.0, 3.0])
    np.testing.assert_array_equal(states[-1].optimizer_state["first"]["w"], [1.0, 2.0])
