"""A Python loop: every step a part of the graph."""

import dataclasses

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import Cell
from rnnjax.recurrences.noise import Noise, step_of
from rnnjax.recurrences.recurrence import advance, clear_padding, prepare
from rnnjax.types import Lengths, Params, State, TimeFlags, TimeHidden, TimeInputs


@dataclasses.dataclass(frozen=True)
class Unrolled:
    """A Python loop: the graph holds every step, so compile time grows with T. For short sequences.

    for t in range(T):                          # from T-1 down with reverse=True
        state = cell.step(params, inputs[t], state)
        hidden[t] = state.hidden
    """

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
        problem = prepare(cell, params, inputs, state, lengths, resets, noise, carried)
        params, inputs, initial, flags, mask, entering = problem
        cell_step = step_of(cell, params, mask)
        times = range(inputs.shape[0])
        state, hidden = entering, {}
        for t in reversed(times) if reverse else times:
            now = jax.tree.map(lambda leaf, t=t: leaf[t], flags)
            state, output = advance(cell_step, initial, state, clear_padding(inputs[t], now), now)
            hidden[t] = output.hidden
        if not hidden:
            return jnp.zeros((0, *initial.hidden.shape), initial.hidden.dtype), state
        return jnp.stack([hidden[t] for t in times]), state
