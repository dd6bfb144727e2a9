"""The paths of new runs, and the lines of metrics.jsonl."""

import os
import time
from pathlib import Path
from typing import Any

from rnnjax.runs.seals import SealedLines


def new_path(name: str) -> Path:
    """A path under runs/ with the name, the time, and the process ID (for runs started in the same second)."""
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def record(log: SealedLines, kind: str, values: dict[str, Any]) -> None:
    """Writes one line of metrics.jsonl."""
    log.write({"kind": kind, **values})
