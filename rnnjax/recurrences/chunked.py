"""The fast recurrence: a backward pass of its own, in chunks of steps."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from rnnjax.cells.cell import Cell, PointwiseCell
from rnnjax.recurrences.chunks import Walk
from rnnjax.recurrences.gates import PreActivations, Weights, reads_sum, sum_dtype, update, without_maps
from rnnjax.recurrences.noise import Noise, hold_back, masked
from rnnjax.recurrences.recurrence import Flags, clear_padding, enter, leave, prepare, select, zero_where
from rnnjax.types import Lengths, Params, State, TimeFlags, TimeHidden, TimeInputs

Keep = Literal["gates", "boundaries"]
# Steps of a chunk at least: few enough for its pre-activations to stay in a core's cache.
SHORTEST = 10
# Reading pre-activations back is cheaper than computing them again where a step's product is large, and where
# they stay in the cache. Measured on two CPU cores: `python -m benchmarks.throughput`.
GATES_FROM_HIDDEN = 256
GATES_TO_BYTES = 2**24


@dataclasses.dataclass(frozen=True)
class Chunked:
    """A scan over steps whose backward pass is fused over chunks of `size` steps.

        for t in range(T):                          # from T-1 down with reverse=True
            state = update(inputs[t] @ W + b, state.hidden @ R + c, state)
            hidden[t] = state.hidden

        for chunk in reversed(range(ceil(T / size))):
            for t in reversed(chunk):
                d_gates[t], d_state = pullback of update, with d_gates[t] @ R.T
            d_W, d_R, d_inputs[chunk] += products of inputs[chunk], states before and W with d_gates[chunk]

    `keep` says what the forward pass leaves for the backward pass:

        "gates"       every step's state and gate pre-activations
        "boundaries"  the state before each chunk, whose forward pass is then run again, in the cache: memory
                      grows with the root of T only, but for inputs, outputs and their gradients

    None is "gates" from 256 hidden features on, or where that is 16 MiB at most, and otherwise "boundaries".
    `size` is 10 unless given, more for long sequences (half the root of T) and for small batches (I + H rows a chunk);
    T need not be a multiple of it. Sums over steps are float32 or wider in whichever compute dtype. Differentiable
    in reverse mode only, any number of times.

    Source of "boundaries": Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost". Raises ValueError
    for a size below 1 or another `keep`, TypeError for a cell that is not a `PointwiseCell`.
    """

    size: int | None = None
    keep: Keep | None = None

    def __post_init__(self):
        if self.size is not None and self.size < 1:
            raise ValueError(f"size: expected at least 1, got {self.size}")
        if self.keep not in (None, *get_args(Keep)):
            raise ValueError(f"keep: expected one of {list(get_args(Keep))}, got {self.keep!r}")

    def __call__(
        self,
        cell: Cell,
        params: Params,
        inputs: TimeInputs,
        state: State,
        *,
        lengths: Lengths | None = None,
        resets: TimeFlags | None = None,
        reverse: bool = False,
        noise: Noise | None = None,
        carried: State | None = None,
    ) -> tuple[TimeHidden, State]:
        """Outputs `(T, B, H)` and the final state. Raises ValueError where shapes do not fit."""
        if not isinstance(cell, PointwiseCell):
            raise TypeError(
                f"Chunked: expected a PointwiseCell, got {type(cell).__name__}; run it under Scan or Unrolled"
            )
        problem = prepare(cell, params, inputs, state, lengths, resets, noise, carried)
        params, inputs, initial, flags, mask, entering = problem
        time = inputs.shape[0]
        if time == 0:
            return jnp.zeros((0, *initial.hidden.shape), initial.hidden.dtype), entering
        size = self.size or _chunk_size(params, inputs)
        keep = self.keep or _cheaper(cell, params, initial, time)
        return _run(cell, keep, Walk(size=size, reverse=reverse), params, inputs, initial, entering, flags, mask)


def _chunk_size(params: Params, inputs: jax.Array) -> int:
    """A chunk's steps where the user does not say: a multiple of the shortest, so that many lengths leave no rest."""
    time, batch, features = inputs.shape
    # Half the root of the steps for little memory; and as many rows as the kernels have, or adding up the kernels'
    # gradients chunk by chunk moves more numbers than the chunks hold.
    rows = features + (0 if params.recurrent_kernel is None else params.recurrent_kernel.shape[0])
    return SHORTEST * max(1, math.isqrt(time) // (2 * SHORTEST), round(rows / (max(batch, 1) * SHORTEST)))


def _cheaper(cell: PointwiseCell, params: Params, state: State, time: int) -> Keep:
    """What to keep where the user does not say."""
    batch, hidden = state.hidden.shape
    one = params.recurrent_kernel is None or reads_sum(cell, params, state)
    gates = params.kernel.shape[1] * (1 if one else 2)
    kept = time * batch * (gates + len(state) * hidden) * state.hidden.dtype.itemsize
    return "gates" if hidden >= GATES_FROM_HIDDEN or kept <= GATES_TO_BYTES else "boundaries"


class Kept(NamedTuple):
    """What the forward pass leaves: of every step the state before it and what `update` read, or of every chunk
    the state before it."""

    steps: tuple[State, PreActivations] | None = None
    chunks: State | None = None


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which gradients are asked for: none of the inputs where they are data."""

    inputs: bool


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _run(
    cell: PointwiseCell,
    keep: Keep,
    walk: Walk,
    params: Params,
    inputs: jax.Array,
    initial: State,
    entering: State,
    flags: Flags,
    mask: jax.Array | None,
) -> tuple[jax.Array, State]:
    steps = _steps(cell, Weights.of(cell, params, initial), initial, mask, walk.reverse)
    final, hidden = steps(entering, inputs, flags, lambda before, gates, after: after.hidden)
    return hidden, final


def _steps(cell: PointwiseCell, weights: Weights, initial: State, mask: jax.Array | None, reverse: bool) -> Callable:
    """A scan over steps, `(state, inputs, flags, take) -> (state, what take(before, gates, after) takes of each)`."""
    extras = without_maps(weights.params)

    def steps(state: State, inputs: jax.Array, flags: Flags, take: Callable) -> tuple[State, Any]:
        def step(state: State, xs: tuple[jax.Array, Flags]) -> tuple[State, Any]:
            inputs, flags = xs
            before = enter(initial, state, flags)
            gates = weights.pre_activations(clear_padding(inputs, flags), masked(before.hidden, mask))
            state, after = leave(state, hold_back(before, update(cell, extras, gates, before), flags.hold), flags)
            return state, take(before, gates, after)

        return jax.lax.scan(step, state, (inputs, flags), reverse=reverse)

    return steps


def _forward(cell: PointwiseCell, keep: Keep, walk: Walk, *primals: Any) -> tuple[Any, Any]:
    """The values, and what the backward pass needs."""
    params, inputs, initial, entering, flags, mask = jax.tree.map(lambda primal: primal.value, primals)
    steps = _steps(cell, Weights.of(cell, params, initial), initial, mask, walk.reverse)
    if keep == "gates":
        final, (hidden, kept) = steps(
            entering, inputs, flags, lambda before, gates, after: (after.hidden, Kept(steps=(before, gates)))
        )
    else:

        def chunk(state: State, xs: tuple[jax.Array, Flags], _: None) -> tuple[State, jax.Array, State]:
            final, hidden = steps(state, *xs, lambda before, gates, after: after.hidden)
            return final, hidden, state

        final, hidden, before_chunks = walk.over(chunk, entering, (inputs, flags))
        kept = Kept(chunks=before_chunks)
    wanted = Wanted(inputs=primals[1].perturbed)
    return (hidden, final), (params, inputs, initial, flags, mask, kept, wanted)


def _backward(cell: PointwiseCell, keep: Keep, walk: Walk, saved: Any, cotangents: Any) -> tuple[Any, ...]:
    params, inputs, initial, flags, mask, kept, wanted = saved
    d_hidden, d_final = cotangents
    # Where only the last state is read, no array of zeros stands for the outputs' gradient.
    d_hidden = None if isinstance(d_hidden, SymbolicZero) else d_hidden
    d_final = jax.tree.map(
        lambda like, leaf: jnp.zeros_like(like) if isinstance(leaf, SymbolicZero) else leaf, initial, d_final
    )
    extras, weights = without_maps(params), Weights.of(cell, params, initial)
    kernel_t = params.kernel.T
    recurrent_t = None if params.recurrent_kernel is None else params.recurrent_kernel.T
    steps = _steps(cell, weights, initial, mask, walk.reverse)

    def after(extras: Params, gates: PreActivations, before: State, hold: Any) -> State:
        return hold_back(before, update(cell, extras, gates, before), hold)

    def step(carry: Any, xs: Any) -> tuple[Any, PreActivations]:
        d_state, d_initial, d_extras = carry
        (before, gates), d_hidden, flags = xs
        d_after = d_state if d_hidden is None else d_state._replace(hidden=d_state.hidden + d_hidden)
        if flags.valid is not None:
            d_after = zero_where(~flags.valid, d_after)
        _, pullback = jax.vjp(functools.partial(after, hold=flags.hold), extras, gates, before)
        d_extra, d_gates, d_before = pullback(d_after)
        if recurrent_t is not None:
            d_recurrent = d_gates.inputs if d_gates.recurrent is None else d_gates.recurrent
            d_before = d_before._replace(hidden=d_before.hidden + masked(d_recurrent @ recurrent_t, mask))
        if flags.valid is not None:
            d_before = select(flags.valid, d_before, d_state)
        if flags.reset is not None:
            d_initial = select(flags.reset, _sum(d_initial, d_before), d_initial)
            d_before = zero_where(flags.reset, d_before)
        return (d_before, d_initial, _sum(d_extras, d_extra)), d_gates

    def chunk(carry: Any, xs: Any, entering: State | None) -> tuple[Any, jax.Array | None, None]:
        d_state, d_initial, d_params = carry
        inputs, d_hidden, flags, read = xs
        if read is None:
            _, read = steps(entering, inputs, flags, lambda before, gates, after: (before, gates))
        (d_state, d_initial, d_extras), d_gates = jax.lax.scan(
            step, (d_state, d_initial, without_maps(d_params)), (read, d_hidden, flags), reverse=not walk.reverse
        )
        before, _ = read
        d_params = weights.pullback(
            clear_padding(inputs, flags), masked(before.hidden, mask), d_gates, d_params, d_extras
        )
        d_inputs = None
        if wanted.inputs:
            d_inputs = clear_padding(d_gates.inputs @ kernel_t, flags).astype(inputs.dtype)
        return (d_state, d_initial, d_params), d_inputs, None

    sums = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, sum_dtype(leaf)), params)
    carry = (d_final, jax.tree.map(jnp.zeros_like, d_final), sums)
    back = Walk(size=walk.size, reverse=not walk.reverse)
    (d_state, d_initial, d_params), d_inputs, _ = back.over(
        chunk, carry, (inputs, d_hidden, flags, kept.steps), kept.chunks
    )
    d_params = jax.tree.map(lambda total, leaf: total.astype(leaf.dtype), d_params, params)
    return d_params, d_inputs, d_initial, d_state, None, None


_run.defvjp(_forward, _backward, symbolic_zeros=True)


def _sum(left: Any, right: Any) -> Any:
    """The sum of two trees, leaf by leaf."""
    return jax.tree.map(jnp.add, left, right)
