"""The GRU whose recurrent weights are vectors, so that its Jacobian is diagonal."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.cell import HiddenState, PointwiseCell, check_only_input_map, sigmoid
from rnnjax.initializers import Initializer, small_normal
from rnnjax.maps import Map, per_row
from rnnjax.types import Features, Gates


class ParaGRUExtras(NamedTuple):
    """The recurrent weight of each unit, for both gates and the candidate."""

    update_weight: Float[Array, "*hidden"]
    reset_weight: Float[Array, "*hidden"]
    candidate_weight: Float[Array, "*hidden"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParaGRU(PointwiseCell):
    """GRU with vectors as recurrent weights, so units interact only through the next layer.

        z, r, c = split(x_t W + b)
        update = sigmoid(z + u_z * h_{t-1})
        reset = sigmoid(r + u_r * h_{t-1})
        h_t = (1 - update) * h_{t-1} + update * tanh(c + u_c * reset * h_{t-1})

    The Jacobian of a step is diagonal: `Newton` solves the linear recurrences with one number per unit, exactly.
    `recurrent_init` draws each u `(H,)`: normal with standard deviation 0.1; the code of the paper has 2 / sqrt(5 H),
    which is that for H = 80. Source: Danieli, Rodriguez, Sarabia, Suau and Zappella 2025, "ParaRNN: Unlocking Parallel
    Training of Nonlinear RNNs for Large Language Models" (there, W is block-diagonal). Raises ValueError for a second
    bias or a recurrent map.
    """

    gates: ClassVar[int] = 3
    elementwise: ClassVar[bool] = True

    recurrent_map: Map | None = None
    recurrent_init: Initializer = small_normal

    def __post_init__(self):
        check_only_input_map(self)

    def init_extras(self, key: PRNGKeyArray, inputs: Features, hidden: Features, dtype: Any) -> ParaGRUExtras:
        """Three vectors `(H,)`."""
        return ParaGRUExtras(*(self.recurrent_init(own, hidden, dtype) for own in jax.random.split(key, 3)))

    def update(self, extras: ParaGRUExtras, inputs: Gates, recurrent: Gates, state: HiddenState) -> HiddenState:
        """The equation above, from `a (B, 3H)`; `r` is zeros."""
        z, r, c = jnp.split(inputs, 3, axis=-1)
        u_z, u_r, u_c = (per_row(weight, state.hidden) for weight in extras)
        update = sigmoid(z + u_z * state.hidden)
        reset = sigmoid(r + u_r * state.hidden)
        candidate = jnp.tanh(c + u_c * reset * state.hidden)
        return HiddenState((1 - update) * state.hidden + update * candidate)
