"""The options of `benchmarks.throughput`, and its presets."""

import dataclasses
import itertools
from pathlib import Path
from typing import Annotated, get_args

import tyro

from benchmarks.options import Cells, check_options
from benchmarks.recurrences.cases import RECURRENCES, SEQUENTIAL, Case, DType, Subject
from benchmarks.work import Task
from rnnjax import Unrolled
from rnnjax.cells.names import cell_by_name

_NAMES = tyro.conf.arg(metavar="NAME [NAME ...]", help=f"How steps are run over time: {', '.join(RECURRENCES)}.")


@dataclasses.dataclass(frozen=True)
class Throughput:
    """Measure every combination of the axes."""

    cells: Cells = ("lstm",)
    recurrences: Annotated[tuple[str, ...], _NAMES] = ("Scan()", "Scan(unroll=4)", "Unrolled()", "Chunked()")
    times: tuple[int, ...] = (8, 20, 128, 500)
    """T, steps of a sequence."""
    batches: tuple[int, ...] = (64,)
    """B, sequences of a batch."""
    hiddens: tuple[int, ...] = (100,)
    """H, hidden features."""
    dtypes: tuple[DType, ...] = ("float32",)
    """Dtype of the computation; parameters and their gradients are float32."""
    tasks: tuple[Task, ...] = ("train",)
    """The last output, its gradients (parameters and inputs), or the gradients and an update by Adam."""
    input: int = 32
    """I, input features."""
    rounds: int = 15
    """Rounds; each one times every recurrence of a group: one step, or many short ones."""
    devices: int | None = None
    """Devices that share the batch; by default all, CPU cores included."""
    compile_limit: int = 128
    """Steps from which on Unrolled is not compiled: with 128 this takes minutes, with more much longer."""
    rows: Path | None = None
    """A new file for the measured rows, JSON Lines; by default in runs/."""
    resume: bool = False
    """Continue the file that --rows names, without the cases that it has."""
    dry_run: bool = False
    """List the cases and measure nothing."""

    def __post_init__(self):
        check_options(self, at_least_one=("times", "batches", "hiddens", "input", "rounds", "devices", "compile_limit"))
        for name in self.recurrences:
            if name not in RECURRENCES:
                raise ValueError(f"recurrences: expected some of {', '.join(RECURRENCES)}, got {name}")
        if self.resume and self.rows is None:
            raise ValueError("resume: expected --rows FILE, the rows to continue, got none")

    def cases(self) -> list[Case]:
        """Every combination once. The tasks of one shape follow each other: they share compiled functions."""
        product = itertools.product(
            self.cells, self.hiddens, self.batches, self.times, self.dtypes, self.tasks, self.recurrences
        )
        cases = [
            Case(cell, recurrence, time, batch, self.input, hidden, dtype, task)
            for cell, hidden, batch, time, dtype, task, recurrence in product
        ]
        return list(dict.fromkeys(cases))

    def left_out(self, case: Case) -> str | None:
        """The reason why compiling the case would take too long, or None."""
        if isinstance(RECURRENCES[case.recurrence], Unrolled) and case.time >= self.compile_limit:
            return f"not compiled: a graph of {case.time} steps (--compile-limit {self.compile_limit})"
        return None


def subject(case: Case) -> Subject:
    """The case with its cell and its recurrence."""
    return Subject(case, cell_by_name(case.cell), RECURRENCES[case.recurrence])


_STANDARD = Throughput(
    cells=("elman", "lstm", "gru"),
    recurrences=tuple(SEQUENTIAL),
    times=(10, 40, 200, 1000),
    tasks=("forward", "train"),
)
_FULL = dataclasses.replace(
    _STANDARD, batches=(16, 64), hiddens=(32, 128, 512), dtypes=get_args(DType), tasks=get_args(Task)
)
PRESETS = {
    "quick": ("About two minutes on two cores: an LSTM's train step at four lengths.", Throughput()),
    "standard": ("Three cells, all recurrences, four lengths; forward pass and train step, B=64, H=100.", _STANDARD),
    "full": ("Sizes, dtypes and tasks as well: most of a day. Flags make it smaller; it can be resumed.", _FULL),
}
