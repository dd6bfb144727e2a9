"""The cases of `benchmarks.throughput`."""

import dataclasses
from typing import Literal, NamedTuple

from benchmarks.work import Shape, Task
from rnnjax import Cell, Chunked, Recurrence, Scan, Unrolled
from rnnjax.fields import check_fields

DType = Literal["float32", "bfloat16"]

BASELINE = "Scan()"  # ratios are to its time; in float64 it is the reference
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

    Raises ValueError for a size below 1, or an unknown dtype or task. The names of the cell and of the recurrence are
    not checked: a case may come from a file of rows, and looking up a user's own cell would run its module.
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
        """The same case under the baseline: equal for all cases that are compared with each other."""
        return dataclasses.replace(self, recurrence=BASELINE)

    def __str__(self) -> str:
        sizes = f"B={self.batch} T={self.time} I={self.input} H={self.hidden}"
        return f"{self.cell} {self.task} {self.dtype} {sizes} {self.recurrence}"


class Subject(NamedTuple):
    """A case with its cell and its recurrence; hashable."""

    case: Case
    cell: Cell
    recurrence: Recurrence

    @property
    def flop(self) -> float:
        return self.case.shape.flop(self.cell, self.case.task)

    def of(self, task: Task) -> "Subject":
        """The same with another task."""
        return self._replace(case=dataclasses.replace(self.case, task=task))
