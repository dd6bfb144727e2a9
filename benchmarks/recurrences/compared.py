"""Any recurrences on any cells, from Python: checked, timed, and returned as rows."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.machine import environment
from benchmarks.options import mesh_for
from benchmarks.recurrences.cases import BASELINE, RECURRENCES, Case, DType, Subject, to_row
from benchmarks.recurrences.measurement import measure
from benchmarks.recurrences.tables import speed_table
from benchmarks.work import Shape, Task
from rnnjax import Cell, Recurrence
from rnnjax.cells.names import ALL_CELLS, cell_by_name
from rnnjax.fields import check_range, check_type


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
    of `Scan` in float64 before anything is timed. Failed or incorrect cases stay in the rows, with the reason.

    Args:
        recurrences, cells: each one alone, or as a pair with a name; a cell also by its name.
        shapes: batch, time, input and hidden sizes: a `Shape`, or "BxTxIxH".
        task, dtype, rounds, devices: as the options of the command.
        show: whether to print the rows as a table.

    Raises: ValueError for no recurrence, cell or shape, what is none, a repeated name, sizes or rounds below 1, an
        unknown task or dtype, and a batch that is not a multiple of the number of devices.
    """
    named_recurrences = {BASELINE: RECURRENCES[BASELINE], **_named("recurrences", recurrences, Recurrence, RECURRENCES)}
    named_cells = _named("cells", cells, Cell, ALL_CELLS)
    sizes = [Shape.parse(shape) if isinstance(shape, str) else shape for shape in shapes]
    if not sizes:
        raise ValueError("shapes: expected at least one, got none")
    for name, value, options in (("task", task, Task), ("dtype", dtype, DType)):
        check_type(name, value, options)
    check_range("rounds", rounds, 1)
    mesh = mesh_for("shapes", [shape.batch for shape in sizes], devices)
    settings, here, outcomes = {"devices": mesh.size, "rounds": rounds}, environment(), []
    for shape, (cell_name, cell) in itertools.product(sizes, named_cells.items()):
        group = [
            Subject(Case(cell_name, name, dtype=dtype, task=task, **vars(shape)), cell, recurrence)
            for name, recurrence in named_recurrences.items()
        ]
        outcomes += measure(group, mesh, rounds)
    if show:
        print(speed_table(outcomes))
    return [to_row(outcome, settings, here) for outcome in outcomes]


def _named(field: str, items: Iterable[Any], kind: type, known: Mapping[str, Any]) -> dict[str, Any]:
    """Every item by its name: the given one, that of the library, or else its class (cells) or its repr."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise ValueError(f"{field}: expected a sequence, got {items!r}")
    named = {}
    for item in items:
        name, value = item if isinstance(item, tuple) and len(item) == 2 else (None, item)
        if isinstance(value, str) and kind is Cell:
            name, value = name or value, cell_by_name(value)
        if name is None:
            own = type(value).__name__ if isinstance(value, Cell) else str(value)
            name = next((name for name, other in known.items() if other == value), own)
        if not isinstance(value, kind):
            what = f"{kind.__name__} objects" + (" or names of cells" if kind is Cell else "")
            raise ValueError(f"{field}: expected {what}, got {value!r}")
        if name in named:
            raise ValueError(f"{field}: expected different names, got {name} twice; give each as a pair (name, value)")
        named[name] = value
    if not named:
        raise ValueError(f"{field}: expected at least one, got none")
    return named
