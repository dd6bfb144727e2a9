"""The long short-term memory of Hochreiter and Schmidhuber, with forget gates."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.cells.cell import PointwiseCell, add_to_block, sigmoid
from rnnjax.types import Gates, Hidden, Params


class LSTMState(NamedTuple):
    """`hidden (B, H)` and `cell (B, H)`."""

    hidden: Hidden
    cell: Hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSTM(PointwiseCell):
    """The LSTM cell; its gate blocks are in the order i, f, g, o.

        i, f, g, o = split(x_t W + h_{t-1} R + b)
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    `forget_bias` is added to the forget block of the bias when it is initialised, not at every step.
    Sources: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Gers, Schmidhuber and Cummins 2000,
    "Learning to Forget"; Jozefowicz, Zaremba and Sutskever 2015 on the forget bias.
    """

    gates: ClassVar[int] = 4

    forget_bias: float = 1.0

    def init_params(self, key: PRNGKeyArray, input_size: int, hidden_size: int, dtype=jnp.float32) -> Params:
        """As for every pointwise cell, with the forget bias added. Raises ValueError for a size below 1."""
        params = super().init_params(key, input_size, hidden_size, dtype)
        return params._replace(bias=add_to_block(params.bias, 1, hidden_size, self.forget_bias))

    def init_state(self, batch_size: int, hidden_size: int, dtype=jnp.float32) -> LSTMState:
        """Zeros for `hidden` and `cell`, each `(B, H)`."""
        zeros = jnp.zeros((batch_size, hidden_size), dtype)
        return LSTMState(hidden=zeros, cell=zeros)

    def update(self, params: Params, inputs: Gates, recurrent: Gates, state: LSTMState) -> LSTMState:
        """The equation above, from `a (B, 4H)` and `r (B, 4H)`."""
        i, f, g, o = jnp.split(inputs + recurrent, 4, axis=-1)
        input, forget, candidate, output = sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)
        cell = forget * state.cell + input * candidate
        return LSTMState(hidden=output * jnp.tanh(cell), cell=cell)
