"""The loops of `Chunked`, forwards and backwards, as one function with a gradient of its own."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from rnnjax.cells.cell import PointwiseCell
from rnnjax.dtypes import at_least_float32
from rnnjax.recurrences.chunks import Walk
from rnnjax.recurrences.gates import PreActivations, Weights, in_dtype, update, without_maps
from rnnjax.recurrences.noise import hold_back, masked
from rnnjax.recurrences.recurrence import Flags, clear_padding, enter, leave, select, zero_where
from rnnjax.types import Params, State

Keep = Literal["gates", "boundaries"]


class Kept(NamedTuple):
    """What the forward pass leaves: of every step the state before it and what `update` read, or of every chunk
    the state before it."""

    steps: tuple[State, PreActivations] | None = None
    chunks: State | None = None


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def run_chunks(
    cell: PointwiseCell,
    keep: Keep,
    walk: Walk,
    params: Params,
    inputs: jax.Array,
    initial_state: State,
    reset_state: State | None,
    flags: Flags,
    mask: jax.Array | None,
) -> tuple[jax.Array, State]:
    """Outputs and the final state of a `Problem` with at least one step."""
    # Nothing is kept, and one chunk is the fastest. It is walked over all the same, since the loops must be alike (see
    # `_values`); the compiler takes one of a single turn away.
    walk = walk._replace(size=walk.size and inputs.shape[0])
    values, _ = _values(cell, keep, walk, params, inputs, initial_state, reset_state, flags, mask, keeping=False)
    return values


def _values(
    cell: PointwiseCell,
    keep: Keep,
    walk: Walk,
    params: Params,
    inputs: jax.Array,
    initial_state: State,
    reset_state: State | None,
    flags: Flags,
    mask: jax.Array | None,
    *,
    keeping: bool,
) -> tuple[tuple[jax.Array, State], Kept]:
    """The values and, with `keeping`, what the backward pass needs.

    The loops are built alike either way, and must be: under `vmap` of another transformation JAX takes the values from
    one of the two and their mapped axes from the other.
    """
    steps = _steps(cell, Weights.of(cell, params, initial_state), reset_state, mask, walk.reverse)
    if keep == "gates":

        def take(before: State, gates: PreActivations, after: State) -> tuple[jax.Array, Any]:
            return after.hidden, (before, gates) if keeping else None

        final, (hidden, kept) = steps(initial_state, inputs, flags, take)
        return (hidden, final), Kept(steps=kept)

    def chunk(state: State, xs: tuple[jax.Array, Flags], _: None) -> tuple[State, jax.Array, State]:
        final, hidden = steps(state, *xs, lambda before, gates, after: after.hidden)
        return final, hidden, state

    final, hidden, before_chunks = walk.over(chunk, initial_state, (inputs, flags))
    return (hidden, final), Kept(chunks=before_chunks)


def _steps(
    cell: PointwiseCell, weights: Weights, reset_state: State | None, mask: jax.Array | None, reverse: bool
) -> Callable:
    """A scan over steps, `(state, inputs, flags, take) -> (state, what take(before, gates, after) takes of each)`."""
    extras = without_maps(weights.params)

    def steps(state: State, inputs: jax.Array, flags: Flags, take: Callable) -> tuple[State, Any]:
        def step(state: State, xs: tuple[jax.Array, Flags]) -> tuple[State, Any]:
            inputs, flags = xs
            before = enter(reset_state, state, flags)
            gates = weights.pre_activations(clear_padding(inputs, flags), masked(before.hidden, mask))
            state, after = leave(state, hold_back(before, update(cell, extras, gates, before), flags.hold), flags)
            return state, take(before, gates, after)

        return jax.lax.scan(step, state, (inputs, flags), reverse=reverse)

    return steps


def _forward(cell: PointwiseCell, keep: Keep, walk: Walk, *primals: Any) -> tuple[Any, Any]:
    """The values, and what the backward pass needs."""
    params, inputs, initial_state, reset_state, flags, mask = jax.tree.map(lambda primal: primal.value, primals)
    values, kept = _values(cell, keep, walk, params, inputs, initial_state, reset_state, flags, mask, keeping=True)
    return values, (params, inputs, initial_state, reset_state, flags, mask, kept)


def _backward(cell: PointwiseCell, keep: Keep, walk: Walk, saved: Any, cotangents: Any) -> tuple[Any, ...]:
    params, inputs, initial_state, reset_state, flags, mask, kept = saved
    d_hidden, d_final = cotangents
    # Where only the last state is read, no array of zeros stands for the outputs' gradient.
    d_hidden = None if isinstance(d_hidden, SymbolicZero) else d_hidden

    def arriving(like: jax.Array, leaf: Any) -> Any:
        if not is_continuous(like):
            return None
        return jnp.zeros_like(like) if isinstance(leaf, SymbolicZero) else leaf

    d_final = jax.tree.map(arriving, initial_state, d_final)
    extras, weights = without_maps(params), Weights.of(cell, params, initial_state)
    kernel_t = params.kernel.T
    recurrent_t = None if params.recurrent_kernel is None else params.recurrent_kernel.T
    steps = _steps(cell, weights, reset_state, mask, walk.reverse)

    def after(given: Any, extras: Params, before: State, gates: PreActivations, hold: Any) -> State:
        extras, before = replaced((extras, before), given)
        return continuous(hold_back(before, update(cell, extras, gates, before), hold))

    def step(carry: Any, xs: Any) -> tuple[Any, PreActivations]:
        d_state, d_reset, d_extras = carry
        (before, gates), d_hidden, flags = xs
        d_after = d_state if d_hidden is None else d_state._replace(hidden=d_state.hidden + d_hidden)
        if flags.valid is not None:
            d_after = zero_where(~flags.valid, d_after)
        _, pullback = jax.vjp(
            lambda given, gates: after(given, extras, before, gates, flags.hold), continuous((extras, before)), gates
        )
        (d_extra, d_before), d_gates = pullback(d_after)
        if recurrent_t is not None:
            d_recurrent = d_gates.inputs if d_gates.recurrent is None else d_gates.recurrent
            d_read = masked(d_recurrent @ recurrent_t, mask)
            d_before = d_before._replace(hidden=d_before.hidden + in_dtype(d_read, d_before.hidden))
        if flags.valid is not None:
            d_before = select(flags.valid, d_before, d_state)
        if flags.reset is not None:
            d_reset = select(flags.reset, add(d_reset, d_before), d_reset)
            d_before = zero_where(flags.reset, d_before)
        return (d_before, d_reset, add(d_extras, d_extra)), d_gates

    def chunk(carry: Any, xs: Any, entering: State | None) -> tuple[Any, jax.Array | None, None]:
        d_state, d_reset, d_params = carry
        inputs, d_hidden, flags, read = xs
        if read is None:
            _, read = steps(entering, inputs, flags, lambda before, gates, after: (before, gates))
        (d_state, d_reset, d_extras), d_gates = jax.lax.scan(
            step, (d_state, d_reset, without_maps(d_params)), (read, d_hidden, flags), reverse=not walk.reverse
        )
        before, _ = read
        d_params = weights.pullback(
            clear_padding(inputs, flags), masked(before.hidden, mask), d_gates, d_params, d_extras
        )
        # Where nobody asks for it JAX leaves it out. Whether anybody does must not be known here: JAX keeps what the
        # forward rule found out the last time, of another gradient perhaps.
        d_inputs = in_dtype(clear_padding(d_gates.inputs @ kernel_t, flags), inputs)
        return (d_state, d_reset, d_params), d_inputs, None

    carry = (d_final, wide_zeros(reset_state), wide_zeros(params))
    back = Walk(size=walk.size, reverse=not walk.reverse)
    (d_state, d_reset, d_params), d_inputs, _ = back.over(
        chunk, carry, (inputs, d_hidden, flags, kept.steps), kept.chunks
    )
    d_reset, d_params = jax.tree.map(
        lambda like, total: total.astype(like.dtype), continuous((reset_state, params)), (d_reset, d_params)
    )
    return d_params, d_inputs, d_state, d_reset, None, None


run_chunks.defvjp(_forward, _backward, symbolic_zeros=True)


def continuous(tree: Any) -> Any:
    """The tree with None for each array that has no gradient: integers and bools."""
    return jax.tree.map(lambda leaf: leaf if is_continuous(leaf) else None, tree)


def is_continuous(array: jax.Array) -> bool:
    """Whether an array can have a gradient."""
    return jnp.issubdtype(array.dtype, jnp.inexact)


def replaced(tree: Any, given: Any) -> Any:
    """The tree with the arrays that `given`, made by `continuous`, has in their place."""
    return jax.tree.map(lambda leaf, other: leaf if other is None else other, tree, given)


def wide_zeros(tree: Any) -> Any:
    """Zeros for the sum of a tree's gradients."""
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf, at_least_float32(leaf.dtype)), continuous(tree))


def add(total: Any, part: Any) -> Any:
    """The sum of two trees, leaf by leaf, in the dtype of the first."""
    return jax.tree.map(lambda left, right: left + in_dtype(right, left), total, part)
