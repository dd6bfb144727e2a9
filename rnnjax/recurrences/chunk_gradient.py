"""The forward and backward loops of `Chunked`, as one function with a custom gradient."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from rnnjax.cells.cell import PointwiseCell
from rnnjax.dtypes import at_least_float32
from rnnjax.recurrences.chunks import Walk
from rnnjax.recurrences.gates import PreActivations, Weights, in_dtype, update
from rnnjax.recurrences.noise import has_output, hold_back, masked, read_out
from rnnjax.recurrences.recurrence import Flags, Problem, Taken, clear_padding, enter, leave, select, zero_where
from rnnjax.types import State

Keep = Literal["gates", "boundaries"]


class Plan(NamedTuple):
    """Settings of a run: the chunks, what is kept for the backward pass, and whether all states are returned."""

    walk: Walk
    keep: Keep
    all_states: bool


class Kept(NamedTuple):
    """What the forward pass keeps: the previous state and arguments of every step, or the state before every chunk."""

    steps: tuple[State, PreActivations] | None = None
    chunks: State | None = None


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def run_chunks(cell: PointwiseCell, plan: Plan, problem: Problem) -> tuple[Taken, State]:
    """The outputs (and states) of all steps and the final state, for a `Problem` with at least one step."""
    # Without a gradient nothing is kept, so one chunk is the fastest. The outer loop stays, since the loops must have
    # the same structure (see `_values`); the compiler removes a loop of one iteration.
    walk = plan.walk._replace(size=plan.walk.size and problem.inputs.shape[0])
    values, _ = _values(cell, plan._replace(walk=walk), problem, keeping=False)
    return values


def _values(cell: PointwiseCell, plan: Plan, problem: Problem, *, keeping: bool) -> tuple[tuple[Taken, State], Kept]:
    """The values and, with `keeping`, what the backward pass needs.

    The loops must have the same structure with and without `keeping`: under `vmap` of another transformation, JAX takes
    the values from one of the two and their mapped axes from the other.
    """
    steps, initial_state = _steps(cell, plan, problem), problem.initial_state
    if plan.keep == "gates":

        def take(before: State, gates: PreActivations, taken: Taken) -> tuple[Taken, Any]:
            return taken, (before, gates) if keeping else None

        final, (taken, kept) = steps(initial_state, problem.inputs, problem.flags, take)
        return (taken, final), Kept(steps=kept)

    def chunk(state: State, xs: tuple[jax.Array, Flags], _: None) -> tuple[State, Taken, State]:
        final, taken = steps(state, *xs, lambda before, gates, taken: taken)
        return final, taken, state

    final, taken, before_chunks = plan.walk.over(chunk, initial_state, (problem.inputs, problem.flags))
    return (taken, final), Kept(chunks=before_chunks)


def _weights(cell: PointwiseCell, problem: Problem) -> Weights:
    return Weights.of(cell, problem.params, problem.initial_state, problem.inputs.shape[2:])


def _steps(cell: PointwiseCell, plan: Plan, problem: Problem) -> Callable:
    """A scan over steps: `(state, inputs, flags, take) -> (state, stacked results of take(before, gates, taken))`."""
    weights, extras, mask = _weights(cell, problem), problem.params.extras, problem.hidden_mask

    def steps(state: State, inputs: jax.Array, flags: Flags, take: Callable) -> tuple[State, Any]:
        def step(state: State, xs: tuple[jax.Array, Flags]) -> tuple[State, Any]:
            inputs, flags = xs
            inputs = clear_padding(inputs, flags)
            before = enter(problem.reset_state, state, flags)
            gates = weights.pre_activations(cell, inputs, masked(before.hidden, mask))
            after = hold_back(before, update(cell, extras, gates, before), flags.hold)
            state, taken = leave(before, after, read_out(cell, extras, inputs, after), flags, plan.all_states)
            return state, take(before, gates, taken)

        return jax.lax.scan(step, state, (inputs, flags), reverse=plan.walk.reverse)

    return steps


def _forward(cell: PointwiseCell, plan: Plan, problem: Any) -> tuple[Any, Any]:
    """The values, and what the backward pass needs."""
    problem = jax.tree.map(lambda primal: primal.value, problem)
    values, kept = _values(cell, plan, problem, keeping=True)
    return values, (problem, kept)


def _backward(cell: PointwiseCell, plan: Plan, saved: Any, cotangents: Any) -> tuple[Any, ...]:
    problem, kept = saved
    params, inputs, initial_state, reset_state, flags, mask = problem
    taken, d_final = cotangents
    # If only the last state is used, no array of zeros is needed as the gradient of the outputs.
    d_outputs = None if nothing_comes(taken.outputs) else taken.outputs
    d_states = None
    if not nothing_comes(taken.states):
        steps_of = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(inputs), *leaf.shape)), initial_state)
        d_states = arriving(taken.states, steps_of)
    d_final = arriving(d_final, initial_state)
    weights, steps, own_output = _weights(cell, problem), _steps(cell, plan, problem), has_output(cell)
    transposed = cell.input_map.transpose(params.input.kernel, inputs.shape[2:], cell.gates)
    recurrent_transposed = None
    if cell.recurrent_map is not None:
        read = initial_state.hidden.shape[1:]
        recurrent_transposed = cell.recurrent_map.transpose(params.recurrent.kernel, read, cell.recurrent_gates)

    def after(given: Any, gates: PreActivations, inputs: Any, before: State, hold: Any) -> tuple[State, Any]:
        """The state after a step, and the output if it differs from `hidden`."""
        extras, before = replaced((params.extras, before), given)
        state = hold_back(before, update(cell, extras, gates, before), hold)
        return continuous(state), read_out(cell, extras, inputs, state) if own_output else None

    def step(carry: Any, xs: Any) -> tuple[Any, tuple[PreActivations, Any]]:
        d_state, d_reset, d_extras = carry
        (before, gates), d_output, d_states, flags, inputs = xs
        if d_states is not None:
            d_state = add(d_state, d_states)
        d_after = d_state
        if d_output is not None and not own_output:
            d_after = d_state._replace(hidden=d_state.hidden + d_output)
        if flags.valid is not None:
            d_after, d_output = zero_where(~flags.valid, (d_after, d_output))
            inputs = None if inputs is None else clear_padding(inputs, flags)
        (_, output), pullback = jax.vjp(
            lambda given, gates, inputs: after(given, gates, inputs, before, flags.hold),
            continuous((params.extras, before)),
            gates,
            inputs,
        )
        if own_output and d_output is None:
            d_output = jnp.zeros_like(output)
        (d_extra, d_before), d_gates, d_inputs = pullback((d_after, d_output if own_output else None))
        if recurrent_transposed is not None and d_before.hidden is not None:
            d_recurrent = d_gates.inputs if d_gates.recurrent is None else d_gates.recurrent
            d_read = masked(recurrent_transposed(d_recurrent), mask)
            d_before = d_before._replace(hidden=d_before.hidden + in_dtype(d_read, d_before.hidden))
        if flags.valid is not None:
            d_before = select(flags.valid, d_before, d_state)
        if flags.reset is not None:
            d_reset = select(flags.reset, add(d_reset, d_before), d_reset)
            d_before = zero_where(flags.reset, d_before)
        return (d_before, d_reset, add(d_extras, d_extra)), (d_gates, d_inputs)

    def chunk(carry: Any, xs: Any, entering: State | None) -> tuple[Any, jax.Array | None, None]:
        d_state, d_reset, d_params = carry
        inputs, d_outputs, d_states, flags, read = xs
        if read is None:
            _, read = steps(entering, inputs, flags, lambda before, gates, taken: (before, gates))
        (d_state, d_reset, d_extras), (d_gates, d_direct) = jax.lax.scan(
            step,
            (d_state, d_reset, d_params.extras),
            (read, d_outputs, d_states, flags, inputs if own_output else None),
            reverse=not plan.walk.reverse,
        )
        before, _ = read
        cleared = clear_padding(inputs, flags)
        d_params = weights.pullback(cell, cleared, masked(before.hidden, mask), d_gates, d_params)
        # If the gradient of the inputs is unused, JAX removes it. The forward rule must not decide this: JAX caches the
        # result of the forward rule and may reuse it for a different gradient.
        d_inputs = transposed(d_gates.inputs)
        if d_direct is not None:
            d_inputs = d_inputs + in_dtype(d_direct, d_inputs)
        return (
            (d_state, d_reset, d_params._replace(extras=d_extras)),
            in_dtype(clear_padding(d_inputs, flags), inputs),
            None,
        )

    carry = (d_final, wide_zeros(reset_state), wide_zeros(params))
    back = Walk(size=plan.walk.size, reverse=not plan.walk.reverse)
    (d_state, d_reset, d_params), d_inputs, _ = back.over(
        chunk, carry, (inputs, d_outputs, d_states, flags, kept.steps), kept.chunks
    )
    d_reset, d_params = jax.tree.map(
        lambda like, total: total.astype(like.dtype), continuous((reset_state, params)), (d_reset, d_params)
    )
    return (Problem(d_params, d_inputs, d_state, d_reset, None, None),)  # pyright: ignore[reportArgumentType]


run_chunks.defvjp(_forward, _backward, symbolic_zeros=True)


def arriving(cotangents: Any, like: Any) -> Any:
    """The cotangents of a tree's continuous arrays, zeros for symbolic zeros; None for its other arrays."""

    def leaf(array: jax.Array, cotangent: Any) -> Any:
        if not is_continuous(array):
            return None
        return jnp.zeros_like(array) if isinstance(cotangent, SymbolicZero) else cotangent

    return jax.tree.map(leaf, like, cotangents)


def nothing_comes(cotangents: Any) -> bool:
    """Whether all cotangents of a tree are symbolic zeros, so that no arrays are needed."""
    return all(isinstance(leaf, SymbolicZero) for leaf in jax.tree.leaves(cotangents))


def continuous(tree: Any) -> Any:
    """The tree with None for each array without a gradient: integers and bools."""
    return jax.tree.map(lambda leaf: leaf if is_continuous(leaf) else None, tree)


def is_continuous(array: jax.Array) -> bool:
    """Whether an array can have a gradient."""
    return jnp.issubdtype(array.dtype, jnp.inexact)


def replaced(tree: Any, given: Any) -> Any:
    """The tree with its continuous arrays replaced by those of `given` (a result of `continuous`)."""
    return jax.tree.map(lambda leaf, other: leaf if other is None else other, tree, given)


def wide_zeros(tree: Any) -> Any:
    """Zeros to accumulate the gradients of a tree, in at least float32."""
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf, at_least_float32(leaf.dtype)), continuous(tree))


def add(total: Any, part: Any) -> Any:
    """The sum of two trees, leaf by leaf, in the dtype of the first."""
    return jax.tree.map(lambda left, right: left + in_dtype(right, left), total, part)
