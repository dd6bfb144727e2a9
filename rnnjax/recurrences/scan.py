"""The reference recurrence: `lax.scan` over steps."""

import dataclasses

import jax

from rnnjax.cells.cell import Cell
from rnnjax.dtypes import widen
from rnnjax.recurrences.noise import loop_of
from rnnjax.recurrences.recurrence import Problem, Recurrence, Taken, advance, clear_padding
from rnnjax.types import State


@dataclasses.dataclass(frozen=True)
class Scan(Recurrence):
    """`lax.scan` over steps with plain automatic differentiation: the reference for the other recurrences.

        for t in range(T):                          # from T-1 down with reverse=True
            state = cell.step(params, inputs[t], state)
            outputs[t] = cell.output(params, state, inputs[t])

    `unroll` steps are unrolled in each iteration. Works for every cell, also in forward mode. Gradients of parameters
    are summed over steps in at least float32 in every compute dtype. Raises ValueError for unroll below 1.
    """

    unroll: int = 1

    def __post_init__(self):
        if self.unroll < 1:
            raise ValueError(f"unroll: expected at least 1, got {self.unroll}")

    def run(self, cell: Cell, problem: Problem, reverse: bool, all_states: bool) -> tuple[Taken, State]:
        """The outputs (and states) of all steps and the final state; from T-1 down with `reverse`."""
        loop = loop_of(cell, problem.params, problem.hidden_mask)
        reset_state = widen(problem.reset_state)

        def step(state, xs):
            inputs, flags = xs
            return advance(loop, reset_state, state, clear_padding(inputs, flags), flags, all_states)

        state, taken = jax.lax.scan(
            step, problem.initial_state, (problem.inputs, problem.flags), reverse=reverse, unroll=self.unroll
        )
        return taken, state
