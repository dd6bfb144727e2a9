"""The minimal gated unit: a GRU with one gate instead of two."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp

from rnnjax.cells.cell import HiddenState, PointwiseCell, sigmoid
from rnnjax.types import Extras, Gates


@dataclasses.dataclass(frozen=True, kw_only=True)
class MGU(PointwiseCell):
    """Minimal gated unit, gate after the recurrent product; the gate blocks are in the order f, n.

        forget = sigmoid(a_f + r_f)
        candidate = tanh(a_n + forget * r_n)
        h_t = (1 - forget) * h_{t-1} + forget * candidate

    with `a = x_t W + b` and `r = h_{t-1} R + c`: the second bias c is needed because the gate scales it. The paper has
    `(forget * h_{t-1}) R` instead, which needs a second product at every step. The two forms differ in the same way as
    `GRUResetBefore` and `GRU`. Flax's `MGUCell` has the form of this class, but swaps `forget` and `1 - forget` in the
    last line; here the last line is as in the paper. Source: Zhou, Wu, Zhang and Zhou 2016, "Minimal Gated Unit for
    Recurrent Neural Networks".
    """

    gates: ClassVar[int] = 2
    elementwise: ClassVar[bool] = True

    second_bias: bool = True

    def update(self, extras: Extras, inputs: Gates, recurrent: Gates, state: HiddenState) -> HiddenState:
        """The equation above, from `a (B, 2H)` and `r (B, 2H)`."""
        a_f, a_n = jnp.split(inputs, 2, axis=-1)
        r_f, r_n = jnp.split(recurrent, 2, axis=-1)
        forget = sigmoid(a_f + r_f)
        candidate = jnp.tanh(a_n + forget * r_n)
        return HiddenState(hidden=(1 - forget) * state.hidden + forget * candidate)
