"""The gated recurrent unit as published: the reset gate stands before the candidate's product."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.cells.cell import CellParams, HiddenState, PointwiseCell, sigmoid
from rnnjax.maps import Dense, Map, MapParams
from rnnjax.types import Features, Gates, RecurrentGates


class CandidateKernel(NamedTuple):
    """The candidate's recurrent kernel, or what the recurrent map's parametrization keeps in its place."""

    candidate_kernel: Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class GRUResetBefore(PointwiseCell):
    """The GRU cell, reset before the product; its gate blocks are in the order r, z, n.

        reset = sigmoid(a_r + r_r)
        update = sigmoid(a_z + r_z)
        candidate = tanh(a_n + (reset * h_{t-1}) R_n)
        h_t = (1 - update) * candidate + update * h_{t-1}

    with `a = x_t W + b` over three blocks and `r = h_{t-1} R` over two. R_n is a kernel of the recurrent map, drawn
    and parametrized as R's blocks are, but a layer's `state_dropout` and `weight_dropout` reach R alone. With `Conv`
    maps this is the convolutional GRU. Keras has this form with `reset_after=False`; `GRU`, the reset after the
    product, needs one product a step in place of two. Sources: Cho et al. 2014, "Learning Phrase Representations
    using RNN Encoder-Decoder for Statistical Machine Translation" (arXiv:1406.1078v3). Raises ValueError without a
    recurrent map.
    """

    gates: ClassVar[int] = 3

    recurrent_map: Map = dataclasses.field(default=Dense())

    def __post_init__(self):
        if not isinstance(self.recurrent_map, Map):
            raise ValueError(
                f"recurrent_map: expected a map, since the candidate reads the hidden state, got {self.recurrent_map}"
            )

    @property
    def recurrent_gates(self) -> int:
        """Blocks r and z."""
        return 2

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> CandidateKernel:
        """`R_n`, a block as the recurrent map's."""
        return CandidateKernel(
            self.recurrent_map.init(key, hidden, hidden, 1, self.recurrent_init, dtype, per_gate=True)
        )

    def effective(self, params: CellParams) -> tuple[PointwiseCell, CellParams]:
        """The cell with maps that have no parametrization, and all three kernels themselves."""
        _, candidate = self.recurrent_map.effective(MapParams(params.extras.candidate_kernel))
        cell, params = super().effective(params)
        return cell, params._replace(extras=CandidateKernel(candidate.kernel))

    def update(
        self, extras: CandidateKernel, inputs: Gates, recurrent: RecurrentGates, state: HiddenState
    ) -> HiddenState:
        """The equation above, from `a (B, 3H)` and `r (B, 2H)`."""
        a_r, a_z, a_n = jnp.split(inputs, 3, axis=-1)
        r_r, r_z = jnp.split(recurrent, 2, axis=-1)
        reset = sigmoid(a_r + r_r)
        update = sigmoid(a_z + r_z)
        candidate = jnp.tanh(a_n + self.recurrent_map.product(extras.candidate_kernel, reset * state.hidden, 1))
        return HiddenState(hidden=(1 - update) * candidate + update * state.hidden)
