"""A pointwise cell's gate pre-activations: computed by as few matrix products as the cell allows."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import PointwiseCell, add_bias, affine, as_read, pre_activations
from rnnjax.dtypes import at_least_float32, promoted
from rnnjax.types import Params, State


class PreActivations(NamedTuple):
    """What `update` reads, `a` and `r`.

    `recurrent` is None where it reads their sum only, which is then `inputs`, and where the cell has no R.
    """

    inputs: jax.Array
    recurrent: jax.Array | None


class Weights(NamedTuple):
    """The two affine maps of a cell; `joint` is one kernel `(I + H, G)` where only their sum is read."""

    params: Params
    joint: jax.Array | None

    @classmethod
    def of(cls, cell: PointwiseCell, params: Params, state: State) -> "Weights":
        """The maps as `cell` reads them. `joint` is made here, once, and not in a loop over steps."""
        if not reads_sum(cell, params, state):
            return cls(params, None)
        return cls(params, jnp.concatenate([params.kernel, params.recurrent_kernel]))

    def pre_activations(self, inputs: jax.Array, hidden: jax.Array) -> PreActivations:
        """Of one step, from inputs `(B, I)` and the hidden state before it `(B, H)`."""
        params = self.params
        if self.joint is None:
            own, recurrent = pre_activations(params, inputs, hidden)
            return PreActivations(own, None if params.recurrent_kernel is None else recurrent)
        both = jnp.concatenate([inputs, as_read(hidden, self.joint)], axis=-1)
        return PreActivations(add_bias(affine(both, self.joint, params.bias), params.recurrent_bias), None)

    def pullback(
        self, inputs: jax.Array, hidden: jax.Array, gates: PreActivations, sums: Params, extras: Params
    ) -> Params:
        """`extras`, and for the maps `sums` with a chunk's gradients added: one matrix product a kernel."""
        width = inputs.shape[-1]
        d_recurrent_kernel = d_second = None
        if self.joint is not None:
            d_joint = outer((inputs, hidden, None), gates.inputs)
            d_kernel, d_recurrent_kernel, d_bias = d_joint[:width], d_joint[width:-1], d_joint[-1]
            d_second = d_bias
        else:
            d_maps = outer((inputs, None), gates.inputs)
            d_kernel, d_bias = d_maps[:-1], d_maps[-1]
            if gates.recurrent is not None:
                d_maps = outer((hidden, None), gates.recurrent)
                d_recurrent_kernel, d_second = d_maps[:-1], d_maps[-1]
        return extras._replace(
            kernel=_add_to(sums.kernel, d_kernel),
            recurrent_kernel=_add_to(sums.recurrent_kernel, d_recurrent_kernel),
            bias=_add_to(sums.bias, d_bias),
            recurrent_bias=_add_to(sums.recurrent_bias, d_second),
        )


def _add_to(total: jax.Array | None, part: jax.Array | None) -> jax.Array | None:
    """The sum; None for a parameter that the cell does not have."""
    return None if total is None or part is None else total + in_dtype(part, total)


def in_dtype(cotangent: jax.Array, like: jax.Array) -> jax.Array:
    """A cotangent in the dtype of what it belongs to: of a real array it is real, whatever was computed with it."""
    if jnp.iscomplexobj(cotangent) and not jnp.iscomplexobj(like):
        cotangent = cotangent.real
    return cotangent.astype(like.dtype)


def without_maps(params: Params) -> Params:
    """What `update` may read: the parameters without those of the two affine maps."""
    return params._replace(kernel=None, recurrent_kernel=None, bias=None, recurrent_bias=None)


def update(cell: PointwiseCell, params: Params, gates: PreActivations, state: State) -> State:
    """The cell's `update` of pre-activations in either form."""
    recurrent = jnp.zeros_like(gates.inputs) if gates.recurrent is None else gates.recurrent
    return cell.wide_update(params, gates.inputs, recurrent, state)


def reads_sum(cell: PointwiseCell, params: Params, state: State) -> bool:
    """Whether `update` does nothing with `a` and `r` but add them to each other.

    Read off its jaxpr, so that a cell need not say so. False is always safe.
    """
    if params.recurrent_kernel is None:
        return False
    gates = jax.ShapeDtypeStruct((*state.hidden.shape[:-1], params.kernel.shape[1]), state.hidden.dtype)
    extras = without_maps(params)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), (extras, gates, gates, state))
    jaxpr = jax.make_jaxpr(cell.update)(*shapes).jaxpr
    first = len(jax.tree.leaves(extras))
    both: list[Any] = jaxpr.invars[first : first + 2]
    readers = [equation for equation in jaxpr.eqns if any(variable in both for variable in equation.invars)]
    escapes = any(variable in both for variable in jaxpr.outvars)
    return (
        not escapes and len(readers) == 1 and readers[0].primitive.name == "add" and set(readers[0].invars) == set(both)
    )


def outer(left: tuple[jax.Array | None, ...], right: jax.Array) -> jax.Array:
    """The sum over steps and batch of outer products, as one matrix product; in float32 at least.

    The rows of `left`'s parts stand side by side; None stands for a column of ones (for the bias gradient).
    """
    steps, batch, width = right.shape
    parts = [
        jnp.ones((steps, batch, 1), right.dtype) if part is None else part.astype(promoted(part, right))
        for part in left
    ]
    joined = jnp.concatenate(parts, axis=-1)
    return jax.lax.dot_general(
        joined.reshape(steps * batch, joined.shape[-1]),
        right.reshape(steps * batch, width),
        (((0,), (0,)), ((), ())),
        preferred_element_type=at_least_float32(right.dtype),
    )
