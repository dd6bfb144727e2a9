"""Where runs are written, and the lines of their metrics."""

import json
import os
import time
from pathlib import Path
from typing import Any, TextIO

from rnnjax.training import RunFolder
from rnnjax.training.run_folder import CONFIG


def new_path(name: str) -> Path:
    """A path under runs/ from the name and the time; the process number tells apart runs of one second."""
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def record(log: TextIO, kind: str, values: dict[str, Any]) -> None:
    """One line of metrics.jsonl."""
    log.write(json.dumps({"kind": kind, **values}, allow_nan=False) + "\n")


def read_config(path: Path, kind: str, fields: set[str], added: dict[str, Any] | None = None) -> dict[str, Any]:
    """A run folder's config, which must have exactly these fields.

    `added` are fields that runs of earlier versions have not, with what those versions did. Raises
    FileNotFoundError for a path that is not a run folder, ValueError for another study's.
    """
    values = (added or {}) | RunFolder.open(path).config()
    difference = set(values) ^ fields
    if difference:
        raise ValueError(f"{path / CONFIG}: expected the fields of a {kind}, got more or less: {sorted(difference)}")
    return values
