"""Any recurrences on any cells, from Python: checked, timed, and given back as rows."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.machine import environment
from benchmarks.recurrences.cases import BASELINE, RECURRENCES, Case, DType, Subject
from benchmarks.recurrences.measurement import measure
from benchmarks.recurrences.outcome import Settings, to_row
from benchmarks.recurrences.tables import speed_table
from benchmarks.work import Shape, Task
from rnnjax import Cell, Recurrence
from rnnjax.cells.names import ALL_CELLS, cell_by_name
from rnnjax.training import batch_mesh


def compare(
    recurrences: Iterable[Recurrence | tuple[str, Recurrence]],
    cells: Iterable[Cell | str | tuple[str, Cell]],
    shapes: Iterable[Shape | str],
    *,
    task: Task = "train",
    dtype: DType = "float32",
    rounds: int = 15,
    devices: int | None = None,
    show: bool = False,
) -> list[dict[str, Any]]:
    """Rows of every recurrence on every cell and shape, as `python -m benchmarks.throughput` writes them.

        rows = compare([Chunked(), ("mine", MyRecurrence())], ["lstm", MyCell()], ["64x500x32x100"], show=True)

    `Scan()` is measured too: ratios are to its time in the same rounds. Values and gradients are compared with those
    of `Scan` in float64 before anything is timed; what is wrong, or fails, is a row with the reason.

    Args:
        recurrences: each by itself or with its name, which is otherwise what it is written as.
        cells: each by itself, by its name (`rnnjax.cells.names.cell_by_name`) or with a name of your own.
        shapes: batch, time, input and hidden sizes: a `Shape`, or "BxTxIxH".
        task: the last output ("forward"), its gradients ("gradient"), or those and an update by Adam ("train").
        dtype: what is computed in; parameters and their gradients are float32.
        rounds: in each one every recurrence of a cell and shape has its turn.
        devices: how many share the batch; all of them unless given.
        show: whether to print the rows as a table.

    Returns: the rows, of a cell and shape first those that are not timed.
    Raises: ValueError for no recurrence or cell, a name that is given twice, a cell that there is not, sizes and rounds
        below 1, and a batch that the devices cannot share.
    """
    named_recurrences = {BASELINE: RECURRENCES[BASELINE], **_named("recurrences", recurrences, RECURRENCES)}
    named_cells = _named("cells", cells, ALL_CELLS)
    sizes = [Shape.parse(shape) if isinstance(shape, str) else shape for shape in shapes]
    if rounds < 1:
        raise ValueError(f"rounds: expected at least 1, got {rounds}")
    mesh = batch_mesh(devices)
    for shape in sizes:
        if shape.batch % mesh.size:
            raise ValueError(f"shapes: expected batches that {mesh.size} devices can share, got {shape.batch}")
    settings, here = Settings(mesh.size, rounds), environment()
    outcomes = []
    for shape, (cell_name, cell) in itertools.product(sizes, named_cells.items()):
        group = [
            Subject(Case(cell_name, name, dtype=dtype, task=task, **vars(shape)), cell, recurrence)
            for name, recurrence in named_recurrences.items()
        ]
        outcomes += measure(group, mesh, rounds)
    if show:
        print(speed_table(outcomes))
    return [to_row(outcome, settings, here) for outcome in outcomes]


def _named(field: str, items: Iterable[Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Every item by its name: its own, that under which the library knows it, or else what it is written as."""
    named = {}
    for item in items:
        name, value = item if isinstance(item, tuple) else (_name_of(item, known), item)
        if name in named:
            raise ValueError(f"{field}: expected different names, got {name} twice; give each as a pair (name, value)")
        named[name] = cell_by_name(value) if isinstance(value, str) else value
    if not named:
        raise ValueError(f"{field}: expected at least one, got none")
    return named


def _name_of(item: Any, known: Mapping[str, Any]) -> str:
    if isinstance(item, str):
        return item
    # Written out, a cell names all of its initialisers.
    own = type(item).__name__ if isinstance(item, Cell) else str(item)
    return next((name for name, value in known.items() if value == item), own)
