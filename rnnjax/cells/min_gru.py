"""The minimal GRU: a GRU whose gate and candidate do not depend on the state."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import CellParams, sigmoid
from rnnjax.cells.linear import LinearCell


def positive(values: jax.Array) -> jax.Array:
    """`x + 1/2` for `x >= 0`, and `sigmoid(x)` below: a continuous function with positive values."""
    return jnp.where(values >= 0, values + 0.5, sigmoid(values))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MinGRU(LinearCell):
    """The minGRU.

        z_t, c_t = x_t W + b                       the gate and the candidate, (B, H) each
        h_t = (1 - sigmoid(z_t)) * h_{t-1} + sigmoid(z_t) * g(c_t)

    g is the identity or, with `positive=True`, the function of the paper's log-space form, whose states stay positive.
    That form takes logarithms because it divides by products of many decays. `Associative` only multiplies decays,
    which are at most 1, so none are taken here, and a state may have any sign. Source: Feng, Tung, Hassan, Bengio and
    Ahmed 2024, "Were RNNs All We Needed?".
    """

    gates: ClassVar[int] = 2

    positive: bool = False

    def coefficients(self, params: CellParams, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The equation above: `1 - sigmoid(z)`, and `sigmoid(z) * g(c)`."""
        z, c = jnp.split(self.pre_activations(params, inputs), 2, axis=-1)
        # Not `1 - sigmoid(z)`, which is 0 in float32 for z of at least 17.
        return sigmoid(-z), sigmoid(z) * (positive(c) if self.positive else c)
