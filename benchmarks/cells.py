"""The option that gives benchmarks their cells: by name, or a user's own."""

from collections.abc import Iterable
from typing import Annotated

import tyro

from rnnjax.cells.names import ALL_CELLS, cell_by_name

_HELP = f"What happens at one step: {', '.join(ALL_CELLS)}, or your own cell as package.module:Name."
Cells = Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--cell"], metavar="NAME [NAME ...]", help=_HELP)]


def check_cells(names: Iterable[str]) -> None:
    """Raises ValueError for a name that is no cell's; an own cell's module is imported."""
    for name in names:
        cell_by_name(name)
