"""The config of a study, and how it is read from a run folder."""

import dataclasses
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from rnnjax.fields import check_fields, check_type
from rnnjax.runs.execution import EXECUTION, Execution, LocalExecution
from rnnjax.runs.folder import ARTIFACTS, BEST, CHECKPOINTS, CONFIG, RunFolder
from rnnjax.training.optimizers import Optimizer

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedsConfig(Optimizer):
    """The options of a run that trains several seeds together; the config of a study inherits it."""

    seeds: int = 3
    """Number of seeds that are trained together, distributed over the devices."""
    seed: int = 0
    """The first seed; the others are the next integers."""
    clip: float | None = 1.0
    """Maximum global norm of the gradient."""
    execution: LocalExecution = dataclasses.field(default_factory=LocalExecution)
    """How the run is carried out."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, at_least_one=("seeds",))
        if self.seed + self.seeds > 2**32:
            raise ValueError(f"seed: expected {self.seeds} seeds below {2**32}, got the first {self.seed}")


class Record(NamedTuple, Generic[Config]):
    """The content of the config.json of a run."""

    folder: RunFolder
    experiment: str
    config: Config
    facts: dict[str, Any]

    def best_params(self, template: Any) -> Any:
        """The parameters of the best epoch, with the structure and shapes of the template. Raises as `load_best`."""
        from rnnjax.runs.checkpoints import load_best

        return load_best(self.folder.path / CHECKPOINTS, template, self.folder.seals())


def load_record(
    path: Path | str, kind: type[Config], facts: Mapping[str, Any] | None = None, needed: Sequence[str] = ()
) -> Record[Config]:
    """The config of a run, a dataclass of this kind, and the facts of its data. Nothing is computed.

    `facts` are the names of the facts that the run was started with (`Session.begin`), and their types; by default any
    facts are accepted. `needed` are further files of the folder. Raises FileNotFoundError for a path that is not a run
    folder, or lacks a needed file; ValueError for other fields, and for values of the wrong type or out of range.
    """
    folder = RunFolder.open(path, *needed)
    file, values = folder.path / CONFIG, folder.config()
    names = [field.name for field in dataclasses.fields(cast(Any, kind)) if field.name != EXECUTION]
    known = {*names, *(facts or ()), "experiment"}
    others = values.keys() - known - {EXECUTION, BEST, ARTIFACTS}
    problems = {"without": known - values.keys(), "with the unknown": others if facts is not None else ()}
    for words, wrong in problems.items():
        if wrong:
            study = reprlib.repr(values.get("experiment"))
            raise ValueError(
                f"{file}: expected the fields of {kind.__name__}, got a run of {study} {words} "
                f"{reprlib.repr(sorted(wrong))}"
            )
    own = {name: tuple(value) if isinstance(value := values[name], list) else value for name in names}
    try:
        for name, hint in {"experiment": str, **(facts or {})}.items():
            check_type(name, values[name], hint)
        return Record(folder, values["experiment"], kind(**own), {name: values[name] for name in facts or others})
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def load_config(path: Path | str, kind: type[Config]) -> Config:
    """The config of a run, a dataclass of this kind. Raises as `load_record`."""
    return load_record(path, kind).config
