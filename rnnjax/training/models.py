"""The first parameters and the first training state of a Flax model over tokens."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from rnnjax.training.capacity import check_capacity, tree_bytes
from rnnjax.training.state import TrainState


def param_shapes(model: nn.Module) -> Any:
    """The shapes of the model's parameters. Raises ValueError if they exceed the memory of this machine."""
    shapes = jax.eval_shape(lambda: _init(model, jax.random.key(0)))
    check_capacity("parameters", tree_bytes(shapes))
    return shapes


def init_params(model: nn.Module, key: jax.Array) -> Any:
    """The initial parameters of the model. Raises as `param_shapes`, before any array is made."""
    param_shapes(model)
    return _init(model, key)


def first_state(
    model: nn.Module, optimizer: optax.GradientTransformation, seed: int, averaged: bool = False
) -> TrainState:
    """The state before the first step. Raises as `init_params`."""
    init_key, state_key = jax.random.split(jax.random.key(seed))
    return TrainState.create(init_params(model, init_key), optimizer, state_key, averaged=averaged)


def _init(model: nn.Module, key: jax.Array) -> Any:
    return model.init(key, jnp.zeros((1, 1), jnp.int32))["params"]
