"""The LSTM with exponential gates, stabilised by a running maximum."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.cells.cell import CellParams, PointwiseCell, add_to_gate, sigmoid
from rnnjax.dtypes import at_least_float32
from rnnjax.initializers import Initializer, zeros
from rnnjax.maps import BlockDiagonal, Map
from rnnjax.types import Extras, Gates, Hidden, Size, features


class SLSTMState(NamedTuple):
    """Each `(B, H)`; `cell` and `normaliser` are c and n of the equations, multiplied by `exp(-stabiliser)`."""

    hidden: Hidden
    cell: Hidden
    normaliser: Hidden
    stabiliser: Hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class SLSTM(PointwiseCell):
    """sLSTM; the gate blocks are in the order i, f, g, o, and the heads do not mix.

        i, f, g, o = split(x_t W + h_{t-1} R + b)
        c_t = sigmoid(f) * c_{t-1} + exp(i) * tanh(g)
        n_t = sigmoid(f) * n_{t-1} + exp(i)
        h_t = sigmoid(o) * c_t / n_t

    computed with both gates divided by `exp(m_t)`, which cancels in the quotient:

        m_t = max(log(sigmoid(f)) + m_{t-1}, i)

    Then no exponential is above 1, and if the state starts from zeros, n is at least 1. If n is 0 (before the first
    step and after a reset), nothing is carried over and m is i. Cell, normaliser and stabiliser accumulate over many
    steps and are kept in at least float32 in every compute dtype. In a learnt initial state, only `hidden` has an
    effect. Cell, normaliser and stabiliser only make sense together, so do not apply zoneout to them: use
    `zoneout={"hidden": 0.1}`.

    R is `BlockDiagonal(heads)`. Initialisation follows the authors' code: R is zeros (other cells have
    `recurrent_init=orthogonal`), and over the units of each head the forget bias falls from 5 (long memory) to -7
    (short memory): `5 - 12 * x ** (0.3 + 1.3 * depth)` for x from 0 to 1. `depth` is the position of the layer in a
    stack, from 0 (first) to 1 (last). If `forget_bias` is a number, it applies to every unit instead.
    `exponential_forget=True` uses `exp(f)` instead of `sigmoid(f)`, the paper's other choice. Source: Beck, Pöppel,
    Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter and Hochreiter 2024, "xLSTM: Extended Long Short-Term
    Memory". Raises ValueError for a number of heads that is below 1 or does not divide the hidden size, and for a depth
    outside [0, 1].
    """

    gates: ClassVar[int] = 4
    state_type: ClassVar[Any] = SLSTMState
    elementwise: ClassVar[bool] = True

    heads: int = 1
    forget_bias: float | None = None
    depth: float = 0.0
    exponential_forget: bool = False
    recurrent_init: Initializer = zeros
    # Derived from the heads, so not an argument: `dataclasses.replace` may change the heads.
    recurrent_map: Map | None = dataclasses.field(init=False)

    def __post_init__(self):
        if not 0 <= self.depth <= 1:
            raise ValueError(f"depth: expected 0 <= depth <= 1, got {self.depth}")
        object.__setattr__(self, "recurrent_map", BlockDiagonal(self.heads))

    def init_params(
        self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32
    ) -> CellParams:
        """The maps with the forget bias added. Raises ValueError for sizes that do not fit."""
        params = super().init_params(key, input_size, hidden_size, dtype)
        amount = self.forget_bias
        if amount is None:
            own = features(hidden_size)[-1] // self.heads
            x = jnp.arange(own) / max(own - 1, 1)
            amount = jnp.tile(5 - 12 * x ** (0.3 + 1.3 * self.depth), self.heads).astype(dtype)
        return params._replace(input=add_to_gate(params.input, 1, 4, amount))

    def init_state(self, batch_size: int, hidden_size: Size, dtype: Any = jnp.float32) -> SLSTMState:
        """Zeros, each `(B, H)`; all except `hidden` in at least float32."""
        hidden = jnp.zeros((batch_size, *features(hidden_size)), dtype)
        wide = hidden.astype(at_least_float32(dtype))
        return SLSTMState(hidden, wide, wide, wide)

    def update(self, extras: Extras, inputs: Gates, recurrent: Gates, state: SLSTMState) -> SLSTMState:
        """The equation above, from `a (B, 4H)` and `r (B, 4H)`."""
        i, f, g, o = jnp.split(inputs + recurrent, 4, axis=-1)
        log_forget = f if self.exponential_forget else jax.nn.log_sigmoid(f)
        carried = jnp.where(state.normaliser == 0, -jnp.inf, log_forget + state.stabiliser)
        stabiliser = jnp.maximum(carried, i)
        input, forget = jnp.exp(i - stabiliser), jnp.exp(carried - stabiliser)
        cell = forget * state.cell + input * jnp.tanh(g)
        normaliser = forget * state.normaliser + input
        return SLSTMState(sigmoid(o) * cell / normaliser, cell, normaliser, stabiliser)
