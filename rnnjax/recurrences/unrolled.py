"""A Python loop: the graph contains every step."""

import dataclasses

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import Cell
from rnnjax.dtypes import widen
from rnnjax.recurrences.noise import loop_of
from rnnjax.recurrences.recurrence import Problem, Recurrence, Taken, advance, clear_padding, fixed_steps
from rnnjax.types import State


@dataclasses.dataclass(frozen=True)
class Unrolled(Recurrence):
    """A Python loop for short sequences: the graph contains every step, so compile time grows with T.

        for t in range(T):                          # from T-1 down with reverse=True
            state = cell.step(params, inputs[t], state)
            outputs[t] = cell.output(params, state, inputs[t])

    Raises ValueError if the number of steps is unknown while tracing (`jax.export` with a symbolic T).
    """

    def run(self, cell: Cell, problem: Problem, reverse: bool, all_states: bool) -> tuple[Taken, State]:
        """The outputs (and states) of all steps and the final state; from T-1 down with `reverse`."""
        _, inputs, state, _, flags, mask = problem
        steps = fixed_steps(self, problem)
        loop = loop_of(cell, problem.params, mask)
        reset_state, taken = widen(problem.reset_state), {}
        for t in reversed(range(steps)) if reverse else range(steps):
            now = jax.tree.map(lambda leaf, t=t: leaf[t], flags)
            state, taken[t] = advance(loop, reset_state, state, clear_padding(inputs[t], now), now, all_states)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(taken[t] for t in range(steps))), state
