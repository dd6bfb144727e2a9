"""The LSTM whose recurrent kernel hangs on the input."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.cells.cell import CellParams, PointwiseCell, add_to_gate
from rnnjax.cells.lstm import LSTM, LSTMState
from rnnjax.maps import Dense, Map, MapParams
from rnnjax.types import Features, Gates, RecurrentGates, Size


class GateKernel(NamedTuple):
    """What the gates read m by, or what the recurrent map's parametrization keeps in its place."""

    gate_kernel: Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiplicativeLSTM(PointwiseCell):
    """The multiplicative LSTM cell (mLSTM); its gate blocks are in the order m, i, f, g, o.

        m_t = a_m * (h_{t-1} R)
        i, f, g, o = split(a_ifgo + m_t K)
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    with `a = x_t W + b` over five blocks. K is a kernel of the recurrent map, drawn and parametrized as R is, but a
    layer's `state_dropout` and `weight_dropout` reach R alone. `bias_init` draws the bias of `a_m` as well, which
    the paper does not have. `forget_bias` is added to the forget block of the bias when it is initialised. The mLSTM
    of Beck et al. 2024 is another cell. Source: Krause, Lu, Murray and Renals 2016, "Multiplicative LSTM for
    sequence modelling". Raises ValueError without a recurrent map.
    """

    gates: ClassVar[int] = 5
    state_type: ClassVar[Any] = LSTMState

    forget_bias: float = 1.0
    recurrent_map: Map = dataclasses.field(default=Dense())

    def __post_init__(self):
        if not isinstance(self.recurrent_map, Map):
            raise ValueError(
                f"recurrent_map: expected a map, since m is a product of what it gives, got {self.recurrent_map}"
            )

    @property
    def recurrent_gates(self) -> int:
        """The block m."""
        return 1

    def init_params(
        self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32
    ) -> CellParams:
        """The maps with the forget bias added, and the extras. Raises ValueError for sizes that do not fit."""
        params = super().init_params(key, input_size, hidden_size, dtype)
        return params._replace(input=add_to_gate(params.input, 2, 5, self.forget_bias))

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> GateKernel:
        """`K`, four blocks as the recurrent map's."""
        return GateKernel(self.recurrent_map.init(key, hidden, hidden, 4, self.recurrent_init, dtype, per_gate=True))

    def effective(self, params: CellParams) -> tuple[PointwiseCell, CellParams]:
        """The cell with maps that have no parametrization, and all three kernels themselves."""
        _, gate = self.recurrent_map.effective(MapParams(params.extras.gate_kernel))
        cell, params = super().effective(params)
        return cell, params._replace(extras=GateKernel(gate.kernel))

    def update(self, extras: GateKernel, inputs: Gates, recurrent: RecurrentGates, state: LSTMState) -> LSTMState:
        """The equation above, from `a (B, 5H)` and `r (B, H)`."""
        width = recurrent.shape[-1]
        multiplied = inputs[..., :width] * recurrent
        gates = self.recurrent_map.product(extras.gate_kernel, multiplied, 4)
        return LSTM().update(None, inputs[..., width:], gates, state)
