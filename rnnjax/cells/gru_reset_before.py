"""The gated recurrent unit as published, with the reset gate before the recurrent product."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import jax.numpy as jnp

from rnnjax.cells.cell import HiddenState, PointwiseCell, sigmoid
from rnnjax.types import Gates, RecurrentGates


@dataclasses.dataclass(frozen=True, kw_only=True)
class GRUResetBefore(PointwiseCell):
    """Gated recurrent unit, reset gate before the recurrent product; the gate blocks are in the order r, z, n.

        reset = sigmoid(a_r + r_r)
        update = sigmoid(a_z + r_z)
        candidate = tanh(a_n + (reset * h_{t-1}) R_n)
        h_t = (1 - update) * candidate + update * h_{t-1}

    with `a = x_t W + b` over three blocks and `r = h_{t-1} R` over two. R_n is a kernel of the recurrent map and is
    initialised, parametrized and dropped like the blocks of R. `state_dropout` of a layer affects only R. With `Conv`
    maps this is the convolutional GRU. Keras has this form with `reset_after=False`; `GRU` (reset after the product)
    needs one product per step instead of two. Source: Cho et al. 2014, "Learning Phrase Representations using RNN
    Encoder-Decoder for Statistical Machine Translation" (arXiv:1406.1078v3).
    """

    gates: ClassVar[int] = 3
    further_kernels: ClassVar[Mapping[str, int]] = MappingProxyType({"candidate_kernel": 1})

    @property
    def recurrent_gates(self) -> int:
        """Blocks r and z."""
        return 2

    def update(
        self, extras: Mapping[str, Any], inputs: Gates, recurrent: RecurrentGates, state: HiddenState
    ) -> HiddenState:
        """The equation above, from `a (B, 3H)` and `r (B, 2H)`."""
        a_r, a_z, a_n = jnp.split(inputs, 3, axis=-1)
        r_r, r_z = jnp.split(recurrent, 2, axis=-1)
        reset = sigmoid(a_r + r_r)
        update = sigmoid(a_z + r_z)
        candidate = jnp.tanh(a_n + self.further_product(extras, "candidate_kernel", reset * state.hidden))
        return HiddenState(hidden=(1 - update) * candidate + update * state.hidden)
