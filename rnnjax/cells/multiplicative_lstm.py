"""The LSTM with an input-dependent recurrent kernel."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.cells.cell import CellParams, PointwiseCell, add_to_gate
from rnnjax.cells.lstm import LSTM, LSTMState
from rnnjax.types import Gates, RecurrentGates, Size


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiplicativeLSTM(PointwiseCell):
    """Multiplicative LSTM (mLSTM); the gate blocks are in the order m, i, f, g, o.

        m_t = a_m * (h_{t-1} R)
        i, f, g, o = split(a_ifgo + m_t K)
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    with `a = x_t W + b` over five blocks. K is a kernel of the recurrent map and is initialised, parametrized and
    dropped like R. `bias_init` also initialises a bias for `a_m`, which the paper does not have. `forget_bias` is added
    to the forget block of the bias when it is initialised. The mLSTM of Beck et al. 2024 is a different cell. Source:
    Krause, Lu, Murray and Renals 2016, "Multiplicative LSTM for sequence modelling".
    """

    gates: ClassVar[int] = 5
    state_type: ClassVar[Any] = LSTMState
    further_kernels: ClassVar[Mapping[str, int]] = MappingProxyType({"gate_kernel": 4})

    forget_bias: float = 1.0

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

    def update(
        self, extras: Mapping[str, Any], inputs: Gates, recurrent: RecurrentGates, state: LSTMState
    ) -> LSTMState:
        """The equation above, from `a (B, 5H)` and `r (B, H)`."""
        width = recurrent.shape[-1]
        multiplied = inputs[..., :width] * recurrent
        gates = self.further_product(extras, "gate_kernel", multiplied)
        return LSTM().update(None, inputs[..., width:], gates, state)
