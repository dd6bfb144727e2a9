"""What training begins with."""

import jax
import jax.numpy as jnp

from rnnjax.training import Optimizer, TrainState


def test_a_new_state_has_done_no_step():
    state = TrainState.create({"w": jnp.ones(2)}, Optimizer().transformation(1), jax.random.key(0))
    assert state.step == 0
    assert state.step.dtype == jnp.int32
