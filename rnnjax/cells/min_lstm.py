"""The minimal LSTM: an LSTM whose gates and candidate do not depend on the state."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import CellParams, sigmoid
from rnnjax.cells.linear import LinearCell
from rnnjax.cells.min_gru import positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class MinLSTM(LinearCell):
    """The minLSTM, with the gates normalised so that they add up to 1.

        f_t, i_t, c_t = x_t W + b                  forget gate, input gate and candidate, (B, H) each
        F, I = sigmoid(f_t), sigmoid(i_t)
        h_t = F / (F + I) * h_{t-1} + I / (F + I) * g(c_t)

    g and `positive` are as in `MinGRU`. The two shares are computed from the logarithms of the gates, because both
    gates may be 0 in float32. Source: Feng, Tung, Hassan, Bengio and Ahmed 2024, "Were RNNs All We Needed?".
    """

    gates: ClassVar[int] = 3

    positive: bool = False

    def coefficients(self, params: CellParams, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The equation above: `F / (F + I)`, and `I / (F + I) * g(c)`."""
        f, i, c = jnp.split(self.pre_activations(params, inputs), 3, axis=-1)
        ratio = jax.nn.log_sigmoid(f) - jax.nn.log_sigmoid(i)  # F / (F + I) = sigmoid(log(F / I))
        return sigmoid(ratio), sigmoid(-ratio) * (positive(c) if self.positive else c)
