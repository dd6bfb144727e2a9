"""The LSTM whose recurrent weights are vectors, so that its Jacobian has a 2x2 block for each unit."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import CellParams, PointwiseCell, add_to_gate, check_only_input_map, sigmoid
from rnnjax.cells.lstm import LSTMState
from rnnjax.initializers import Initializer, small_normal
from rnnjax.maps import Map, per_row
from rnnjax.types import Features, Gates, Size


class ParaLSTMExtras(NamedTuple):
    """The recurrent weights of each unit, and the peepholes of both gates."""

    forget_weight: Float[Array, "*hidden"]
    candidate_weight: Float[Array, "*hidden"]
    output_weight: Float[Array, "*hidden"]
    forget_peephole: Float[Array, "*hidden"]
    output_peephole: Float[Array, "*hidden"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParaLSTM(PointwiseCell):
    """LSTM with coupled gates, peepholes and vectors as recurrent weights; units interact only through the next layer.

        f, g, o = split(x_t W + b)
        forget = sigmoid(f + u_f * h_{t-1} + p_f * c_{t-1})
        c_t = forget * c_{t-1} + (1 - forget) * tanh(g + u_g * h_{t-1})
        h_t = sigmoid(o + u_o * h_{t-1} + p_o * c_t) * tanh(c_t)

    The Jacobian of a step is a 2x2 block for each unit: `Newton` solves the linear recurrences with these, exactly.
    `recurrent_init` draws each u and p `(H,)`: normal with standard deviation 0.1. `forget_bias` is added to the forget
    block of the bias when it is initialised. Source: Danieli, Rodriguez, Sarabia, Suau and Zappella 2025, "ParaRNN:
    Unlocking Parallel Training of Nonlinear RNNs for Large Language Models" (there, W is block-diagonal). Raises
    ValueError for a second bias or a recurrent map.
    """

    gates: ClassVar[int] = 3
    state_type: ClassVar[Any] = LSTMState
    elementwise: ClassVar[bool] = True

    recurrent_map: Map | None = None
    recurrent_init: Initializer = small_normal
    forget_bias: float = 1.0

    def __post_init__(self):
        check_only_input_map(self)

    def init_params(
        self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32
    ) -> CellParams:
        """The input map with the forget bias added, and the vectors. Raises ValueError for a size below 1."""
        params = super().init_params(key, input_size, hidden_size, dtype)
        return params._replace(input=add_to_gate(params.input, 0, 3, self.forget_bias))

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> ParaLSTMExtras:
        """Five vectors `(H,)`."""
        return ParaLSTMExtras(*(self.recurrent_init(own, hidden, dtype) for own in jax.random.split(key, 5)))

    def update(self, extras: ParaLSTMExtras, inputs: Gates, recurrent: Gates, state: LSTMState) -> LSTMState:
        """The equation above, from `a (B, 3H)`; `r` is zeros."""
        f, g, o = jnp.split(inputs, 3, axis=-1)
        u_f, u_g, u_o, p_f, p_o = (per_row(weight, state.hidden) for weight in extras)
        forget = sigmoid(f + u_f * state.hidden + p_f * state.cell)
        cell = forget * state.cell + (1 - forget) * jnp.tanh(g + u_g * state.hidden)
        return LSTMState(hidden=sigmoid(o + u_o * state.hidden + p_o * cell) * jnp.tanh(cell), cell=cell)
