"""The learning rate schedule that waits for the validation loss: optax's `reduce_on_plateau`, once an epoch."""

import math
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from optax.contrib import ReduceLROnPlateauState, reduce_on_plateau

from rnnjax.training.validated import found


class PlateauState(NamedTuple):
    """The state of optax's schedule, and its options."""

    schedule: ReduceLROnPlateauState
    factor: jax.Array
    patience: jax.Array

    def validated(self, loss: float) -> "PlateauState":
        """The state after a validation, on the host."""
        rule = reduce_on_plateau(float(self.factor), int(self.patience))
        _, after = rule.update({}, self.schedule, value=loss)
        return self._replace(schedule=cast(ReduceLROnPlateauState, after))


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


def scale_of(optimizer_state: Any) -> Any:
    """The product of the scales of all schedules `plateau` in an optimizer state; 1 without any."""
    return math.prod(state.schedule.scale for state in found(PlateauState, optimizer_state))
