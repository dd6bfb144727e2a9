"""What a cell is: parameters, a state, and what happens at one step."""

import abc
import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from rnnjax.cells.initializers import Initializer, glorot_uniform, orthogonal, zeros
from rnnjax.dtypes import cast_like, widen
from rnnjax.types import Gates, Params, State, Step


class CellParams(NamedTuple):
    """The two affine maps of a cell: `a = x W + b` and `r = h R + c`."""

    kernel: Float[Array, "input gates"]
    recurrent_kernel: Float[Array, "hidden gates"]
    bias: Float[Array, " gates"]
    recurrent_bias: Float[Array, " gates"] | None = None


# The logistic function. Not `0.5 * tanh(0.5 * x) + 0.5`, which is 0 from x = -18 down (in bfloat16 from -7), where the
# gate of a long memory stands, and has no gradient there.
sigmoid = jax.nn.sigmoid


def per_row(vector: jax.Array, rows: jax.Array) -> jax.Array:
    """`vector (H,)` as what each row of `rows (..., H)` meets: axes in front, which NumPy would add unasked.

    JAX would too, but not under `jax.numpy_rank_promotion("raise")`.
    """
    return jnp.expand_dims(vector, range(rows.ndim - 1))


def affine(inputs: jax.Array, kernel: jax.Array, bias: jax.Array | None) -> jax.Array:
    """`inputs @ kernel + bias` over the last axis; no bias where it is None."""
    return add_bias(inputs @ kernel, bias)


def add_bias(product: jax.Array, bias: jax.Array | None) -> jax.Array:
    """`product + bias`; no bias where it is None."""
    return product if bias is None else product + per_row(bias, product)


def pre_activations(params: Params, inputs: jax.Array, hidden: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`a = x W + b` and `r = h R + c`, each `(..., G)`; r is zeros where there is no R."""
    own = affine(inputs, params.kernel, params.bias)
    if params.recurrent_kernel is None:
        return own, jnp.zeros_like(own)
    return own, affine(as_read(hidden, params.recurrent_kernel), params.recurrent_kernel, params.recurrent_bias)


def as_read(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
    """The hidden state in the dtype of the kernel that reads it: a cell may keep a wider one. Complex stays complex."""
    return hidden.astype(kernel.dtype) if jnp.issubdtype(hidden.dtype, jnp.floating) else hidden


def add_to_block(bias: Params, block: int, hidden_size: int, amount: float) -> Params:
    """The bias with `amount` added to one of its gate blocks; in its box, where its initialiser put it into one."""
    rows = slice(block * hidden_size, (block + 1) * hidden_size)
    return jax.tree.map(lambda leaf: leaf.at[rows].add(amount), bias)


def check_sizes(input_size: int, hidden_size: int) -> None:
    """Raises ValueError for a size below 1."""
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")


class Cell(abc.ABC):
    """A cell is what happens at one step; a recurrence runs it over time.

    A cell is a frozen dataclass (hashable, so static under `jax.jit`) of pure functions. Its options are
    its fields, given by keyword only: a number of hidden features, say, is the layer's and none of them. Its
    state is a NamedTuple with a field `hidden`: what the layer outputs. Derive from this class only where the
    step cannot be written as `PointwiseCell` asks.
    """

    @abc.abstractmethod
    def init_params(self, key: PRNGKeyArray, input_size: int, hidden_size: int, dtype=jnp.float32) -> Params:
        """New parameters, a NamedTuple of arrays of this dtype."""

    @abc.abstractmethod
    def init_state(self, batch_size: int, hidden_size: int, dtype=jnp.float32) -> State:
        """The state before the first step: zeros, each `(B, H)`."""

    @abc.abstractmethod
    def step(self, params: Params, inputs: Step, state: State) -> State:
        """The state after one step."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointwiseCell(Cell):
    """A cell whose step is two affine maps and one function without a matrix product.

        a_t = x_t W + b            input part: no recurrence in it
        r_t = h_{t-1} R + c        recurrent part; c only where `second_bias` says so
        s_t = update(a_t, r_t, s_{t-1})

    `update` mixes no rows, and that is all a recurrence must know to run the cell in every way, backward
    passes of its own included. It is pointwise in most cells; it may mix the features of a row, as a layer
    norm does. A subclass gives `gates` (how many blocks of H pre-activations; a property where its options
    decide), `init_state` and `update`. Parameters beyond the two maps (peepholes, gains) are further fields
    of a params NamedTuple of the cell's own, beside the four of `CellParams`, and reach `update` through its
    `params`; the four are None there when a recurrence has applied them already. Of the four, all but W may
    be None for good: without b nothing is added, and without R (and then c) `recurrent` is zeros.

    Initialisation: Glorot-uniform over the whole input kernel (Glorot and Bengio 2010), orthogonal per
    gate block of the recurrent kernel (Saxe et al. 2014), zero bias. An initialiser may put its array into a
    box that names the axes (`flax.linen.with_partitioning`). Where a cell reads only `a + r` the second bias adds
    nothing that b could not; PyTorch's layers have it all the same.
    """

    gates: ClassVar[int]

    second_bias: bool = False
    kernel_init: Initializer = glorot_uniform
    recurrent_init: Initializer = orthogonal
    bias_init: Initializer = zeros

    def init_params(self, key: PRNGKeyArray, input_size: int, hidden_size: int, dtype=jnp.float32) -> Params:
        """`W (I, G)`, `R (H, G)`, `b (G,)` and, where the cell has a second bias, `c (G,)`.

        Raises ValueError for a size below 1.
        """
        check_sizes(input_size, hidden_size)
        width = self.gates * hidden_size
        kernel_key, recurrent_key, bias_key, second_key = jax.random.split(key, 4)
        blocks = [
            self.recurrent_init(block_key, (hidden_size, hidden_size), dtype)
            for block_key in jax.random.split(recurrent_key, self.gates)
        ]
        return CellParams(
            kernel=self.kernel_init(kernel_key, (input_size, width), dtype),
            recurrent_kernel=jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *blocks),
            bias=self.bias_init(bias_key, (width,), dtype),
            recurrent_bias=self.bias_init(second_key, (width,), dtype) if self.second_bias else None,
        )

    @abc.abstractmethod
    def update(self, params: Params, inputs: Gates, recurrent: Gates, state: State) -> State:
        """The equation of the paper, row by row: of both pre-activations, each `(B, G)`, and the state."""

    def step(self, params: Params, inputs: Step, state: State) -> State:
        """One step, `x_t (B, I)` and the state before it in, the state after it out."""
        return self.wide_update(params, *pre_activations(params, inputs, state.hidden), state)

    def wide_update(self, params: Params, inputs: Gates, recurrent: Gates, state: State) -> State:
        """`update` computed in float32 at least; each array of the new state has the dtype that it had before.

        In bfloat16, `1 - sigmoid(7)` and the slope of `tanh(4)` would be 0.
        """
        return cast_like(self.update(*widen((params, inputs, recurrent, state))), state)
