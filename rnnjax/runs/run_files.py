"""The paths of new runs, the lines of metrics.jsonl, and reading a config."""

import os
import reprlib
import time
from pathlib import Path
from typing import Any

from rnnjax.runs.execution import EXECUTION
from rnnjax.runs.folder import BEST, CONFIG, VOCABULARY, RunFolder
from rnnjax.runs.seals import SealedLines


def new_path(name: str) -> Path:
    """A path under runs/ with the name, the time, and the process ID (for runs started in the same second)."""
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def record(log: SealedLines, kind: str, values: dict[str, Any]) -> None:
    """Writes one line of metrics.jsonl."""
    log.write({"kind": kind, **values})


def read_config(path: Path, kind: str, fields: set[str]) -> dict[str, Any]:
    """The config of a run folder with a vocabulary; it must have exactly these fields.

    Raises FileNotFoundError for a path that is not a run folder, ValueError for a run of another study.
    """
    config = RunFolder.open(path, VOCABULARY).config()
    values = {name: value for name, value in config.items() if name not in (EXECUTION, BEST)}
    difference = set(values) ^ fields
    if difference:
        study = reprlib.repr(config.get("experiment"))
        raise ValueError(
            f"{path / CONFIG}: expected the fields of a {kind}, got a run of {study}, which differs in the fields "
            f"{reprlib.repr(sorted(difference))}"
        )
    return values
