"""The gate pre-activations of a pointwise cell, computed with as few matrix products as possible."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import CellParams, PointwiseCell, as_read
from rnnjax.dtypes import widen
from rnnjax.maps import Dense, MapParams, add_bias, outer
from rnnjax.types import Extras, Features, State


class PreActivations(NamedTuple):
    """The pre-activations `a` and `r`, the arguments of `update`.

    `recurrent` is None if `update` only uses their sum (then `inputs` is the sum), or if the cell has no R.
    """

    inputs: jax.Array
    recurrent: jax.Array | None


class Weights(NamedTuple):
    """The maps of a cell; `joint` is one kernel `(I + H, G)` if both are matrices and only the sum `a + r` is used."""

    params: CellParams
    joint: jax.Array | None

    @classmethod
    def of(cls, cell: PointwiseCell, params: CellParams, state: State, inputs: Features) -> "Weights":
        """The maps of `cell`. `joint` is computed here once, not in a loop over steps."""
        if not (is_dense(cell) and reads_sum(cell, params, state, inputs)):
            return cls(params, None)
        return cls(params, jnp.concatenate([params.input.kernel, params.recurrent.kernel]))

    def pre_activations(self, cell: PointwiseCell, inputs: jax.Array, hidden: jax.Array) -> PreActivations:
        """The pre-activations of one step, from inputs `(B, I)` and the previous hidden state `(B, H)`."""
        params = self.params
        if self.joint is None:
            own, recurrent = cell.pre_activations(params, inputs, hidden)
            return PreActivations(own, None if params.recurrent is None else recurrent)
        both = jnp.concatenate([inputs, as_read(hidden, self.joint)], axis=-1)
        return PreActivations(add_bias(add_bias(both @ self.joint, params.input.bias), params.recurrent.bias), None)

    def pullback(
        self, cell: PointwiseCell, inputs: jax.Array, hidden: jax.Array, gates: PreActivations, sums: CellParams
    ) -> CellParams:
        """`sums` plus the gradients of the maps over one chunk, with one product for each kernel."""
        if self.joint is not None:
            width = inputs.shape[-1]
            d_joint = outer((inputs, hidden, None), gates.inputs)
            own = MapParams(d_joint[:width], d_joint[-1])
            recurrent = MapParams(d_joint[width:-1], d_joint[-1])
        else:
            own = cell.input_map.pullback(self.params.input.kernel, inputs, gates.inputs, cell.gates)
            recurrent = None
            if cell.recurrent_map is not None:
                kernel = self.params.recurrent.kernel
                d_recurrent: Any = gates.recurrent
                recurrent = cell.recurrent_map.pullback(kernel, hidden, d_recurrent, cell.recurrent_gates)
        return sums._replace(input=_add_to(sums.input, own), recurrent=_add_to(sums.recurrent, recurrent))


def _add_to(total: Any, part: Any) -> Any:
    """The sum; None for parameters that the cell does not have."""
    if total is None:
        return None
    bias = None if total.bias is None else total.bias + in_dtype(part.bias, total.bias)
    return MapParams(total.kernel + in_dtype(part.kernel, total.kernel), bias)


def in_dtype(cotangent: jax.Array, like: jax.Array) -> jax.Array:
    """A cotangent in the dtype of its array; the cotangent of a real array is real even after complex arithmetic."""
    if jnp.iscomplexobj(cotangent) and not jnp.iscomplexobj(like):
        cotangent = cotangent.real
    return cotangent.astype(like.dtype)


def update(cell: PointwiseCell, extras: Extras, gates: PreActivations, state: State) -> State:
    """The cell's `update`, for pre-activations with or without the `recurrent` part."""
    recurrent = jnp.zeros_like(gates.inputs) if gates.recurrent is None else gates.recurrent
    return cell.wide_update(extras, gates.inputs, recurrent, state)


def is_dense(cell: PointwiseCell) -> bool:
    """Whether both maps are plain matrices, which can then be joined."""
    # `type(...) is`, because a subclass may compute something else.
    return type(cell.input_map) is Dense and type(cell.recurrent_map) is Dense


def reads_sum(cell: PointwiseCell, params: CellParams, state: State, inputs: Features) -> bool:
    """Whether `update` only uses the sum of `a` and `r`.

    Determined from its jaxpr, so a cell need not declare it. False is always safe.
    """
    if params.recurrent is None:
        return False
    rows = jax.ShapeDtypeStruct((*state.hidden.shape[:1], *inputs), state.hidden.dtype)
    both = jax.eval_shape(cell.pre_activations, params, rows, state.hidden)
    if both[0].shape != both[1].shape:
        return False
    gates = jax.ShapeDtypeStruct(both[0].shape, state.hidden.dtype)
    # In the widened dtypes of a step: mixed dtypes raise an error if the user has forbidden dtype promotion.
    shapes = jax.eval_shape(widen, (params.extras, gates, gates, state))
    jaxpr = jax.make_jaxpr(cell.update)(*shapes).jaxpr
    first = len(jax.tree.leaves(params.extras))
    pair: list[Any] = jaxpr.invars[first : first + 2]
    readers = [equation for equation in jaxpr.eqns if any(variable in pair for variable in equation.invars)]
    escapes = any(variable in pair for variable in jaxpr.outvars)
    return (
        not escapes and len(readers) == 1 and readers[0].primitive.name == "add" and set(readers[0].invars) == set(pair)
    )
