"""Where runs are written, and the lines of their metrics."""

import os
import time
from pathlib import Path
from typing import Any

from rnnjax.runs.seals import SealedLines


def new_path(name: str) -> Path:
    """A path under runs/ from the name and the time; the process number tells apart runs of one second."""
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def record(log: SealedLines, kind: str, values: dict[str, Any]) -> None:
    """One line of metrics.jsonl."""
    log.write({"kind": kind, **values})
