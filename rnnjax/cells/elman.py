"""The simple recurrent network of Elman 1990."""

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import HiddenState, PointwiseCell, sigmoid
from rnnjax.types import Extras, Gates

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "sigmoid": sigmoid}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elman(PointwiseCell):
    """Elman's simple recurrent cell.

        h_t = activation(x_t W + h_{t-1} R + b)

    The IRNN of Le, Jaitly and Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear
    Units", is `Elman(activation="relu", recurrent_init=identity())`.

    Source: Elman 1990, "Finding Structure in Time". Raises ValueError for an activation other than
    "tanh", "relu" or "sigmoid".
    """

    gates: ClassVar[int] = 1
    elementwise: ClassVar[bool] = True

    activation: Literal["tanh", "relu", "sigmoid"] = "tanh"

    def __post_init__(self):
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected one of {sorted(ACTIVATIONS)}, got {self.activation!r}")

    def update(self, extras: Extras, inputs: Gates, recurrent: Gates, state: HiddenState) -> HiddenState:
        """The equation above, from `a (B, H)` and `r (B, H)`."""
        return HiddenState(hidden=ACTIVATIONS[self.activation](inputs + recurrent))
