"""What a run leaves behind: enough to trace every figure to what made it."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import jax

from rnnjax.untrusted import check_tree, read_json

CONFIG, ENVIRONMENT, METRICS, VOCABULARY = "config.json", "environment.json", "metrics.jsonl", "vocabulary.json"
CHECKPOINT, FIGURES = "checkpoint", "figures"
MOST_CONFIG = 2**20  # bytes
PACKAGES = ("rnnjax", "jax", "jaxlib", "flax", "optax", "numpy", "datasets", "tokenizers", "orbax-checkpoint")


class RunFolder:
    """A folder with config.json, environment.json, metrics.jsonl, vocabulary.json, checkpoint/ and figures/."""

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
        for name in (CONFIG, VOCABULARY, CHECKPOINT):
            if not (path / name).exists():
                raise FileNotFoundError(f"run folder: expected {name} in {path}, found none")
            check_tree(path / name)
        if os.path.lexists(path / METRICS):  # a run that goes on appends to it
            check_tree(path / METRICS)
        return cls(path)

    def config(self) -> dict[str, Any]:
        """What config.json holds. Raises ValueError where that is not a JSON object of a config's size."""
        file = self.path / CONFIG
        config = read_json(file, MOST_CONFIG)
        if not isinstance(config, dict):
            raise ValueError(f"{file}: expected a JSON object, got {type(config).__name__}")
        return config

    def metrics(self) -> TextIO:
        """metrics.jsonl, open for appending, one line flushed at a time."""
        return (self.path / METRICS).open("a", encoding="utf-8", buffering=1)


def write_json(path: Path, value: Any) -> None:
    """The value as indented JSON with a final newline."""
    path.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")


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
