"""Checks that a checkpoint matches its name and the run in whose folder it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnjax.runs.folder import METRICS
from rnnjax.runs.seals import Mark
from rnnjax.training.position import Position
from rnnjax.untrusted import read_json

POSITION, BELONGS = "position.json", "run.json"
LARGEST_POSITION = 1 << 24  # bytes; a confusion matrix of 1,000 classes is a few MB
LARGEST_BELONGS = 1 << 16


class MisplacedError(ValueError):
    """A checkpoint that is not damaged, but is in the place of another one or in the folder of another run."""


def checkpoint_name(epoch: int, step: int) -> str:
    return f"epoch{epoch:03d}-step{step:08d}"


def check_place(checkpoint: Path, seals: Mapping[str, str | None]) -> None:
    """Raises MisplacedError if the checkpoint does not match its name or the run.

    `seals` are those of the run (`RunFolder.seals`); seals that are None are not checked. Also raises as
    `read_position`.
    """
    position = read_position(checkpoint)
    if checkpoint.name != (name := checkpoint_name(position.epoch, position.step)):
        raise MisplacedError(f"{checkpoint}: expected the checkpoint of that name, found the checkpoint {name}")
    check_belongs(checkpoint, seals)


def check_belongs(path: Path, seals: Mapping[str, str | None], what: str = "a checkpoint") -> None:
    """Raises MisplacedError if a sealed folder was written by a run with other `seals`; those that are None pass."""
    then = _belongs(path)
    for name, now in seals.items():
        if now is not None and then.get(name) != now:
            raise MisplacedError(
                f"{path}: expected {what} of this run ({name} {now[:12]}), "
                f"found one that was written with another ({str(then.get(name))[:12]})"
            )


def read_position(checkpoint: Path) -> Position:
    """The position of a checkpoint. Raises ValueError if its file is invalid."""
    file = checkpoint / POSITION
    values = read_json(file, LARGEST_POSITION)
    try:
        return Position.from_json(values)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def read_mark(checkpoint: Path) -> Mark:
    """The end of the run's log when the checkpoint was written. Raises ValueError if its file is invalid."""
    try:
        return Mark.from_json(_belongs(checkpoint).get(METRICS))
    except ValueError as error:
        raise ValueError(f"{checkpoint / BELONGS}: {error}") from error


def _belongs(checkpoint: Path) -> dict[str, Any]:
    file = checkpoint / BELONGS
    values = read_json(file, LARGEST_BELONGS)
    if not isinstance(values, dict):
        raise ValueError(f"{file}: expected a JSON object, got {type(values).__name__}")
    return values
