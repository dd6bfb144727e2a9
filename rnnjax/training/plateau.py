"""The learning rate schedule that waits for the validation loss: optax's `reduce_on_plateau`, once an epoch."""

import math
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from optax.contrib import ReduceLROnPlateauState, reduce_on_plateau


class PlateauState(NamedTuple):
    """The state of optax's schedule, and its options."""

    schedule: ReduceLROnPlateauState
    factor: jax.Array
    patience: jax.Array


def plateau(factor: float, patience: int) -> optax.GradientTransformation:
    """Multiplies updates by a scale, which `after_validation` multiplies by `factor`.

    That is after `patience` validations in a row without a loss lower than the lowest before by a share of 1e-4.
    """
    rule = reduce_on_plateau(factor, patience)

    def init(params: Any) -> Any:
        return PlateauState(cast(ReduceLROnPlateauState, rule.init(params)), jnp.float32(factor), jnp.int32(patience))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return jax.tree.map(lambda leaf: state.schedule.scale * leaf, updates), state

    return optax.GradientTransformation(init, update)


def after_validation(optimizer_state: Any, loss: float) -> Any:
    """The optimizer state after a validation; unchanged without a schedule `plateau`."""

    def leaf(state: Any) -> Any:
        if not _is_plateau(state):
            return state
        schedule, factor, patience = jax.device_get(state)
        _, after = reduce_on_plateau(float(factor), int(patience)).update({}, schedule, value=loss)
        # Computed on the host, alike in all processes, and put where it was.
        return state._replace(schedule=jax.tree.map(_put, jax.device_get(after), state.schedule))

    return jax.tree.map(leaf, optimizer_state, is_leaf=_is_plateau)


def scale_of(optimizer_state: Any) -> Any:
    """The product of the scales of all schedules `plateau` in an optimizer state; 1 without any."""
    return math.prod(state.schedule.scale for state in _plateaus(optimizer_state))


def check_no_plateau(optimizer_state: Any, where: str) -> None:
    """Raises ValueError for a schedule `plateau` in a loop that does not tell it the validation loss."""
    if _plateaus(optimizer_state):
        raise ValueError(f"schedule: expected one that needs no validation loss for {where}, got plateau")


def _plateaus(optimizer_state: Any) -> list[PlateauState]:
    return [leaf for leaf in jax.tree.leaves(optimizer_state, is_leaf=_is_plateau) if _is_plateau(leaf)]


def _is_plateau(state: Any) -> bool:
    return isinstance(state, PlateauState)


def _put(value: Any, where: jax.Array) -> jax.Array:
    return jax.device_put(value, where.sharding)
