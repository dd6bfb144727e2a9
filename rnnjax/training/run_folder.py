"""What a run leaves behind: enough to trace every figure to what made it, and to go on with it."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import filelock
import jax

from rnnjax.training.position import Position
from rnnjax.untrusted import check_tree, read_json

CONFIG, ENVIRONMENT, METRICS, VOCABULARY = "config.json", "environment.json", "metrics.jsonl", "vocabulary.json"
CHECKPOINTS, FIGURES, STATUS, LOCK = "checkpoints", "figures", "status.json", "lock"
MOST_CONFIG = 2**20  # bytes
LOCK_SECONDS = 1.0
PACKAGES = ("rnnjax", "jax", "jaxlib", "flax", "optax", "numpy", "datasets", "tokenizers", "orbax-checkpoint")


class RunFolder:
    """Of config.json, environment.json, status.json, metrics.jsonl, vocabulary.json, checkpoints/ and figures/."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, path: Path, config: dict[str, Any]) -> "RunFolder":
        """A new run folder with its config and environment. Raises as `check_new`."""
        cls.check_new(path)
        path.mkdir(parents=True)
        (path / FIGURES).mkdir()
        write_json(path / CONFIG, config)
        write_json(path / ENVIRONMENT, environment())
        return cls(path)

    @staticmethod
    def check_new(path: Path, name: str = "run folder") -> None:
        """Raises FileExistsError where the path exists, PermissionError where it cannot be made."""
        if path.exists():
            raise FileExistsError(f"{name}: expected a new path, got {path}, which exists")
        parent = next(parent for parent in path.resolve().parents if parent.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            raise PermissionError(f"{name}: expected a place to write to, got {parent}")

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing run folder.

        Raises FileNotFoundError for a path that is not one, ValueError where what is read of it is not plain files:
        it may be a stranger's, and a link could lead anywhere.
        """
        for name in (CONFIG, VOCABULARY):
            if not (path / name).exists():
                raise FileNotFoundError(f"run folder: expected {name} in {path}, found none")
        for name in (CONFIG, VOCABULARY, CHECKPOINTS, METRICS, ENVIRONMENT):
            if os.path.lexists(path / name):
                check_tree(path / name)
        return cls(path)

    def lock(self) -> filelock.BaseFileLock:
        """Held until it is released or the process is gone. Raises BlockingIOError where another process holds it."""
        # Whoever lists runs holds it for a moment.
        lock = filelock.FileLock(self.path / LOCK, timeout=LOCK_SECONDS)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise BlockingIOError(f"{self.path}: expected a run that nobody else works on, got one in use") from None
        return lock

    def write_status(self, status: str, step: int, message: str = "") -> None:
        """How the run stands: running, finished, stopped, diverged or failed."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        write_json(self.path / STATUS, {"status": status, "step": step, "time": now, "message": message})

    def add_environment(self, step: int) -> None:
        """Adds this process to environment.json, as one that went on from a step."""
        file = self.path / ENVIRONMENT
        first = read_object(file)
        write_json(file, {**first, "resumed": [*first.get("resumed", []), {"step": step, **environment()}]})

    def config(self) -> dict[str, Any]:
        """What config.json holds. Raises ValueError where that is not a JSON object."""
        return read_object(self.path / CONFIG)

    def metrics(self) -> TextIO:
        """metrics.jsonl, open for appending, one line flushed at a time."""
        return (self.path / METRICS).open("a", encoding="utf-8", buffering=1)

    def read_metrics(self, kind: str) -> list[dict[str, Any]]:
        """The lines of one kind; what is no JSON object is left out."""
        lines = (_json_object(line) for line in self._lines())
        return [
            {name: value for name, value in line.items() if name != "kind"} for line in lines if line["kind"] == kind
        ]

    def forget_after(self, position: Position) -> None:
        """Takes out of metrics.jsonl what came after a position, which the run will write again."""
        kept = [line for line in self._lines() if _is_before(_json_object(line), position)]
        file = self.path / METRICS
        _replace(file, "".join(f"{line}\n" for line in kept))

    def _lines(self) -> list[str]:
        file = self.path / METRICS
        return file.read_text(encoding="utf-8", errors="replace").split("\n")[:-1] if file.exists() else []


def _json_object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) and isinstance(value.get("kind"), str) else {"kind": None}


def _is_before(line: dict[str, Any], position: Position) -> bool:
    """An epoch's line may have its last step's number, and be written after a checkpoint at that step."""
    name, last = {"step": ("step", position.step), "epoch": ("epoch", position.epoch)}.get(line["kind"], ("", 0))
    value = line.get(name)
    return isinstance(value, int) and value <= last


def _replace(path: Path, text: str) -> None:
    """A file's new text: after a kill there is either the whole old or the whole new one."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises ValueError where there is another thing, or more than a config can be."""
    value = read_json(path, MOST_CONFIG)
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def write_json(path: Path, value: Any) -> None:
    """The value as indented JSON with a final newline."""
    _replace(path, json.dumps(value, indent=2, default=str) + "\n")


def environment() -> dict[str, Any]:
    """Versions, devices, commit and command of this process."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "devices": [f"{device.platform}:{device.device_kind}" for device in jax.devices()],
        "versions": versions,
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The commit of the code that runs, where it runs from a git checkout."""
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
