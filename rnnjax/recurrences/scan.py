"""The reference recurrence: `lax.scan` over steps."""

import dataclasses

import jax

from rnnjax.cells.cell import Cell
from rnnjax.recurrences.noise import Noise, step_of
from rnnjax.recurrences.recurrence import advance, clear_padding, prepare
from rnnjax.types import Lengths, Params, State, TimeFlags, TimeHidden, TimeInputs


@dataclasses.dataclass(frozen=True)
class Scan:
    """`lax.scan` over steps with plain automatic differentiation: what every other recurrence is tested against.

        for t in range(T):                          # from T-1 down with reverse=True
            state = cell.step(params, inputs[t], state)
            hidden[t] = state.hidden

    `unroll` steps are laid out in each turn of the loop. Works for every cell, and in forward mode too.
    Raises ValueError for unroll below 1.
    """

    unroll: int = 1

    def __post_init__(self):
        if self.unroll < 1:
            raise ValueError(f"unroll: expected at least 1, got {self.unroll}")

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

        def step(state, xs):
            inputs, flags = xs
            state, output = advance(cell_step, initial, state, clear_padding(inputs, flags), flags)
            return state, output.hidden

        state, hidden = jax.lax.scan(step, entering, (inputs, flags), reverse=reverse, unroll=self.unroll)
        return hidden, state
