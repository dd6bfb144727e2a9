"""Is what is about to be timed right? Values and gradients against those of `Scan` in float64."""

import functools
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from benchmarks.numbers import Answers, deviation, first_gradient, reference
from benchmarks.recurrences.cases import Case, Subject
from benchmarks.recurrences.executables import arguments, executable
from benchmarks.work import Shape
from rnnjax import Cell

# Largest deviation that a right result may have. Measured with `Scan` and `Chunked`, LSTM, GRU and Elman, T up to 1,000
# and H up to 512: 1.2e-6 in float32, and 6.2e-2 in bfloat16, in which `Scan` sums gradients, too.
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


def check(subject: Subject, mesh: Mesh) -> Deviation:
    """How far the case's last outputs and gradients are from those of the reference.

    The gradients come from the very executable that is timed; those of a forward pass, which has none, from a
    train step under the same recurrence. Raises ValueError where arrays are of another shape than the reference's.
    """
    want = answers(subject.cell, subject.case.shape)
    task = "train" if subject.case.task == "forward" else subject.case.task
    last, gradients = (executable(subject.of(name), mesh).compiled for name in ("forward", task))
    got = gradients(*arguments(subject.of(task), mesh))
    if task == "train":
        (_, optimizer_state), d_inputs = got
        got = first_gradient(optimizer_state), d_inputs
    return Deviation(
        deviation(last(*arguments(subject.of("forward"), mesh)), want.last),
        deviation(jax.device_get(got), want.gradients),
    )


@functools.lru_cache(maxsize=4)
def answers(cell: Cell, shape: Shape) -> Answers:
    """The reference's answers; kept, since cases of one shape follow each other."""
    return reference(cell, shape)
