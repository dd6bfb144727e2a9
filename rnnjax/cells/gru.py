"""The gated recurrent unit with the reset gate after the recurrent product."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp

from rnnjax.cells.cell import HiddenState, PointwiseCell, sigmoid
from rnnjax.types import Extras, Gates


@dataclasses.dataclass(frozen=True, kw_only=True)
class GRU(PointwiseCell):
    """Gated recurrent unit, reset gate after the recurrent product; the gate blocks are in the order r, z, n.

        reset = sigmoid(a_r + r_r)
        update = sigmoid(a_z + r_z)
        candidate = tanh(a_n + reset * r_n)
        h_t = (1 - update) * candidate + update * h_{t-1}

    with `a = x_t W + b` and `r = h_{t-1} R + c`: the second bias c is needed because the reset gate scales
    it. cuDNN, Flax, PyTorch and Keras (`reset_after=True`) use this form. Sources: Cho et al.
    2014, "Learning Phrase Representations using RNN Encoder-Decoder"; this form in arXiv:1406.1078v1.
    """

    gates: ClassVar[int] = 3
    elementwise: ClassVar[bool] = True

    second_bias: bool = True

    def update(self, extras: Extras, inputs: Gates, recurrent: Gates, state: HiddenState) -> HiddenState:
        """The equation above, from `a (B, 3H)` and `r (B, 3H)`."""
        a_r, a_z, a_n = jnp.split(inputs, 3, axis=-1)
        r_r, r_z, r_n = jnp.split(recurrent, 3, axis=-1)
        reset = sigmoid(a_r + r_r)
        update = sigmoid(a_z + r_z)
        candidate = jnp.tanh(a_n + reset * r_n)
        return HiddenState(hidden=(1 - update) * candidate + update * state.hidden)
