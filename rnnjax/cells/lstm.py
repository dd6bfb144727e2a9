"""Long short-term memory (Hochreiter and Schmidhuber) with forget gates."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.cells.cell import CellParams, PointwiseCell, add_to_gate, sigmoid
from rnnjax.types import Extras, Gates, Hidden, Size


class LSTMState(NamedTuple):
    """`hidden (B, H)` and `cell (B, H)`."""

    hidden: Hidden
    cell: Hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSTM(PointwiseCell):
    """Long short-term memory; the gate blocks are in the order i, f, g, o.

        i, f, g, o = split(x_t W + h_{t-1} R + b)
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    `forget_bias` is added to the forget block of the bias when it is initialised, not at every step.
    Sources: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Gers, Schmidhuber and Cummins 2000,
    "Learning to Forget"; Jozefowicz, Zaremba and Sutskever 2015 on the forget bias.
    """

    gates: ClassVar[int] = 4
    state_type: ClassVar[Any] = LSTMState
    elementwise: ClassVar[bool] = True

    forget_bias: float = 1.0

    def init_params(
        self, key: PRNGKeyArray, input_size: Size, hidden_size: Size, dtype: Any = jnp.float32
    ) -> CellParams:
        """As for every pointwise cell, with the forget bias added. Raises ValueError for a size below 1."""
        params = super().init_params(key, input_size, hidden_size, dtype)
        return params._replace(input=add_to_gate(params.input, 1, 4, self.forget_bias))

    def update(self, extras: Extras, inputs: Gates, recurrent: Gates, state: LSTMState) -> LSTMState:
        """The equation above, from `a (B, 4H)` and `r (B, 4H)`."""
        i, f, g, o = jnp.split(inputs + recurrent, 4, axis=-1)
        input, forget, candidate, output = sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)
        cell = forget * state.cell + input * candidate
        return LSTMState(hidden=output * jnp.tanh(cell), cell=cell)
