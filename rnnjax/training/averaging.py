"""The moving average of the parameters, and the validation loss at which it begins."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax.training.validated import found


class AverageStart(NamedTuple):
    """The validation losses so far, and the update at which the average began (-1: not yet)."""

    recent: jax.Array  # the last ones, oldest first; infinite before the first
    older: jax.Array  # the lowest of all before these
    updates: jax.Array
    begun: jax.Array

    def validated(self, loss: float) -> "AverageStart":
        """The state after a validation, on the host."""
        begins = self.begun < 0 and loss > self.older
        return self._replace(
            recent=np.append(self.recent[1:], np.float32(loss)),
            older=np.minimum(self.older, self.recent[0]),
            begun=self.updates if begins else self.begun,
        )


def average_start(window: int) -> optax.GradientTransformation:
    """Changes no update; its state says when the average of the parameters begins.

    That is after a validation loss above the lowest one of all validations but the last `window` (NT-ASGD, Merity et
    al. 2018).
    """

    def init(params: Any) -> Any:
        recent = jnp.full(window, math.inf, jnp.float32)
        return AverageStart(recent, jnp.float32(math.inf), jnp.int32(0), jnp.int32(-1))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return updates, state._replace(updates=state.updates + 1)

    return optax.GradientTransformation(init, update)


def moving_average(average: Any, params: Any, largest: float, step: jax.Array, optimizer_state: Any) -> Any:
    """The average after an update number `step` (from 0) with these new parameters: d average + (1 - d) params.

    d = min(largest, (1 + t) / (10 + t)), t = step. With `average_start` the average is the parameters themselves until
    it begins, and d = min(largest, n / (1 + n)) after n more updates: with `largest` 1, the mean of all since then.
    """
    starts = found(AverageStart, optimizer_state)

    def leaf(old: jax.Array, new: jax.Array) -> jax.Array:
        if starts:
            since = (starts[0].updates - starts[0].begun).astype(old.dtype)
            kept = jnp.where(starts[0].begun < 0, 0.0, jnp.minimum(largest, since / (1 + since)))
        else:
            steps = step.astype(old.dtype)
            kept = jnp.minimum(largest, (1 + steps) / (10 + steps))
        return kept * old + (1 - kept) * new

    return jax.tree.map(leaf, average, params)
