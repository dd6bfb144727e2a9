"""The compiled work of a case, and its check: values and gradients against those of `Scan` in float64."""

import functools
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from benchmarks.numbers import allowed, deviation, draw, last_output, reference
from benchmarks.recurrences.cases import Subject
from benchmarks.work import Executable, Work
from rnnjax.layers.parameters import cast

# The largest allowed deviation. Measured with `Scan` and `Chunked`, LSTM, GRU and Elman, T up to 1,000 and H up to 512:
# 1.2e-6 in float32, and 6.2e-2 in bfloat16, in which `Scan` also sums gradients.
FLOAT32_TOLERANCE = 1e-5
BFLOAT16_TOLERANCE = 1e-1
KEPT = 64  # compiled functions: at least all tasks of one shape under all recurrences

# Cases of one shape follow each other.
numbers = functools.lru_cache(maxsize=1)(draw)
answers = functools.lru_cache(maxsize=4)(reference)


class Deviation(NamedTuple):
    """The largest difference from the reference, relative to the largest number of each array."""

    values: float  # of the last outputs
    gradients: float  # of parameters and inputs


def work(subject: Subject, mesh: Mesh) -> Work:
    """The work of the case, computed in its dtype; parameters and their gradients are float32."""
    case, cell, recurrence = subject

    def last(params: Any, inputs: jax.Array) -> jax.Array:
        params, inputs = cast((params, inputs), case.dtype)
        return last_output(cell, recurrence, params, inputs, case.hidden)

    return Work(case.task, last, 1, mesh)


def arguments(subject: Subject, mesh: Mesh) -> tuple[Any, ...]:
    """The first arguments of the case's work."""
    return work(subject, mesh).arguments(numbers(subject.cell, subject.case.shape))


@functools.lru_cache(maxsize=KEPT)
def executable(subject: Subject, mesh: Mesh) -> Executable:
    """The compiled work; kept, since the check of another task needs it too."""
    return work(subject, mesh).build(arguments(subject, mesh))


def check(subject: Subject, mesh: Mesh) -> Deviation:
    """The deviation of the last outputs and of the gradients from the reference.

    The gradients are those of the timed executable. A forward pass has none: they are those of a train step under the
    same recurrence. Raises ValueError for arrays of other shapes than those of the reference.
    """
    want = answers(subject.cell, subject.case.shape)
    task = "train" if subject.case.task == "forward" else subject.case.task

    def answer(subject: Subject) -> Any:
        return work(subject, mesh).answer(executable(subject, mesh).compiled(*arguments(subject, mesh)))

    return Deviation(
        deviation(answer(subject.of("forward")), want.last), deviation(answer(subject.of(task)), want.gradients)
    )


def tolerance(subject: Subject, platform: str) -> float:
    """The largest allowed deviation of the case.

    GPUs and TPUs multiply float32 matrices with fewer bits (at least those of bfloat16), unless JAX's
    `jax_default_matmul_precision` is set.
    """
    precision = jax.config.jax_default_matmul_precision  # pyright: ignore[reportAttributeAccessIssue]
    full = platform == "cpu" or precision in ("float32", "highest")
    own = FLOAT32_TOLERANCE if subject.case.dtype == "float32" and full else BFLOAT16_TOLERANCE
    return allowed(own, answers(subject.cell, subject.case.shape))
