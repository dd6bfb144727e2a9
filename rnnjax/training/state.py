"""What training carries from step to step."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnjax.dtypes import widen


class TrainState(NamedTuple):
    """Arrays only: parameters, optimizer state, steps done (int32), the key that step keys derive from, and what the
    objective carries from batch to batch, and the parameters' moving average, both nothing as a rule.

    Parameters have any dtype. The optimizer's state and the average are those of parameters in float32 at least: in
    bfloat16 they would stop moving.
    """

    params: Any
    optimizer_state: optax.OptState
    step: jax.Array
    key: jax.Array
    carry: Any = ()
    average: Any = ()

    @classmethod
    def create(
        cls,
        params: Any,
        optimizer: optax.GradientTransformation,
        key: jax.Array,
        carry: Any = (),
        averaged: bool = False,
    ) -> "TrainState":
        """The state before the first step, for a step with `averaging` where it is to be averaged."""
        wide = widen(params)
        average = jax.tree.map(jnp.copy, wide) if averaged else ()
        return cls(params, optimizer.init(wide), jnp.zeros((), jnp.int32), key, carry, average)

    @property
    def averaged(self) -> bool:
        """Whether the parameters are averaged along the way."""
        return bool(jax.tree.leaves(self.average))

    @property
    def evaluated(self) -> Any:
        """The parameters that the training is for: their average where there is one."""
        return self.average if self.averaged else self.params


def adam(
    learning_rate: float,
    *,
    steps: int,
    schedule: str = "constant",
    warmup: float = 0.0,
    skip: int = 0,
) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) with a schedule, whose state tells the learning rate.

    `schedule` is "constant", "linear" or "cosine" (both down to 0 at `steps`), after a linear warm-up over
    the share `warmup` of the steps. Up to `skip` updates in a row whose gradient is not finite are left out. Raises
    ValueError for another schedule or values out of range.
    """
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup: expected 0 <= share < 1, got {warmup}")
    _check_rate(learning_rate)
    learning_rate, rising = float(learning_rate), round(warmup * steps)
    falling = max(steps - rising, 1)
    shapes = {
        "constant": optax.constant_schedule(learning_rate),
        "linear": optax.linear_schedule(learning_rate, 0.0, falling),
        "cosine": optax.cosine_decay_schedule(learning_rate, falling),
    }
    if schedule not in shapes:
        raise ValueError(f"schedule: expected one of {sorted(shapes)}, got {schedule!r}")
    rate = shapes[schedule]
    if rising:
        rate = optax.join_schedules([optax.linear_schedule(0.0, learning_rate, rising), rate], [rising])
    return _skipping(optax.inject_hyperparams(optax.adam)(learning_rate=rate), skip)


def sgd(
    learning_rate: float, *, epoch_steps: int, constant_epochs: int = 1, decay: float = 1.0, skip: int = 0
) -> optax.GradientTransformation:
    """Stochastic gradient descent whose learning rate falls from epoch to epoch, and whose state tells it.

        rate(epoch) = learning_rate / decay ** max(0, epoch - constant_epochs),  epochs from 1

    `skip` is that of `adam`. Source: Zaremba, Sutskever and Vinyals 2014, "Recurrent Neural Network Regularization".
    Raises ValueError for values out of range.
    """
    _check_rate(learning_rate)
    if not 1 <= decay < math.inf:
        raise ValueError(f"decay: expected a number of at least 1, got {decay}")
    for name, value in (("epoch steps", epoch_steps), ("constant epochs", constant_epochs)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")

    def rate(step: jax.Array) -> jax.Array:
        return float(learning_rate) / decay ** jnp.maximum(step // epoch_steps + 1.0 - constant_epochs, 0.0)

    return _skipping(optax.inject_hyperparams(optax.sgd)(learning_rate=rate), skip)


def _check_rate(learning_rate: float) -> None:
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning rate: expected a number above 0, got {learning_rate}")


def _skipping(optimizer: optax.GradientTransformation, skip: int) -> optax.GradientTransformation:
    if skip < 0:
        raise ValueError(f"skip: expected at least 0, got {skip}")
    return optax.apply_if_finite(optimizer, skip) if skip else optimizer
