"""Any cell as a Flax cell."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.cells import Cell
from rnnjax.dtypes import promoted
from rnnjax.layers.parameters import declare_cell
from rnnjax.recurrences.noise import loop_of
from rnnjax.recurrences.recurrence import as_state, one_size, settle
from rnnjax.types import Size, State, features


class FlaxCell(nn.RNNCellBase):
    """Any rnnjax cell as a Flax cell, for `flax.linen.RNN(FlaxCell(LSTM(), 64))`.

    The carry may be a plain tuple of the state's arrays; the new carry has the same type and dtypes.
    """

    cell: Cell
    hidden_size: Size
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, carry: State, inputs: jax.Array) -> tuple[State, jax.Array]:
        """One step over any batch axes: the new state and the output `(..., O)`."""
        dtype = self.dtype or promoted(inputs, self.param_dtype)
        batch, own = inputs.shape[: -self.num_feature_axes], inputs.shape[-self.num_feature_axes :]
        params = declare_cell(self, self.cell, one_size(own), self.hidden_size, dtype, self.param_dtype)
        rows = math.prod(batch)
        flat = jax.tree.map(lambda leaf: jnp.reshape(leaf, (rows, *jnp.shape(leaf)[len(batch) :])), carry)
        before = as_state("carry", self.cell, flat, rows, dtype, self.hidden_size)
        cell, params = settle(self.cell, params)
        loop, inputs = loop_of(cell, params, None), inputs.astype(dtype).reshape(rows, *own)
        state = loop.step(inputs, before)
        output = loop.output(inputs, state)
        state, output = jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), (state, output))
        # A loop over steps requires the structure and dtypes of the given carry.
        leaves = [new.astype(jnp.result_type(old)) for new, old in zip(state, jax.tree.leaves(carry), strict=True)]
        return jax.tree.unflatten(jax.tree.structure(carry), leaves), output

    @nn.nowrap
    def initialize_carry(self, rng: jax.Array, input_shape: tuple[int, ...]) -> State:
        """The initial state of the cell for inputs of shape `(..., I)`."""
        batch = input_shape[: -self.num_feature_axes]
        state = self.cell.init_state(math.prod(batch), self.hidden_size, self.dtype or self.param_dtype)
        return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), state)

    @property
    def num_feature_axes(self) -> int:
        return len(features(self.hidden_size))
