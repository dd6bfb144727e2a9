"""The training state."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnjax.dtypes import widen


class TrainState(NamedTuple):
    """The arrays that a train step updates.

    They are the parameters, the optimizer state, the number of steps done (int32), the key from which the key of each
    step is derived, the carry of the objective, and the moving average of the parameters. The last two are `()` unless
    used. Parameters may have any dtype. The optimizer state and the average are in float32 at least: in bfloat16 small
    changes would be rounded away.
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
        """The state before the first step; `averaged=True` is needed for a train step with `averaging`.

        The arguments are copied, because a train step donates the arrays of its state.
        """
        params, key, carry = map(_copied, (params, key, carry))
        wide = widen(params)
        average = jax.tree.map(jnp.copy, wide) if averaged else ()
        return cls(params, optimizer.init(wide), jnp.zeros((), jnp.int32), key, carry, average)

    @property
    def averaged(self) -> bool:
        """Whether the state has an average of the parameters."""
        return bool(jax.tree.leaves(self.average))

    @property
    def evaluated(self) -> Any:
        """The parameters to evaluate: the average if there is one."""
        return self.average if self.averaged else self.params


def _copied(tree: Any) -> Any:
    """A copy of all arrays; dicts keep the order of their keys, in which layers are printed."""
    if isinstance(tree, dict):
        return {name: _copied(value) for name, value in tree.items()}
    return jax.tree.map(jnp.copy, tree)
