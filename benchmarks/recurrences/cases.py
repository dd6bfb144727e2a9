"""The cases of `benchmarks.throughput`: what is measured, named so that a row can be found again."""

import dataclasses
from collections.abc import Iterable
from typing import Literal

from benchmarks.work import Shape, Task
from rnnjax import GRU, LSTM, Chunked, Elman, PointwiseCell, Recurrence, Scan, Unrolled
from rnnjax.fields import check_fields

CellName = Literal["elman", "lstm", "gru"]
DType = Literal["float32", "bfloat16"]

CELLS: dict[CellName, PointwiseCell] = {"elman": Elman(), "lstm": LSTM(), "gru": GRU()}
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

    Raises ValueError for a size below 1, or a cell, dtype or task that there is not. The recurrence may be one
    that RECURRENCES has no more: rows outlive it.
    """

    cell: CellName
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
    def flop(self) -> float:
        """Useful floating-point operations; what a recurrence computes again is not counted."""
        return self.shape.flop(CELLS[self.cell].gates, self.task)

    @property
    def group(self) -> "Case":
        """The case of the same numbers and task under the baseline: equal for all that compete with each other."""
        return dataclasses.replace(self, recurrence=BASELINE)

    def __str__(self) -> str:
        sizes = f"B={self.batch} T={self.time} I={self.input} H={self.hidden}"
        return f"{self.cell} {self.task} {self.dtype} {sizes} {self.recurrence}"


def grouped(cases: Iterable[Case]) -> list[list[Case]]:
    """The cases by their group, both in the order in which they come."""
    groups: dict[Case, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    return list(groups.values())


def not_compiled(case: Case, limit: int) -> str | None:
    """Why the case's compilation is foreseen to take too long, or None."""
    if isinstance(RECURRENCES[case.recurrence], Unrolled) and case.time >= limit:
        return f"not compiled: a graph of {case.time} steps (--compile-limit {limit})"
    return None
