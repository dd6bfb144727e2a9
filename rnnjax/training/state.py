"""What training carries from step to step."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class TrainState(NamedTuple):
    """Arrays only: parameters, optimizer state, steps done (int32), and the key that step keys derive from."""

    params: Any
    optimizer_state: optax.OptState
    step: jax.Array
    key: jax.Array

    @classmethod
    def create(cls, params: Any, optimizer: optax.GradientTransformation, key: jax.Array) -> "TrainState":
        """The state before the first step."""
        return cls(params, optimizer.init(params), jnp.zeros((), jnp.int32), key)


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
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning rate: expected a number above 0, got {learning_rate}")
    if not 0 <= warmup < 1:
        raise ValueError(f"warmup: expected 0 <= share < 1, got {warmup}")
    if skip < 0:
        raise ValueError(f"skip: expected at least 0, got {skip}")
    rising = round(warmup * steps)
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
    optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=rate)
    return optax.apply_if_finite(optimizer, skip) if skip else optimizer
