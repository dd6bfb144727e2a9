"""The config of a study, and how it is read from a run folder."""

import dataclasses
import reprlib
from pathlib import Path
from typing import Any, TypeVar

from rnnjax.fields import check_fields
from rnnjax.runs.execution import EXECUTION, Execution
from rnnjax.runs.folder import CONFIG, RunFolder
from rnnjax.training import Optimizer

Config = TypeVar("Config")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(Optimizer):
    """The options of every training on arrays; the config of a study inherits them and adds its own fields."""

    epochs: int = 10
    """Number of epochs: passes over the training data."""
    patience: int | None = None
    """Early stopping: stop after this number of epochs without a better validation score."""
    batch_size: int = 32
    """Rows in each batch."""
    seed: int = 0
    """Random seed of the initial parameters, the order of the batches, dropout and all other random numbers."""
    execution: Execution = dataclasses.field(default_factory=Execution)
    """How the run is executed."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, at_least_one=("epochs", "patience", "batch_size"))


def load_config(path: Path, kind: type[Config]) -> Config:
    """The config of a run folder, as a dataclass `kind` whose fields are numbers, strings and tuples of them.

    Raises FileNotFoundError for a path that is not a run folder, ValueError for a run of another study.
    """
    values = RunFolder.open(path).config()
    fields: Any = dataclasses.fields(kind)  # pyright: ignore[reportArgumentType]
    names = [field.name for field in fields if field.name != EXECUTION]
    if missing := [name for name in names if name not in values]:
        study = reprlib.repr(values.get("experiment"))
        raise ValueError(
            f"{path / CONFIG}: expected the fields of {kind.__name__}, got a run of {study} without "
            f"{reprlib.repr(missing)}"
        )
    own = {name: tuple(value) if isinstance(value := values[name], list) else value for name in names}
    try:
        return kind(**own)
    except ValueError as error:
        raise ValueError(f"{path / CONFIG}: {error}") from error
