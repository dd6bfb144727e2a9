"""All steps of a linear cell at once, with everything that a recurrence may be asked for."""

from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.cells.linear import LinearCell
from rnnjax.dtypes import cast_like, widen
from rnnjax.recurrences.chunks import Walk
from rnnjax.recurrences.linear import solve_linear
from rnnjax.recurrences.noise import read_out
from rnnjax.recurrences.recurrence import Flags, Problem, Taken, clear_padding, select, zero_where
from rnnjax.types import Params, State


def linear_steps(
    cell: LinearCell,
    params: Params,
    reset_state: State | None,
    state: State,
    inputs: jax.Array,
    flags: Flags,
    *,
    reverse: bool,
    all_states: bool,
    parallel: bool,
) -> tuple[State, Taken]:
    """The state to carry and the results of all steps `(T, B, ...)`, from the state before the first one.

    A held unit has decay 1 and drive 0, and so has a padded step. At a reset the decay is 0, and the drive contains the
    decayed reset state. With `parallel`, the states are computed by an associative scan, otherwise one after another.
    """
    inputs, start = clear_padding(inputs, flags), state.hidden
    decay, drive = cell.coefficients(params, inputs)
    drive = drive.astype(start.dtype)
    decay = jnp.broadcast_to(decay.astype(start.dtype), drive.shape)
    if flags.hold is not None:
        share = flags.hold["hidden"]
        if share.dtype == bool:
            decay, drive = jnp.where(share, 1, decay), jnp.where(share, 0, drive)
        else:
            decay, drive = share + (1 - share) * decay, (1 - share) * drive
    if flags.reset is not None:
        restored: Any = reset_state
        drive = select(flags.reset, drive + decay * restored.hidden.astype(start.dtype)[None], drive)
        decay = zero_where(flags.reset, decay)
    if flags.valid is not None:
        decay = select(flags.valid, decay, jnp.ones_like(decay))
        drive = zero_where(~flags.valid, drive)
    first, last = (-1, 0) if reverse else (0, -1)
    drive = drive.at[first].add(decay[first] * start)
    states = state._replace(hidden=solve_linear(decay, drive, reverse=reverse, parallel=parallel))
    outputs = jax.vmap(lambda x, after: read_out(cell, cell.extras_of(params), x, after))(inputs, states)
    if flags.valid is not None:
        outputs = zero_where(~flags.valid, outputs)
    return jax.tree.map(lambda leaf: leaf[last], states), Taken(outputs, states if all_states else None)


def run_linear_chunks(
    cell: LinearCell, walk: Walk, problem: Problem, *, recompute: bool, all_states: bool
) -> tuple[Taken, State]:
    """The outputs (and states) of all steps and the final state, chunk by chunk; each chunk as `linear_steps`.

    Each chunk has one product for all of its steps, and a loop over steps without products. With `recompute`, the
    backward pass computes each chunk again from the state before it.
    """
    # Gradients of the parameters are summed over the chunks in at least float32.
    wide, reset_state = widen(problem.params), widen(problem.reset_state)
    options = {"reverse": walk.reverse, "all_states": all_states, "parallel": False}

    def chunk(state: State, xs: tuple[jax.Array, Flags], _: None) -> tuple[State, Taken, None]:
        params = cast_like(wide, problem.params)
        return *linear_steps(cell, params, reset_state, state, *xs, **options), None

    run = jax.checkpoint(chunk) if recompute else chunk
    state, taken, _ = walk.over(run, problem.initial_state, (problem.inputs, problem.flags))
    return taken, state
