"""The independently recurrent network: the recurrence connects each unit only with itself."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import HiddenState, PointwiseCell, check_only_input_map
from rnnjax.initializers import Initializer, uniform
from rnnjax.maps import Map, per_row
from rnnjax.types import Features, Gates


class IndRNNExtras(NamedTuple):
    """The recurrent weight of each unit."""

    recurrent_weight: Float[Array, "*hidden"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndRNN(PointwiseCell):
    """IndRNN: the recurrent weight u is a vector, so units interact only through the next layer.

        h_t = relu(x_t W + u * h_{t-1} + b)

    `recurrent_init` draws u `(H,)`. For sequences of T steps the paper draws it uniformly from 0 to 2^(1/T); above
    that, a state could more than double over the sequence: `recurrent_init=uniform(0.0, 2 ** (1 / T))`. The default is
    the limit for large T, 0 to 1. The paper also clips u to this range during training; that is left to the optimizer.
    Source: Li, Li, Cook, Zhu and Gao 2018, "Independently Recurrent Neural Network (IndRNN): Building A Longer and
    Deeper RNN". Raises ValueError for a second bias or a recurrent map.
    """

    gates: ClassVar[int] = 1
    elementwise: ClassVar[bool] = True

    recurrent_map: Map | None = None
    recurrent_init: Initializer = dataclasses.field(default=uniform(0.0, 1.0))

    def __post_init__(self):
        check_only_input_map(self)

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> IndRNNExtras:
        """`u (H,)`."""
        return IndRNNExtras(self.recurrent_init(key, hidden, dtype))

    def update(self, extras: IndRNNExtras, inputs: Gates, recurrent: Gates, state: HiddenState) -> HiddenState:
        """The equation above, from `a (B, H)`; `r` is zeros."""
        return HiddenState(hidden=jax.nn.relu(inputs + per_row(extras.recurrent_weight, inputs) * state.hidden))
