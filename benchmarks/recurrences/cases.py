"""The cases of `benchmarks.throughput`: what is measured, named so that a row can be found again."""

import dataclasses
from typing import Literal, NamedTuple

from benchmarks.work import Shape, Task
from rnnjax import Cell, Chunked, Recurrence, Scan, Unrolled
from rnnjax.fields import check_fields

DType = Literal["float32", "bfloat16"]

# What the ratios are ratios to, and, in float64, what the numbers are checked against.
BASELINE = "Scan()"
RECURRENCES: dict[str, Recurrence] = {
    BASELINE: Scan(),
    "Scan(unroll=4)": Scan(unroll=4),
    "Scan(unroll=16)": Scan(unroll=16),
    "Unrolled()": Unrolled(),
    "Chunked()": Chunked(),
    "Chunked(10, 'gates')": Chunked(10, "gates"),
    "Chunked(40, 'gates')": Chunked(40, "gates"),
    "Chunked(10, 'boundaries')": Chunked(10, "boundaries"),
    "Chunked(40, 'boundaries')": Chunked(40, "boundaries"),
    "Chunked(160, 'boundaries')": Chunked(160, "boundaries"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One measurement: a task of a recurrent layer of this size, under one recurrence.

    Raises ValueError for a size below 1, or a dtype or task that there is not. The names of the cell and of the
    recurrence are not looked up, for a case may come from a file of rows: they may be of things that are no more, and
    an own cell's would run its module.
    """

    cell: str
    recurrence: str
    time: int
    batch: int
    input: int
    hidden: int
    dtype: DType
    task: Task

    def __post_init__(self):
        check_fields(self, at_least_one=("time", "batch", "input", "hidden"))

    @property
    def shape(self) -> Shape:
        return Shape(batch=self.batch, time=self.time, input=self.input, hidden=self.hidden)

    @property
    def group(self) -> "Case":
        """The case of the same numbers and task under the baseline: equal for all that compete with each other."""
        return dataclasses.replace(self, recurrence=BASELINE)

    def __str__(self) -> str:
        sizes = f"B={self.batch} T={self.time} I={self.input} H={self.hidden}"
        return f"{self.cell} {self.task} {self.dtype} {sizes} {self.recurrence}"


class Subject(NamedTuple):
    """A case, and what its two names stand for; hashable, as cells and recurrences are."""

    case: Case
    cell: Cell
    recurrence: Recurrence

    @property
    def flop(self) -> float:
        """Useful floating-point operations; what a recurrence computes again is not counted."""
        return self.case.shape.flop(self.cell, self.case.task)

    def of(self, task: Task) -> "Subject":
        """The same with another task."""
        return self._replace(case=dataclasses.replace(self.case, task=task))


def not_compiled(case: Case, limit: int) -> str | None:
    """Why the case's compilation is foreseen to take too long, or None."""
    if isinstance(RECURRENCES[case.recurrence], Unrolled) and case.time >= limit:
        return f"not compiled: a graph of {case.time} steps (--compile-limit {limit})"
    return None
