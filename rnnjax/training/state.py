"""What training carries from step to step."""

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
    optimizer_state: Any  # optax.OptState
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
        """The state before the first step, for a step with `averaging` where it is to be averaged.

        It has copies of the arrays that are given: a step that is given the state donates them.
        """
        params, key, carry = jax.tree.map(jnp.copy, (params, key, carry))
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
