"""What a run leaves behind: enough to trace every figure to what made it, and to go on with it."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

import filelock
import jax

from rnnjax.untrusted import check_plain, read_json

CONFIG, ENVIRONMENT, METRICS, VOCABULARY = "config.json", "environment.json", "metrics.jsonl", "vocabulary.json"
CHECKPOINTS, FIGURES, STATUS, LOCK = "checkpoints", "figures", "status.json", "lock"
MOST_CONFIG = 2**20  # bytes
LOCK_SECONDS = 1.0
MOST_RESUMED = 100
PACKAGES = ("rnnjax", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "datasets", "tokenizers", "orbax-checkpoint")


class RunFolder:
    """Of config.json, environment.json, status.json, metrics.jsonl, vocabulary.json, checkpoints/ and figures/."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, path: Path, config: dict[str, Any], texts: Mapping[str, str] = MappingProxyType({})) -> "RunFolder":
        """A new run folder with its config, environment and other texts by file name: all of them, or no folder.

        Raises as `check_new`.
        """
        cls.check_new(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever is killed in between leaves a hidden folder, and may begin again under the same path.
        hidden = path.with_name(f".{uuid.uuid4().hex}")
        hidden.mkdir()
        try:
            (hidden / FIGURES).mkdir()
            write_json(hidden / CONFIG, config)
            write_json(hidden / ENVIRONMENT, environment())
            for name, text in texts.items():
                write_text(hidden / name, text)
            os.rename(hidden, path)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            cls.check_new(path)  # another process may have been quicker
            raise
        return cls(path)

    @staticmethod
    def check_new(path: Path, name: str = "run folder") -> None:
        """Raises FileExistsError for anything but an empty folder, PermissionError where it cannot be made."""
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
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
        # Each checkpoint is looked at when it is read: while a run is live they come and go.
        for name in (CONFIG, VOCABULARY, CHECKPOINTS, METRICS, ENVIRONMENT):
            if os.path.lexists(path / name):
                check_plain(path / name)
        return cls(path)

    def lock(self) -> filelock.BaseFileLock:
        """Held until it is released or the process is gone.

        Raises BlockingIOError where another process holds it, OSError where the folder cannot be written to.
        """
        # Whoever lists runs holds it for a moment.
        lock = filelock.FileLock(self.path / LOCK, timeout=LOCK_SECONDS)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise BlockingIOError(f"{self.path}: expected a run that nobody else works on, got one in use") from None
        except OSError as error:
            raise OSError(
                error.errno, f"{self.path}: expected a run folder to write to, got one without ({error.strerror})"
            ) from error
        return lock

    def write_status(self, status: str, step: int, message: str = "") -> None:
        """How the run stands: running, finished, stopped, diverged or failed."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        write_json(self.path / STATUS, {"status": status, "step": step, "time": now, "message": message})

    def read_environment(self) -> dict[str, Any]:
        """What environment.json holds; nothing where there is no such file. Raises ValueError for other things."""
        file = self.path / ENVIRONMENT
        if not file.exists():
            return {"resumed": []}
        values = {"resumed": [], **read_object(file)}
        if not isinstance(values["resumed"], list):
            raise ValueError(f"{file}: resumed: expected a list, got {type(values['resumed']).__name__}")
        return values

    def add_environment(self, step: int) -> None:
        """Adds this process to environment.json, as one that went on from a step; of many such the last are kept."""
        values = self.read_environment()
        resumed = [*values["resumed"], {"step": step, **environment()}][-MOST_RESUMED:]
        write_json(self.path / ENVIRONMENT, {**values, "resumed": resumed})

    def config(self) -> dict[str, Any]:
        """What config.json holds. Raises ValueError where that is not a JSON object."""
        return read_object(self.path / CONFIG)

    def metrics(self) -> TextIO:
        """metrics.jsonl, open for appending, one line flushed at a time."""
        return (self.path / METRICS).open("a", encoding="utf-8", buffering=1)


def write_text(path: Path, text: str) -> None:
    """A file's new text: whatever happens there is either the whole old or the whole new one."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(new, path)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises ValueError where there is another thing, or more than a config can be."""
    value = read_json(path, MOST_CONFIG)
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def write_json(path: Path, value: Any) -> None:
    """The value as indented JSON with a final newline."""
    write_text(path, json.dumps(value, indent=2, default=str) + "\n")


def versions() -> dict[str, str | None]:
    """Versions of the packages that a run depends on; None for one that is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def environment() -> dict[str, Any]:
    """Versions, devices, commit and command of this process."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "devices": [f"{device.platform}:{device.device_kind}" for device in jax.devices()],
        "versions": versions(),
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
