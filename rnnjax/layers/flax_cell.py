"""Any cell as a Flax cell."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.cells import Cell
from rnnjax.dtypes import promoted
from rnnjax.layers.parameters import declare_cell
from rnnjax.recurrences.recurrence import as_state
from rnnjax.types import State


class FlaxCell(nn.RNNCellBase):
    """Any rnnjax cell as a Flax cell, to be run by `flax.linen.RNN(FlaxCell(LSTM(), 64))`.

    A carry may be a plain tuple of the state's arrays; the new one is given as the old one was, in its dtypes.
    """

    cell: Cell
    hidden_size: int
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, carry: State, inputs: jax.Array) -> tuple[State, jax.Array]:
        """One step over any batch axes: the new state, and its `hidden (..., H)`."""
        dtype = self.dtype or promoted(inputs, self.param_dtype)
        params = declare_cell(self, self.cell, inputs.shape[-1], self.hidden_size, dtype, self.param_dtype)
        batch, rows = inputs.shape[:-1], math.prod(inputs.shape[:-1])
        flat = jax.tree.map(lambda leaf: jnp.reshape(leaf, (rows, *jnp.shape(leaf)[len(batch) :])), carry)
        before = as_state("carry", self.cell, flat, rows, dtype, self.hidden_size)
        state = self.cell.step(params, inputs.astype(dtype).reshape(rows, inputs.shape[-1]), before)
        state = jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), state)
        # The structure and dtypes that came, which a loop over steps asks for.
        leaves = [new.astype(jnp.result_type(old)) for new, old in zip(state, jax.tree.leaves(carry), strict=True)]
        return jax.tree.unflatten(jax.tree.structure(carry), leaves), state.hidden

    @nn.nowrap
    def initialize_carry(self, rng: jax.Array, input_shape: tuple[int, ...]) -> State:
        """The cell's zero state for inputs of shape `(..., I)`."""
        *batch, _ = input_shape
        state = self.cell.init_state(math.prod(batch), self.hidden_size, self.dtype or self.param_dtype)
        return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), state)

    @property
    def num_feature_axes(self) -> int:
        return 1
