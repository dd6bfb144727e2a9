"""Jacobians of one step of an elementwise cell, stored as a few numbers for each unit."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import CellParams, PointwiseCell
from rnnjax.cells.linear import LinearCell
from rnnjax.dtypes import widen
from rnnjax.meshes import vary_alike
from rnnjax.types import Extras, Features, State


class UnitJacobians(NamedTuple):
    """Derivatives of every field of the new state, for each unit; all three entries have the fields of the state.

    `inputs.hidden[b, g, u]` is the derivative of `hidden[b, u]` with respect to `a[b, g * H + u]`, an array
    `(B, gates, *hidden)`. `recurrent.hidden (B, recurrent_gates, *hidden)` is the derivative of `hidden` with respect
    to r, and `state.hidden.cell (B, *hidden)` its derivative with respect to the previous `cell`. A field that is not
    real floating-point is None, both as the new field and as the previous one.
    """

    inputs: State
    recurrent: State
    state: State


def unit_jacobians(
    cell: PointwiseCell, extras: Extras, inputs: jax.Array, recurrent: jax.Array, state: State
) -> UnitJacobians:
    """The Jacobians of one `update` at its arguments, in at least float32.

    Computed with one forward-mode derivative for each block and each field. This is exact, because no unit depends on
    another unit of the same block. Raises ValueError for a cell that is not `elementwise`.
    """
    if not cell.elementwise:
        raise ValueError(f"expected a cell whose update is elementwise, got {type(cell).__name__}")
    extras, inputs, recurrent, state = widen((extras, inputs, recurrent, state))
    width = state.hidden.shape[-1]

    def of_blocks(after: Callable[[jax.Array], dict[str, jax.Array]], at: jax.Array) -> State:
        def along(direction: jax.Array) -> dict[str, jax.Array]:
            return jax.jvp(after, (at,), vary_alike((direction, at))[:1])[1]

        return _as_fields(state, jax.vmap(along, out_axes=1)(_ones_by_block(at, width)))

    def of_field(name: str) -> State:
        at = getattr(state, name)
        _, derivative = jax.jvp(
            lambda leaf: _real(cell.update(extras, inputs, recurrent, state._replace(**{name: leaf}))),
            (at,),
            vary_alike((jnp.ones_like(at), at))[:1],
        )
        return _as_fields(state, derivative)

    by_field = {name: of_field(name) for name in _real(state)}
    return UnitJacobians(
        of_blocks(lambda a: _real(cell.update(extras, a, recurrent, state)), inputs),
        of_blocks(lambda r: _real(cell.update(extras, inputs, r, state)), recurrent),
        # Transposed: first the new field, then the previous field.
        _as_fields(
            state,
            {name: _as_fields(state, {by: getattr(each, name) for by, each in by_field.items()}) for name in by_field},
        ),
    )


def step_jacobian(cell: PointwiseCell | LinearCell, params: CellParams, inputs: jax.Array, state: State) -> State:
    """The Jacobian of one step with respect to the previous state, at `x_t (B, I)` and that state.

        d s_t / d s_{t-1} = diag(ds/ds) + sum over the blocks g of r of diag(ds/dr_g) R_g^T

    `.cell.hidden[b, u, v]` is the derivative of `cell[b, u]` with respect to the previous `hidden[b, v]`, an array
    `(B, *hidden, *hidden)`; fields as in `UnitJacobians`. Works for any recurrent map and any number of feature axes.
    For a `LinearCell` it is `diag(decay_t)`, complex if the state is. Raises ValueError as `unit_jacobians`.
    """
    hidden = state.hidden.shape[1:]
    size = math.prod(hidden)
    if isinstance(cell, LinearCell):
        decay, drive = cell.coefficients(params, inputs)
        matrix = jax.vmap(jnp.diag)(jnp.broadcast_to(decay, drive.shape).reshape(len(drive), size))
        return _as_fields(state, {"hidden": _as_fields(state, {"hidden": matrix.reshape(-1, *hidden, *hidden)})})
    cell, params = cell.effective(params)
    gates = cell.pre_activations(params, inputs, state.hidden)
    units = unit_jacobians(cell, params.extras, *gates, state)
    matrix = None if cell.recurrent_map is None else recurrent_matrix(cell, params, hidden)

    def dense(name: str, by: str) -> jax.Array | None:
        own = getattr(getattr(units.state, name), by)
        total = jax.vmap(jnp.diag)(own.reshape(len(own), size))
        if by == "hidden" and matrix is not None:
            slopes = getattr(units.recurrent, name)
            total = total + jnp.einsum("bgu,vgu->buv", slopes.reshape(*slopes.shape[:2], size), matrix)
        return total.reshape(-1, *hidden, *hidden)

    names = list(_real(state))
    return _as_fields(state, {name: _as_fields(state, {by: dense(name, by) for by in names}) for name in names})


def recurrent_matrix(cell: PointwiseCell, params: CellParams, hidden: Features) -> jax.Array:
    """The recurrent map's linear part as `(H, gates, H)`, computed by applying it to each unit vector."""
    assert cell.recurrent_map is not None
    assert params.recurrent is not None
    (kernel,) = widen((params.recurrent.kernel,))
    size = math.prod(hidden)
    alone = jnp.eye(size, dtype=kernel.dtype).reshape(size, *hidden)
    out = cell.recurrent_map.product(kernel, alone, cell.recurrent_gates)
    out = out.reshape(*out.shape[:-1], cell.recurrent_gates, hidden[-1])
    return jnp.moveaxis(out, -2, 1).reshape(size, cell.recurrent_gates, size)


def _ones_by_block(like: jax.Array, width: int) -> jax.Array:
    """`(blocks, *like)`: each entry has ones in one block of the last axis, and zeros elsewhere."""
    blocks = like.shape[-1] // width
    ones = jnp.repeat(jnp.eye(blocks, dtype=like.dtype), width, axis=-1)
    return jnp.broadcast_to(jnp.expand_dims(ones, range(1, like.ndim)), (blocks, *like.shape))


def _real(state: State) -> dict[str, jax.Array]:
    """The real floating-point fields, which have derivatives."""
    return {name: leaf for name, leaf in state._asdict().items() if jnp.issubdtype(leaf.dtype, jnp.floating)}


def _as_fields(like: State, values: dict) -> State:
    """A state from a dict of fields, with None for the missing fields."""
    return type(like)(*(values.get(name) for name in like._fields))
