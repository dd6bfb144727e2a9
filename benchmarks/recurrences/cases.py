"""The cases of `benchmarks.throughput`, their outcomes, and the rows of these."""

import dataclasses
import math
from typing import Any, Literal, NamedTuple

from benchmarks.timing import Spread
from benchmarks.work import Shape, Task
from rnnjax import Associative, Cell, Chunked, Newton, Recurrence, Scan, Unrolled
from rnnjax.fields import check_fields

BENCHMARK = "throughput"  # its name in the rows
Status = Literal["measured", "wrong", "failed", "not compiled"]
DType = Literal["float32", "bfloat16"]

BASELINE = "Scan()"  # ratios are to its time; in float64 it is the reference
SEQUENTIAL: dict[str, Recurrence] = {
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
# Only by name: one for linear cells, and one whose memory grows with the square of H for most cells.
RECURRENCES = {**SEQUENTIAL, "Associative()": Associative(), "Newton()": Newton()}


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


class Deviation(NamedTuple):
    """The largest difference from the reference, relative to the largest number of each array."""

    values: float  # of the last outputs
    gradients: float  # of parameters and inputs


@dataclasses.dataclass(frozen=True)
class Speed:
    """The times of a case in the rounds of its group, and figures derived from their median."""

    round_seconds: list[float]  # of a step: the mean over all steps of the round
    step_seconds: Spread
    tokens_per_second: float
    gflop_per_second: float  # useful ones: recomputation does not count
    peak_gflop_per_second: float  # of a matrix product in the same rounds, median
    peak_share: float
    scan_ratio: Spread | None  # to Scan() in the same round; None in a group without Scan()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a case: its speed, or the reason why it was not timed."""

    case: Case
    status: Status
    reason: str | None = None
    deviation: Deviation | None = None
    lower_seconds: float | None = None
    compile_seconds: float | None = None
    temp_bytes: int | None = None  # of all devices together
    speed: Speed | None = None


def to_row(outcome: Outcome, settings: dict[str, int], environment: dict[str, Any]) -> dict[str, Any]:
    """The outcome as a JSON object, with the settings (devices and rounds) and the environment of its run.

    JSON has no NaN and no infinity: such a deviation becomes null."""
    row = {**vars(outcome), "case": vars(outcome.case)}
    if outcome.deviation is not None:
        row["deviation"] = {name: x if math.isfinite(x) else None for name, x in outcome.deviation._asdict().items()}
    if outcome.speed is not None:
        fields = vars(outcome.speed).items()
        row["speed"] = {name: value._asdict() if isinstance(value, Spread) else value for name, value in fields}
    return {"benchmark": BENCHMARK, **row, "settings": settings, "environment": environment}


def from_row(row: dict[str, Any]) -> tuple[Outcome, dict[str, int], dict[str, Any]]:
    """The outcome of a row, its settings and its environment. Raises ValueError for any other row."""
    try:
        fields: dict[str, Any] = {field.name: row[field.name] for field in dataclasses.fields(Outcome)}
        fields["case"] = Case(**row["case"])
        if row["deviation"] is not None:
            finite = {name: math.nan if x is None else x for name, x in row["deviation"].items()}
            fields["deviation"] = Deviation(**finite)
        if row["speed"] is not None:
            speed: dict[str, Any] = {
                name: Spread(**x) if isinstance(x, dict) else x for name, x in row["speed"].items()
            }
            fields["speed"] = Speed(**speed)
        if row["benchmark"] != BENCHMARK or not isinstance(row["environment"], dict):
            raise KeyError("environment")
        return Outcome(**fields), {name: row["settings"][name] for name in ("devices", "rounds")}, row["environment"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a row of the benchmark {BENCHMARK}, got one with another: {error}") from error
