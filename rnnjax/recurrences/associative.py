"""The parallel recurrence of linear cells: an associative scan over time."""

import dataclasses

from rnnjax.cells.cell import Cell
from rnnjax.cells.linear import LinearCell
from rnnjax.dtypes import widen
from rnnjax.recurrences.linear_steps import linear_steps
from rnnjax.recurrences.recurrence import Problem, Recurrence, Taken, fixed_steps
from rnnjax.types import State


@dataclasses.dataclass(frozen=True)
class Associative(Recurrence):
    """All steps of a `LinearCell` at once, with `jax.lax.associative_scan`.

        decay, drive = cell.coefficients(params, inputs)                       all steps
        (d1, b1) then (d2, b2) = (d1 * d2, d2 * b1 + b2)                       joined in a tree of depth log T
        outputs = cell.output(params, states, inputs)                          all steps

    The backward pass is one such scan with time turned around. Memory grows with T. Differentiable any number of times,
    also in forward mode. Source: Blelloch 1990, "Prefix Sums and Their Applications". Raises ValueError for a cell that
    is not a `LinearCell`, and for a number of steps that is unknown while tracing.
    """

    def run(self, cell: Cell, problem: Problem, reverse: bool, all_states: bool) -> tuple[Taken, State]:
        """The outputs (and states) of all steps and the final state; from T-1 down with `reverse`."""
        if not isinstance(cell, LinearCell):
            raise ValueError(
                f"Associative: expected a LinearCell, got {type(cell).__name__}; use Scan, Unrolled or Chunked for it"
            )
        fixed_steps(self, problem)
        params, inputs, state, reset_state, flags, _ = problem
        options = {"reverse": reverse, "all_states": all_states, "parallel": True}
        state, taken = linear_steps(cell, params, widen(reset_state), state, inputs, flags, **options)
        return taken, state
