"""The independently recurrent network: every unit sees of the past only itself."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import PointwiseCell, check_sizes, per_row
from rnnjax.cells.initializers import Initializer, uniform
from rnnjax.types import Gates, Hidden, Params


class IndRNNParams(NamedTuple):
    """One affine map, and a weight for each unit's own past; there is no recurrent map."""

    kernel: Float[Array, "input hidden"] | None
    bias: Float[Array, " hidden"] | None
    recurrent_weight: Float[Array, " hidden"]
    recurrent_kernel: None = None
    recurrent_bias: None = None


class IndRNNState(NamedTuple):
    """`hidden (B, H)`."""

    hidden: Hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndRNN(PointwiseCell):
    """The IndRNN cell: u is a vector, so that units meet only in the layer above.

        h_t = relu(x_t W + u * h_{t-1} + b)

    `recurrent_init` draws u `(H,)`. For sequences of T steps the paper draws it uniformly from 0 to 2^(1/T),
    above which a unit's memory could more than double over them: `recurrent_init=uniform(0.0, 2 ** (1 / T))`. The
    default is the limit of a long T, 0 to 1. That the paper also clips u there while training is the optimizer's
    affair. Source: Li, Li, Cook, Zhu and Gao 2018, "Independently Recurrent Neural Network (IndRNN): Building A
    Longer and Deeper RNN". Raises ValueError for a second bias: there is no second map for it.
    """

    gates: ClassVar[int] = 1

    recurrent_init: Initializer = dataclasses.field(default=uniform(0.0, 1.0))

    def __post_init__(self):
        if self.second_bias:
            raise ValueError("second_bias: expected False, since an IndRNN has one affine map, got True")

    def init_params(self, key: PRNGKeyArray, input_size: int, hidden_size: int, dtype=jnp.float32) -> Params:
        """`W (I, H)`, `b (H,)` and `u (H,)`. Raises ValueError for a size below 1."""
        check_sizes(input_size, hidden_size)
        kernel_key, recurrent_key, bias_key = jax.random.split(key, 3)
        return IndRNNParams(
            kernel=self.kernel_init(kernel_key, (input_size, hidden_size), dtype),
            bias=self.bias_init(bias_key, (hidden_size,), dtype),
            recurrent_weight=self.recurrent_init(recurrent_key, (hidden_size,), dtype),
        )

    def init_state(self, batch_size: int, hidden_size: int, dtype=jnp.float32) -> IndRNNState:
        """Zeros, `(B, H)`."""
        return IndRNNState(hidden=jnp.zeros((batch_size, hidden_size), dtype))

    def update(self, params: Params, inputs: Gates, recurrent: Gates, state: IndRNNState) -> IndRNNState:
        """The equation above, from `a (B, H)`; `r` is zeros."""
        return IndRNNState(hidden=jax.nn.relu(inputs + per_row(params.recurrent_weight, inputs) * state.hidden))
