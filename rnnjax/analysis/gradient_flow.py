"""Gradient flow: the gradient of a loss with respect to the state of each step, and its bound for any loss.

Both depend on the product of the step Jacobians `J_t = d s_t / d s_(t-1)`:

    dL/ds_t = (direct part of L at t) + J_(t+1)^T dL/ds_(t+1)        for one loss: a vector
    d s_T / d s_t = J_T J_(T-1) ... J_(t+1)                          for every loss: a matrix

The norm of the product decreases or grows about geometrically with the number of factors, and leaves the range of
float32 within a hundred or two hundred steps. Therefore the carried value is scaled to a size near 1 and stored with
its power of two, and the results are base-10 logarithms: as precise at -150 as at 0, and -inf for zero.

Sources: Hochreiter 1991, "Untersuchungen zu dynamischen neuronalen Netzen"; Bengio, Simard and Frasconi 1994,
"Learning Long-Term Dependencies with Gradient Descent is Difficult"; Pascanu, Mikolov and Bengio 2013, "On
the difficulty of training recurrent neural networks".
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rnnjax.cells.cell import Cell
from rnnjax.recurrences.recurrence import Problem, prepare
from rnnjax.types import Params, State, TimeInputs

Log10 = Float[Array, "time batch"]

# The exponent of zero: below all others, and far enough from the limits of int32 for subtraction.
ZERO = -(2**30)


class Scaled(NamedTuple):
    """K cotangents `value * 2**exponent`: each leaf is `(K, B, ...)`, the exponent `(B,)`."""

    value: State
    exponent: jax.Array


class GradientNorms(NamedTuple):
    """Base-10 logarithms of `|dL/ds_t|`, each `(T, B)`: for the whole state, and for each of its fields."""

    whole: Log10
    fields: State


def gradient_norms(
    loss: Callable[[State], jax.Array], cell: Cell, params: Params, inputs: TimeInputs, state: State
) -> GradientNorms:
    """The norm of the gradient of a loss with respect to the state after every step, as base-10 logarithms.

        log10 |dL/ds_t|,  dL/ds_t = (direct part of L at t) + J_(t+1)^T dL/ds_(t+1)

    This is the total derivative, through all later steps. `loss` is a scalar function of the states after every step,
    a tree of `(T, B, ...)`; inputs are `(T, B, I)` and `state` is the state before the first step. A gradient of zero
    gives -inf; a sequence with a non-finite state gives NaN. T and the size of the gradient do not limit the result.
    The step of the cell must not mix the sequences of a batch.

    Raises ValueError for shapes that do not match, or for a loss that is not a scalar. Source: Pascanu, Mikolov and
    Bengio 2013, eq. 3 to 5.
    """
    cell, problem = prepare(cell, params, inputs, state)
    states = _states(cell, problem)
    shape = jax.eval_shape(loss, states).shape
    if shape != ():
        raise ValueError(f"loss: expected a scalar, got shape {shape}")
    direct = jax.tree.map(lambda leaf: leaf[:, None], jax.grad(loss)(states))
    nothing = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), direct)

    def measure(cotangent: State) -> GradientNorms:
        return GradientNorms(_log10_norm(cotangent), jax.tree.map(_log10_norm, cotangent))

    return _walk_back(cell, problem, states, nothing, direct, measure)


def jacobian_products(
    cell: Cell, params: Params, inputs: TimeInputs, state: State, *, field: str | None = None
) -> Log10:
    """The largest singular value of `d s_T / d s_t` at every step t, as base-10 logarithms `(T, B)`.

        log10 sigma_max(J_T J_(T-1) ... J_(t+1)),  0 at the last step

    It bounds the gradient at step t of any loss of the last state. `field=None` uses the whole state, with its fields
    concatenated (2H x 2H for an LSTM). The name of a field selects its block of the product, such as `d h_T / d h_t`
    for "hidden"; it includes the paths through all other fields, and is H x H for every cell, so that cells can be
    compared. Inputs are `(T, B, I)`, `state` is the state before the first step. Zeros, non-finite states and batches
    are treated as in `gradient_norms`.

    Raises ValueError for shapes that do not match, or for an unknown field. Source: Pascanu, Mikolov and Bengio 2013,
    eq. 5 to 7.
    """
    cell, problem = prepare(cell, params, inputs, state)
    fields = problem.initial_state._fields
    if field is not None and field not in fields:
        raise ValueError(f"field: expected one of {fields} or None, got {field!r}")
    kept = fields if field is None else (field,)
    states = _states(cell, problem)

    def measure(cotangent: State) -> jax.Array:
        rows = [getattr(cotangent, name) for name in kept]
        matrix = jnp.concatenate([leaf.reshape(*leaf.shape[:2], -1) for leaf in rows], axis=-1)
        return jnp.log10(jnp.linalg.svd(matrix.swapaxes(0, 1), compute_uv=False)[:, 0])  # sorted, largest first

    return _walk_back(cell, problem, states, _basis(problem.initial_state, kept), None, measure)


def _states(cell: Cell, problem: Problem) -> State:
    """The states after every step, `(T, B, ...)`."""

    def step(state, inputs):
        after = cell.step(problem.params, inputs, state)
        return after, after

    return jax.lax.scan(step, problem.initial_state, problem.inputs)[1]


def _basis(state: State, kept: tuple[str, ...]) -> State:
    """One unit cotangent for every number in the kept fields of a sequence, `(K, B, ...)`."""
    sizes = [leaf[0].size if name in kept else 0 for name, leaf in state._asdict().items()]
    blocks, start = [], 0
    for leaf, size in zip(state, sizes, strict=True):
        rows = jnp.eye(sum(sizes), leaf[0].size, -start, leaf.dtype) if size else jnp.zeros((sum(sizes), leaf[0].size))
        rows = rows.reshape(-1, 1, *leaf.shape[1:])
        blocks.append(jnp.broadcast_to(rows, (sum(sizes), *leaf.shape)))
        start += size
    return type(state)(*blocks)


def _walk_back(
    cell: Cell, problem: Problem, states: State, last: State, direct: State | None, measure: Callable[[State], Any]
) -> Any:
    """The stacked results of `measure` for the cotangents of every step.

    `last` is the cotangent that arrives at the last step, `direct` the direct part of every step, with a leading axis
    T. `measure` is called with scaled cotangents and returns logarithms, to which the logarithm of the scale is added.
    """
    before = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), problem.initial_state, states)
    # The derivative of relu at NaN is 0, so an overflow of the state would look like a vanishing gradient.
    finite = jnp.isfinite(_by_sequence(states)).all(axis=1)

    def back(arriving: Scaled, xs: Any) -> tuple[Scaled, Any]:
        inputs, state, added = xs
        total = arriving if added is None else _add(arriving, _scaled(added))
        scale = jnp.where(finite, total.exponent * math.log10(2), jnp.nan)
        measured = jax.tree.map(lambda log10: log10 + scale, measure(total.value))
        _, pull = jax.vjp(functools.partial(cell.step, problem.params, inputs), state)
        (earlier,) = jax.vmap(pull)(total.value)
        return _scaled(earlier, total.exponent), measured

    return jax.lax.scan(back, _scaled(last), (problem.inputs, before, direct), reverse=True)[1]


def _by_sequence(tree: State) -> jax.Array:
    """All numbers of each sequence in one row, `(B, ...)`."""
    return jnp.concatenate([leaf.swapaxes(0, 1).reshape(leaf.shape[1], -1) for leaf in jax.tree.leaves(tree)], axis=1)


def _log10_norm(tree: State) -> jax.Array:
    """The logarithm of the norm of each sequence, `(B,)`; -inf for zero."""
    numbers = _by_sequence(tree)
    # Divided by the largest number first, because the square of 1e-30 is zero in float32.
    largest = jnp.abs(numbers).max(axis=1)
    return jnp.log10(largest) + jnp.log10(
        jnp.linalg.norm(numbers / jnp.where(largest > 0, largest, 1)[:, None], axis=1)
    )


def _scaled(tree: State, exponent: jax.Array | int = 0) -> Scaled:
    """`tree * 2**exponent`, rescaled so that the largest number is between 1/2 and 1."""
    largest = jnp.abs(_by_sequence(tree)).max(axis=1)
    own = jnp.frexp(largest)[1]
    return Scaled(_shift(tree, -own), jnp.where(largest > 0, own + exponent, ZERO))


def _add(one: Scaled, other: Scaled) -> Scaled:
    """The sum of two cotangents."""
    exponent = jnp.maximum(one.exponent, other.exponent)
    parts = [_shift(each.value, each.exponent - exponent) for each in (one, other)]
    return _scaled(jax.tree.map(jnp.add, *parts), exponent)


def _shift(tree: State, exponent: jax.Array) -> State:
    """The numbers of each sequence times a power of two, which is exact."""
    return jax.tree.map(lambda leaf: jnp.ldexp(leaf, exponent.reshape(1, -1, *[1] * (leaf.ndim - 2))), tree)
