"""Is what is about to be timed right? Values and gradients against those of `Scan` in float64."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from benchmarks.recurrences.cases import BASELINE, RECURRENCES, Case
from benchmarks.recurrences.executables import arguments, executable, numbers, work
from benchmarks.work import Task, optimizer

# Largest deviation that a right result may have. Measured with `Scan` and `Chunked`, all cells, T up to 1,000 and
# H up to 512: 1.2e-6 in float32, and 6.2e-2 in bfloat16, in which `Scan` sums gradients, too.
FLOAT32_TOLERANCE = 1e-5
BFLOAT16_TOLERANCE = 1e-1


class Deviation(NamedTuple):
    """The largest difference from the reference, relative to the largest number of each array."""

    values: float  # the last outputs
    gradients: float  # those of parameters and inputs

    def within(self, tolerance: float) -> bool:
        return all(number <= tolerance for number in self)  # False for what is not a number, too


def tolerance(case: Case, platform: str) -> float:
    """The largest deviation that a right result of the case may have on a platform.

    GPUs and TPUs multiply float32 matrices with fewer bits, though no fewer than bfloat16 has, unless JAX's
    `jax_default_matmul_precision` says otherwise.
    """
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    full = platform == "cpu" or precision in ("float32", "highest")
    return FLOAT32_TOLERANCE if case.dtype == "float32" and full else BFLOAT16_TOLERANCE


def check(case: Case, mesh: Mesh) -> Deviation:
    """How far the case's last outputs and gradients are from those of the reference.

    The gradients come from the very executable that is timed; those of a forward pass, which has none, from a
    train step under the same recurrence.
    """
    forward = dataclasses.replace(case, task="forward")
    backward = dataclasses.replace(case, task="train") if case.task == "forward" else case
    return Deviation(*(_deviation(result(each, mesh), reference(each)) for each in (forward, backward)))


def result(case: Case, mesh: Mesh) -> Any:
    """What the case's executable gives, as NumPy arrays."""
    compiled = executable(case, RECURRENCES[case.recurrence], mesh).compiled
    return _comparable(case.task, compiled(*arguments(case, mesh)))


def reference(case: Case) -> Any:
    """What the case should give: its task under `Scan` in float64 on one device, as NumPy arrays."""
    return _reference(dataclasses.replace(case.group, dtype="float32"))


@functools.lru_cache(maxsize=4)
def _reference(case: Case) -> Any:
    given = jax.tree.map(lambda leaf: leaf.astype(np.float64), numbers(case))
    with jax.enable_x64(True):
        first = given.params
        if case.task == "train":
            first = given.params, optimizer().init(given.params)
        function = jax.jit(work(case, RECURRENCES[BASELINE], np.float64))
        return _comparable(case.task, function(first, given.inputs, given.target))


def _comparable(task: Task, result: Any) -> Any:
    """The part of a task's result that shows a wrong number: after one train step, Adam's mean of the gradients."""
    if task == "train":
        (_, optimizer_state), d_inputs = result
        result = optax.tree.get(optimizer_state, "mu"), d_inputs
    return jax.device_get(result)


def _deviation(got: Any, want: Any) -> float:
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True)
    return max(_largest_difference(np.asarray(a, np.float64), b) for a, b in pairs)


def _largest_difference(got: np.ndarray, want: np.ndarray) -> float:
    if got.shape != want.shape:
        raise ValueError(f"expected shape {want.shape}, got {got.shape}")
    return float(np.abs(got - want).max() / (np.abs(want).max() or 1.0))
