"""What all peers in JAX share: the same loss, Adam and jit around a layer of their own."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from benchmarks.peers.peer import WORK, Entrant, Problem, TaskName, gradient_answer
from benchmarks.work import Last, Numbers, Work

MEMORY_SHARE = 0.75


class JaxLayer(NamedTuple):
    """The layer of a library.

    `last(params, inputs)` is the last output (B, O); the inputs have the library's own layout. `to_ours` turns a tree
    like `params` into weights like those of a problem.
    """

    params: Any
    last: Last
    time_major: bool
    to_ours: Callable[[Any], Mapping[str, Any]]

    def swapped(self, array: np.ndarray) -> np.ndarray:
        """From (B, T, I) to the layer's layout, or back."""
        return array.swapaxes(0, 1) if self.time_major else array


def ready(layer: JaxLayer, problem: Problem, task: TaskName, mesh: Mesh | None = None) -> Entrant:
    """The compiled task on the default device, or with the batch split over a mesh.

    Raises MemoryError if the compiled function needs too much memory for this machine.
    """
    work = Work(WORK[task], layer.last, 1 if layer.time_major else 0, mesh)
    inputs = np.ascontiguousarray(layer.swapped(problem.inputs))
    given = work.arguments(Numbers(layer.params, inputs, problem.target))
    compiled, lowering, compiling, temp_bytes = work.build(given)
    check_memory(temp_bytes or 0)
    result = compiled(*given)
    answer = work.answer(result)
    if task == "train":
        d_params, d_inputs = answer
        found = gradient_answer(problem, layer.to_ours(d_params), layer.swapped(d_inputs))
        given = (result[0], *given[1:])
    else:
        found = {"last": answer}
    devices = 1 if mesh is None else mesh.size
    return Entrant(work.stepper(compiled, given), found, devices, lowering + compiling, temp_bytes)


def check_memory(temp_bytes: int) -> None:
    """Raises MemoryError if a CPU program would use up the memory of the machine; other devices raise it themselves."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if jax.default_backend() == "cpu" and temp_bytes > MEMORY_SHARE * machine:
        raise MemoryError(
            f"expected at most {MEMORY_SHARE:.0%} of this machine's {machine / 1e9:.1f} GB of memory, "
            f"got {temp_bytes / 1e9:.1f} GB of temporary memory"
        )
