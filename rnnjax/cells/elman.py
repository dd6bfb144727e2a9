"""The simple recurrent network of Elman 1990."""

import dataclasses
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import PointwiseCell, sigmoid
from rnnjax.types import Gates, Hidden, Params

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "sigmoid": sigmoid}


class ElmanState(NamedTuple):
    """`hidden (B, H)`."""

    hidden: Hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elman(PointwiseCell):
    """Elman's cell.

        h_t = activation(x_t W + h_{t-1} R + b)

    The IRNN of Le, Jaitly and Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear
    Units", is `Elman(activation="relu", recurrent_init=identity())`.

    Source: Elman 1990, "Finding Structure in Time". Raises ValueError for another activation than
    "tanh", "relu" or "sigmoid".
    """

    gates: ClassVar[int] = 1

    activation: Literal["tanh", "relu", "sigmoid"] = "tanh"

    def __post_init__(self):
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected one of {sorted(ACTIVATIONS)}, got {self.activation!r}")

    def init_state(self, batch_size: int, hidden_size: int, dtype=jnp.float32) -> ElmanState:
        """Zeros, `(B, H)`."""
        return ElmanState(hidden=jnp.zeros((batch_size, hidden_size), dtype))

    def update(self, params: Params, inputs: Gates, recurrent: Gates, state: ElmanState) -> ElmanState:
        """The equation above, from `a (B, H)` and `r (B, H)`."""
        return ElmanState(hidden=ACTIVATIONS[self.activation](inputs + recurrent))
