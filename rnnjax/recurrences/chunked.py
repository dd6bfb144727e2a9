"""The fast recurrence: a custom backward pass over chunks of steps."""

import dataclasses
import math
from typing import get_args

from rnnjax.cells.cell import Cell, PointwiseCell
from rnnjax.cells.linear import LinearCell
from rnnjax.recurrences.chunk_gradient import Keep, Plan, run_chunks
from rnnjax.recurrences.chunks import Walk
from rnnjax.recurrences.gates import reads_sum
from rnnjax.recurrences.linear_steps import run_linear_chunks
from rnnjax.recurrences.recurrence import Problem, Recurrence, Taken
from rnnjax.recurrences.reverse_mode import reverse_mode_only
from rnnjax.types import State

# The minimum number of steps in a chunk: few enough that their pre-activations fit into the cache of a core.
SHORTEST = 10
# Reading stored pre-activations is cheaper than recomputing them if the product of a step is large, or if they fit
# into the cache. Measured on two CPU cores: `python -m benchmarks.throughput`.
GATES_FROM_HIDDEN = 256
GATES_TO_BYTES = 2**24


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

    `keep` sets what the forward pass stores for the backward pass:

        "gates"       the state and gate pre-activations of every step
        "boundaries"  the state before each chunk; the backward pass recomputes the chunk, in the cache. Memory grows
                      with the square root of T, except that of inputs, outputs and their gradients

    None means "gates" for at least 256 hidden features or if they take at most 16 MiB, and "boundaries" otherwise.
    `size` is 10 by default, and larger for long sequences (half the square root of T) and for small batches (I + H rows
    per chunk). T does not have to be a multiple of it; if T is unknown while tracing (`jax.export`), there is one
    chunk. Sums over steps are computed in at least float32 in every compute dtype. Differentiable in reverse mode any
    number of times (`jax.grad`, `jax.jacrev`, also `jax.hessian`); forward mode (`jax.jvp`) needs `Scan` or `Unrolled`.

    For a `LinearCell`, the pre-activations of a chunk are one product, and the steps of the loop have none. By default
    there is one chunk with "gates", and forward mode works.

    Source of "boundaries": Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost". Raises ValueError for a
    size below 1 or an unknown `keep`, TypeError for a cell that is neither a `PointwiseCell` nor a
    `LinearCell`, and for forward mode.
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
        if not isinstance(cell, PointwiseCell | LinearCell):
            raise TypeError(
                f"Chunked: expected a PointwiseCell or a LinearCell, got {type(cell).__name__}; use Scan or Unrolled "
                "for it"
            )
        time = problem.inputs.shape[0]
        size = self.size or (time if isinstance(cell, LinearCell) else _chunk_size(cell, problem))
        # One chunk if it holds all steps, or if the number of steps is unknown.
        walk = Walk(size=size if isinstance(time, int) and time > size else None, reverse=reverse)
        if isinstance(cell, LinearCell):
            recompute = self.keep == "boundaries"
            return run_linear_chunks(cell, walk, problem, recompute=recompute, all_states=all_states)
        plan = Plan(walk, self.keep or _cheaper(cell, problem), all_states)
        with reverse_mode_only("Chunked"):
            return run_chunks(cell, plan, problem)


def _chunk_size(cell: PointwiseCell, problem: Problem) -> int:
    """The default number of steps in a chunk: a multiple of `SHORTEST`, so that many lengths have no remainder."""
    time, batch, *features = problem.inputs.shape
    if not (isinstance(time, int) and isinstance(batch, int)):
        return SHORTEST
    # Half the square root of the steps, to save memory; and at least as many rows as the kernels have, since otherwise
    # adding the kernel gradients of each chunk would move more numbers than the chunks contain.
    read = () if cell.recurrent_map is None else problem.initial_state.hidden.shape[1:]
    rows = math.prod(features) + (math.prod(read) if read else 0)
    return SHORTEST * max(1, math.isqrt(time) // (2 * SHORTEST), round(rows / (max(batch, 1) * SHORTEST)))


def _cheaper(cell: PointwiseCell, problem: Problem) -> Keep:
    """The default of `keep`."""
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
