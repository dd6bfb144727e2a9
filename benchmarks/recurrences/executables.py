"""A case's work, lowered and compiled, and the numbers that it runs on."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.recurrences.cases import CELLS, Case
from benchmarks.work import compute, optimizer
from rnnjax import Recurrence
from rnnjax.training.devices import AXIS

# As many as the tasks of one shape have under all recurrences; they are built one after the other.
KEPT = 64


class Numbers(NamedTuple):
    """What a case runs on: float32 in NumPy or on devices, float64 in the reference."""

    params: Any
    inputs: Any  # (T, B, I)
    target: Any  # (B, H)


class Executable(NamedTuple):
    """A compiled function with what it took to make and what it takes to run."""

    compiled: jax.stages.Compiled
    lower_seconds: float
    compile_seconds: float
    temp_bytes: int | None  # of all devices together; None where the backend does not say


def numbers(case: Case) -> Numbers:
    """Random numbers that depend on the case's cell and sizes only. No bias is zero: a zero would hide its loss."""
    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, np.float32)

    params = CELLS[case.cell].init_params(jax.random.key(0), case.input, case.hidden)
    params = jax.tree.map(lambda leaf: np.asarray(leaf) + (0.1 * normal(*leaf.shape) if leaf.ndim == 1 else 0), params)
    return Numbers(params, normal(case.time, case.batch, case.input), normal(case.batch, case.hidden))


def work(case: Case, recurrence: Recurrence, dtype: Any, mesh: Mesh | None = None) -> Callable[..., Any]:
    """The case's task under a recurrence, computed in a dtype; params and gradients keep the dtype they come in."""
    cell = CELLS[case.cell]

    def last(params: Any, inputs: jax.Array) -> jax.Array:
        params, inputs = jax.tree.map(lambda leaf: leaf.astype(dtype), (params, inputs))
        _, final = recurrence(cell, params, inputs, cell.init_state(inputs.shape[1], case.hidden, dtype))
        return final.hidden

    return compute(case.task, last, mesh=mesh, batch_axis=1)


def on_devices(case: Case, mesh: Mesh) -> Numbers:
    """The numbers on the mesh, the batch split over its devices."""
    return _on_devices(dataclasses.replace(case.group, task="forward", dtype="float32"), mesh)


@functools.lru_cache(maxsize=1)
def _on_devices(case: Case, mesh: Mesh) -> Numbers:
    specs = Numbers(PartitionSpec(), PartitionSpec(None, AXIS), PartitionSpec(AXIS))
    return Numbers(*map(jax.device_put, numbers(case), (NamedSharding(mesh, spec) for spec in specs)))


def arguments(case: Case, mesh: Mesh) -> tuple[Any, jax.Array, jax.Array]:
    """What the case's executable is called with. A train step is given its first argument away: that one is new."""
    given = on_devices(case, mesh)
    if case.task != "train":
        return given
    params = jax.tree.map(jnp.copy, given.params)
    carried = jax.device_put((params, optimizer().init(params)), NamedSharding(mesh, PartitionSpec()))
    return carried, given.inputs, given.target


@functools.lru_cache(maxsize=KEPT)
def executable(case: Case, recurrence: Recurrence, mesh: Mesh) -> Executable:
    """The case's work on the mesh, compiled; lowering includes tracing. Made once, whoever asks for it."""
    function = jax.jit(work(case, recurrence, case.dtype, mesh), donate_argnums=(0,) if case.task == "train" else ())
    given = jax.block_until_ready(arguments(case, mesh))
    start = time.perf_counter()
    lowered = function.lower(*given)
    between = time.perf_counter()
    compiled = lowered.compile()
    end = time.perf_counter()
    memory = compiled.memory_analysis()
    temp_bytes = None if memory is None else mesh.size * memory.temp_size_in_bytes
    return Executable(compiled, between - start, end - between, temp_bytes)
