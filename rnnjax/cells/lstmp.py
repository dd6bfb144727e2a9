"""The LSTM with a projected hidden state."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import check_one_axis
from rnnjax.cells.lstm import LSTM, LSTMState
from rnnjax.types import Features, Gates, Size, State, features


class Projection(NamedTuple):
    """The kernel of the projection."""

    projection: Float[Array, "hidden projected"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSTMP(LSTM):
    """LSTM with a recurrent projection; the gate blocks are in the order i, f, g, o.

        i, f, g, o = split(x_t W + h_{t-1} R + b)
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = (sigmoid(o) * tanh(c_t)) P

    with `c (B, H)` and `h (B, projection)`: R has `projection` rows instead of H. `kernel_init` initialises P
    `(H, projection)`. The paper's cell also has peepholes; PyTorch's (`proj_size`) has none, as here. Source: Sak,
    Senior and Beaufays 2014, "Long Short-Term Memory Recurrent Neural Network Architectures for Large Scale Acoustic
    Modeling". Raises ValueError for a projection below 1 and a hidden size of several axes.
    """

    elementwise: ClassVar[bool] = False

    projection: int

    def __post_init__(self):
        if self.projection < 1:
            raise ValueError(f"projection: expected at least 1, got {self.projection}")

    def read_size(self, hidden_size: Size) -> Size:
        """The size of `hidden`: `projection`."""
        return self.projection

    def check_sizes(self, input_size: Size, hidden_size: Size) -> None:
        """Raises ValueError for sizes below 1 and a hidden size of several axes."""
        super().check_sizes(input_size, hidden_size)
        check_one_axis(hidden_size)

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> Projection:
        """`P (H, projection)`."""
        return Projection(self.kernel_init(key, (*hidden, self.projection), dtype))

    def init_state(self, batch_size: int, hidden_size: Size, dtype: Any = jnp.float32) -> LSTMState:
        """Zeros: `hidden (B, projection)` and `cell (B, H)`."""
        return LSTMState(
            hidden=jnp.zeros((batch_size, self.projection), dtype),
            cell=jnp.zeros((batch_size, *features(hidden_size)), dtype),
        )

    def size_of(self, state: State) -> Features:
        """The hidden size: the features of `cell`."""
        return tuple(jnp.shape(state.cell)[1:])

    def update(self, extras: Projection, inputs: Gates, recurrent: Gates, state: LSTMState) -> LSTMState:
        """The equation above, from `a (B, 4H)` and `r (B, 4H)`."""
        after = super().update(extras, inputs, recurrent, state)
        return after._replace(hidden=after.hidden @ extras.projection)
