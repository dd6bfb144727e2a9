"""A case's work, compiled, and the numbers that it runs on."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.numbers import Numbers, draw, last_output
from benchmarks.recurrences.cases import Subject
from benchmarks.work import Executable, Shape, build, compute, optimizer
from rnnjax import Cell
from rnnjax.layers.parameters import cast
from rnnjax.training.devices import AXIS

# As many as the tasks of one shape have under all recurrences; they are built one after the other.
KEPT = 64


@functools.lru_cache(maxsize=1)
def on_devices(cell: Cell, shape: Shape, mesh: Mesh) -> Numbers:
    """The numbers on the mesh, the batch split over its devices."""
    specs = Numbers(PartitionSpec(), PartitionSpec(None, AXIS), PartitionSpec(AXIS))
    return Numbers(*map(jax.device_put, draw(cell, shape), (NamedSharding(mesh, spec) for spec in specs)))


def arguments(subject: Subject, mesh: Mesh) -> tuple[Any, jax.Array, jax.Array]:
    """What the case's executable is called with. A train step is given its first argument away: that one is new."""
    given = on_devices(subject.cell, subject.case.shape, mesh)
    if subject.case.task != "train":
        return given
    params = jax.tree.map(jnp.copy, given.params)
    carried = jax.device_put((params, optimizer().init(params)), NamedSharding(mesh, PartitionSpec()))
    return carried, given.inputs, given.target


@functools.lru_cache(maxsize=KEPT)
def executable(subject: Subject, mesh: Mesh) -> Executable:
    """The case's work on the mesh, compiled once, whoever asks for it.

    It is computed in the case's dtype; parameters and gradients are float32.
    """
    case, cell, recurrence = subject

    def last(params: Any, inputs: jax.Array) -> jax.Array:
        params, inputs = cast((params, inputs), case.dtype)
        return last_output(cell, recurrence, params, inputs, case.hidden)

    return build(compute(case.task, last, mesh, batch_axis=1), arguments(subject, mesh), case.task, mesh)
