"""The option --cell: a cell of the library, or a user's own, which is imported because the user has typed its name."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from rnnjax.cell_names import NAMES, AnyCell
from rnnjax.extras import extra

with extra("experiments"):
    import tyro
    from tyro.constructors import PrimitiveConstructorSpec

# In a script, a config may hold a cell itself.
CellOption = Annotated[
    str | AnyCell,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{{{','.join(NAMES)}}}|MODULE:NAME",
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: isinstance(value, str | AnyCell),
        str_from_instance=lambda value: [str(value)],
    ),
]


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """The options of every command that opens a trained run; the options of a command inherit them."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    cell: str | None = None
    """The cell of the run, if it is your own, as module:Name."""


def import_cells(arguments: Sequence[str]) -> None:
    """Imports the own cells that a command line names by --cell. Raises as `cell_by_name`."""
    for i, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--cell":
            value = value if equals else "".join(arguments[i + 1 : i + 2])
            if ":" in value:
                from rnnjax.cells.names import cell_by_name

                cell_by_name(value)
