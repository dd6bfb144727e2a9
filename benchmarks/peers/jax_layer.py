"""What all peers in JAX share: one loss, one Adam and one jit around a layer of their own."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.numbers import first_gradient
from benchmarks.peers.peer import Entrant, Problem, TaskName, gradient_answer, last_answer
from benchmarks.timing import repeated
from benchmarks.work import Last, build, compute, optimizer
from rnnjax.training.devices import AXIS

MEMORY_SHARE = 0.75


class JaxLayer(NamedTuple):
    """A library's layer.

    `last(params, inputs)` gives the last output (B, O) from inputs in the library's own layout. `to_ours` makes
    weights as a problem has them from arrays in the places of `params`.
    """

    params: Any
    last: Last
    time_major: bool
    to_ours: Callable[[Any], Mapping[str, Any]]


def ready(layer: JaxLayer, problem: Problem, task: TaskName, mesh: Mesh | None = None) -> Entrant:
    """The compiled task on the default device, or with the batch split over a mesh.

    The gradients of the answer are those that the timed train step itself computed: after one step, Adam's first
    moment is (1 - b1) times the gradient. Raises MemoryError where the compiled step would not fit in this machine.
    """
    batch_axis = 1 if layer.time_major else 0
    rows = (*(None,) * batch_axis, AXIS)

    def place(array: Any, *axes: str | None) -> jax.Array:
        return jnp.asarray(array) if mesh is None else jax.device_put(array, NamedSharding(mesh, PartitionSpec(*axes)))

    params = jax.tree.map(place, layer.params)
    inputs = place(np.ascontiguousarray(_swapped(layer, problem.inputs)), *rows)
    target = place(problem.target, AXIS)
    train = task == "train"
    work = "train" if train else "forward"
    first = (params, jax.tree.map(place, optimizer().init(params))) if train else params
    function = compute(work, layer.last, mesh, batch_axis)
    compiled, lowering, compiling, temp_bytes = build(function, (first, inputs, target), work, mesh)
    made: dict[str, Any] = {"devices": 1 if mesh is None else mesh.size, "temp_bytes": temp_bytes}
    made["compile_seconds"] = lowering + compiling
    _check_memory(temp_bytes or 0)
    if train:
        carried, d_inputs = compiled(first, inputs, target)
        d_weights = layer.to_ours(first_gradient(carried[1]))
        answer = gradient_answer(problem, d_weights, _swapped(layer, np.asarray(d_inputs)))
        return Entrant(repeated(compiled, carried, inputs, target), answer, **made)
    answer = last_answer(compiled(params, inputs, target))
    return Entrant(lambda: compiled(params, inputs, target), answer, **made)


def _swapped(layer: JaxLayer, array: np.ndarray) -> np.ndarray:
    """From (B, T, I) to the layer's layout, or the other way."""
    return array.swapaxes(0, 1) if layer.time_major else array


def _check_memory(temp_bytes: int) -> None:
    """Raises MemoryError where a CPU program would drive the machine out of memory; other devices say so themselves."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if jax.default_backend() == "cpu" and temp_bytes > MEMORY_SHARE * machine:
        raise MemoryError(
            f"expected at most {MEMORY_SHARE:.0%} of this machine's {machine / 1e9:.1f} GB of memory, "
            f"got {temp_bytes / 1e9:.1f} GB of temporary memory"
        )
