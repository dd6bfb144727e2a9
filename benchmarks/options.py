"""What the options of all benchmarks share."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import tyro
from jax.sharding import Mesh

from rnnjax.cells.names import ALL_CELLS, cell_by_name
from rnnjax.fields import check_fields
from rnnjax.training import batch_mesh

_HELP = f"What happens at one step: {', '.join(ALL_CELLS)}, or your own cell as package.module:Name."
Cells = Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--cell"], metavar="NAME [NAME ...]", help=_HELP)]


def check_options(
    options: Any, *, may_be_empty: Sequence[str] = (), unique: Sequence[str] = (), **ranges: Sequence[str]
) -> None:
    """Raises ValueError as `check_fields`, for an empty tuple, for a repeated value, and for a cell without a match.

    The module of a user's own cell is imported.
    """
    check_fields(options, **ranges)
    for name, value in vars(options).items():
        if value == () and name not in may_be_empty:
            raise ValueError(f"{name}: expected at least one, got none")
        if name in unique and len(set(value)) < len(value):
            raise ValueError(f"{name}: expected each one once, got {' '.join(value)}")
    for name in getattr(options, "cells", ()):
        cell_by_name(name)


def mesh_for(field: str, batches: Iterable[int], devices: int | None) -> Mesh:
    """The mesh of the devices, by default all. Raises ValueError for a batch size that they cannot share."""
    mesh = batch_mesh(devices)
    for batch in batches:
        if batch % mesh.size:
            raise ValueError(f"{field}: expected batches that {mesh.size} devices can share, got {batch}")
    return mesh
