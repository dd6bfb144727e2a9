"""The options of `benchmarks.throughput`, and its presets."""

import dataclasses
import itertools
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.cells import Cells, check_cells
from benchmarks.recurrences.cases import RECURRENCES, Case, DType, Subject, not_compiled
from benchmarks.work import Task
from rnnjax.cells.names import cell_by_name
from rnnjax.fields import check_fields

DEFAULT = "quick"
_NAMES = tyro.conf.arg(metavar="NAME [NAME ...]", help=f"How steps are run over time: {', '.join(RECURRENCES)}.")


@dataclasses.dataclass(frozen=True)
class Throughput:
    """The axes, of which every combination is a case, and how they are measured."""

    cells: Cells = ("lstm",)
    recurrences: Annotated[tuple[str, ...], _NAMES] = ("Scan()", "Scan(unroll=4)", "Unrolled()", "Chunked()")
    times: tuple[int, ...] = (8, 20, 128, 500)
    """T, steps of a sequence."""
    batches: tuple[int, ...] = (64,)
    """B, sequences of a batch."""
    hiddens: tuple[int, ...] = (100,)
    """H, hidden features."""
    dtypes: tuple[DType, ...] = ("float32",)
    """What is computed in; parameters and their gradients are float32."""
    tasks: tuple[Task, ...] = ("train",)
    """The last output, its gradients (parameters and inputs), or those and an update by Adam."""
    input: int = 32
    """I, input features."""
    rounds: int = 15
    """Rounds; in each one every recurrence of a group has its turn: one step, or many short ones."""
    devices: int | None = None
    """Devices that share the batch; all of them (CPU cores included) unless given."""
    compile_limit: int = 128
    """Unrolled is not compiled from this many steps on: at 128 that takes minutes, and much longer beyond."""
    rows: Path | None = None
    """A new file for the measured rows, JSON Lines; under runs/ unless given."""
    resume: bool = False
    """Go on with the file that --rows names: the cases that it holds are not measured again."""
    dry_run: bool = False
    """List the cases and measure nothing."""

    def __post_init__(self):
        axes = ("cells", "recurrences", "times", "batches", "hiddens", "dtypes", "tasks")
        check_fields(self, at_least_one=("times", "batches", "hiddens", "input", "rounds", "devices", "compile_limit"))
        for name in axes:
            if not getattr(self, name):
                raise ValueError(f"{name}: expected at least one, got none")
        check_cells(self.cells)
        for name in self.recurrences:
            if name not in RECURRENCES:
                raise ValueError(f"recurrences: expected some of {', '.join(RECURRENCES)}, got {name}")
        if self.resume and self.rows is None:
            raise ValueError("resume: expected --rows FILE, the rows to go on with, got none")

    def cases(self) -> list[Case]:
        """Every combination once. The tasks of one shape follow each other: the check compiles for all of them."""
        product = itertools.product(
            self.cells, self.hiddens, self.batches, self.times, self.dtypes, self.tasks, self.recurrences
        )
        cases = [
            Case(cell, recurrence, time, batch, self.input, hidden, dtype, task)
            for cell, hidden, batch, time, dtype, task, recurrence in product
        ]
        return list(dict.fromkeys(cases))

    def left_out(self, case: Case) -> str | None:
        """Why the case is not compiled, or None."""
        return not_compiled(case, self.compile_limit)


def subject(case: Case) -> Subject:
    """What the names of a case stand for that the options gave."""
    return Subject(case, cell_by_name(case.cell), RECURRENCES[case.recurrence])


_STANDARD = Throughput(
    cells=("elman", "lstm", "gru"),
    recurrences=tuple(RECURRENCES),
    times=(10, 40, 200, 1000),
    tasks=("forward", "train"),
)
PRESETS = {
    "quick": ("About two minutes on two cores: an LSTM's train step at four lengths.", Throughput()),
    "standard": (
        "Three cells and every recurrence at four lengths, forward pass and train step, B=64, H=100.",
        _STANDARD,
    ),
    "full": (
        "Sizes, dtypes and tasks as well: most of a day. To be cut by flags, stopped and resumed.",
        dataclasses.replace(
            _STANDARD,
            batches=(16, 64),
            hiddens=(32, 128, 512),
            dtypes=("float32", "bfloat16"),
            tasks=("forward", "gradient", "train"),
        ),
    ),
}
