"""The fast recurrence: a custom backward pass over chunks of steps."""

import dataclasses
import math
from typing import get_args

from rnnjax.cells.cell import Cell, PointwiseCell
from rnnjax.compat import is_forward_mode
from rnnjax.recurrences.chunk_gradient import Keep, Plan, run_chunks
from rnnjax.recurrences.chunks import Walk
from rnnjax.recurrences.gates import reads_sum
from rnnjax.recurrences.recurrence import Problem, Recurrence, Taken
from rnnjax.types import State

# Steps of a chunk at least: few enough for its pre-activations to stay in a core's cache.
SHORTEST = 10
# Reading pre-activations back is cheaper than computing them again where a step's product is large, and where
# they stay in the cache. Measured on two CPU cores: `python -m benchmarks.throughput`.
GATES_FROM_HIDDEN = 256
GATES_TO_BYTES = 2**24

NO_FORWARD_MODE = (
    "recurrence Chunked(): expected reverse-mode differentiation (jax.grad, jax.jacrev; jax.hessian works, too), got "
    "forward mode (jax.jvp, jax.jacfwd, jax.linearize): use the recurrence Scan() or Unrolled()"
)


@dataclasses.dataclass(frozen=True)
class Chunked(Recurrence):
    """A scan over steps whose backward pass is fused over chunks of `size` steps.

        for t in range(T):                          # from T-1 down with reverse=True
            state = update(extras, W(inputs[t]) + b, R(state.hidden) + c, state)
            outputs[t] = output(extras, state, inputs[t])

        for chunk in reversed(range(ceil(T / size))):
            for t in reversed(chunk):
                d_gates[t], d_state = pullback of update and output, with R^T(d_gates[t])
            d_W, d_R, d_inputs[chunk] += products of inputs[chunk], states before and W with d_gates[chunk]

    `keep` says what the forward pass stores for the backward pass:

        "gates"       every step's state and gate pre-activations
        "boundaries"  the state before each chunk, whose forward pass is then run again, in the cache: memory
                      grows with the root of T only, but for inputs, outputs and their gradients

    None means "gates" from 256 hidden features on, or if the gates take at most 16 MiB, and otherwise "boundaries".
    `size` is 10 by default, and larger for long sequences (half the square root of T) and for small batches (I + H rows
    a chunk). T need not be a multiple of it; a T that is unknown while tracing (`jax.export`) is one chunk. Sums over
    steps are float32 or wider in every compute dtype. Differentiable in reverse mode any number of times (`jax.grad`,
    `jax.jacrev`; `jax.hessian`, too); forward mode (`jax.jvp`) needs `Scan` or `Unrolled`.

    Source of "boundaries": Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost". Raises ValueError
    for a size below 1 or another `keep`, TypeError for a cell that is not a `PointwiseCell` and for forward mode.
    """

    size: int | None = None
    keep: Keep | None = None

    def __post_init__(self):
        if self.size is not None and self.size < 1:
            raise ValueError(f"size: expected at least 1, got {self.size}")
        if self.keep not in (None, *get_args(Keep)):
            raise ValueError(f"keep: expected one of {list(get_args(Keep))}, got {self.keep!r}")

    def run(self, cell: Cell, problem: Problem, reverse: bool, all_states: bool) -> tuple[Taken, State]:
        """The outputs (and states) of all steps and the final state; from T-1 down with `reverse`."""
        if not isinstance(cell, PointwiseCell):
            raise TypeError(
                f"Chunked: expected a PointwiseCell, got {type(cell).__name__}; run it under Scan or Unrolled"
            )
        time = problem.inputs.shape[0]
        size = self.size or _chunk_size(cell, problem)
        # One chunk where there are no more steps, or nobody knows how many.
        walk = Walk(size=size if isinstance(time, int) and time > size else None, reverse=reverse)
        plan = Plan(walk, self.keep or _cheaper(cell, problem), all_states)
        try:
            return run_chunks(cell, plan, problem)
        except TypeError as error:
            if is_forward_mode(error):
                raise TypeError(NO_FORWARD_MODE) from error
            raise


def _chunk_size(cell: PointwiseCell, problem: Problem) -> int:
    """A chunk's steps where the user does not say: a multiple of the shortest, so that many lengths leave no rest."""
    time, batch, *features = problem.inputs.shape
    if not (isinstance(time, int) and isinstance(batch, int)):
        return SHORTEST
    # Half the root of the steps for little memory; and as many rows as the kernels have, or adding up the kernels'
    # gradients chunk by chunk moves more numbers than the chunks hold.
    read = () if cell.recurrent_map is None else problem.initial_state.hidden.shape[1:]
    rows = math.prod(features) + (math.prod(read) if read else 0)
    return SHORTEST * max(1, math.isqrt(time) // (2 * SHORTEST), round(rows / (max(batch, 1) * SHORTEST)))


def _cheaper(cell: PointwiseCell, problem: Problem) -> Keep:
    """What to keep where the user does not say."""
    params, inputs, state = problem.params, problem.inputs, problem.initial_state
    time, batch = inputs.shape[:2]
    hidden = math.prod(cell.size_of(state))
    if hidden >= GATES_FROM_HIDDEN or not (isinstance(time, int) and isinstance(batch, int)):
        return "gates"
    gates = cell.gates * hidden
    if cell.recurrent_map is not None and not reads_sum(cell, params, state, inputs.shape[2:]):
        gates += cell.recurrent_gates * hidden
    states = sum(math.prod(leaf.shape[1:]) for leaf in state)
    kept = time * batch * (gates + states) * state.hidden.dtype.itemsize
    return "gates" if kept <= GATES_TO_BYTES else "boundaries"
