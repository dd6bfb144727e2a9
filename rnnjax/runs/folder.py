"""What a run leaves behind: enough to trace every figure to what made it, and to go on with it."""

import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax

from rnnjax.extras import extra
from rnnjax.files import append_to, make_folder, write_text
from rnnjax.runs.seals import START, Mark, SealedLines, digest, sealed, unsealed
from rnnjax.untrusted import check_file, check_folder, check_own, kind_of, open_plain, read_json

with extra("training"):
    import filelock

CONFIG, ENVIRONMENT, METRICS, VOCABULARY = "config.json", "environment.json", "metrics.jsonl", "vocabulary.json"
CHECKPOINTS, FIGURES, TENSORBOARD, STATUS, LOCK = "checkpoints", "figures", "tensorboard", "status.json", "lock"
ARTIFACT = re.compile(r"\w[\w-]*\.json")
FILES, FOLDERS = (CONFIG, VOCABULARY, METRICS, ENVIRONMENT, STATUS, LOCK), (CHECKPOINTS, FIGURES, TENSORBOARD)
MOST_CONFIG, MOST_ARTIFACT = 2**20, 2**28  # bytes
# Where the data lies may differ; whether it is the same data is told by a fingerprint of its content.
PLACES = ("source", "file")
# What of a config may be another one when a run is resumed: how long, from where, and how it is carried out.
MAY_CHANGE = ("epochs", "patience", *PLACES, "execution")
RUN = "run"
# Which metric says what epoch is best, in a config.
BEST = "best"
# JSON files of the run besides its vocabulary: their names, in a config.
ARTIFACTS = "artifacts"
LOCK_SECONDS = 1.0
MOST_RESUMED = 100
PACKAGES = ("rnnjax", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "datasets", "tokenizers", "orbax-checkpoint")


class RunFolder:
    """Of config.json, environment.json, status.json, metrics.jsonl, checkpoints/ and figures/, and of
    vocabulary.json where there is one."""

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
            make_folder(hidden / FIGURES)
            write_json(hidden / CONFIG, config)
            write_json(hidden / ENVIRONMENT, {RUN: uuid.uuid4().hex, **environment()})
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
        kind = kind_of(path)
        if kind is not None and not (kind == "a folder" and not any(path.iterdir())):
            raise FileExistsError(f"{name}: expected a new path, got {path}, which exists")
        parent = next(parent for parent in path.resolve().parents if parent.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            raise PermissionError(f"{name}: expected a place to write to, got {parent}")

    @classmethod
    def open(cls, path: Path, *needed: str) -> "RunFolder":
        """An existing run folder, with these files.

        Raises FileNotFoundError for a path that is not one, or lacks one of them, ValueError where a name that is read
        or written is not a plain file or folder: it may be a stranger's, and a link could lead anywhere.
        """
        for name in (CONFIG, *needed):
            if not (path / name).exists():
                raise FileNotFoundError(f"run folder: expected {name} in {path}, found none")
        # Each checkpoint is looked at when it is read: while a run is live they come and go.
        for names, check in ((FILES, check_file), (FOLDERS, check_folder)):
            for name in names:
                if kind_of(path / name) is not None:
                    check(path / name)
        if kind_of(path / METRICS) is not None:
            check_own(path / METRICS, (path / METRICS).lstat())  # the one file that is written to in its place
        return cls(path)

    def lock(self) -> filelock.BaseFileLock:
        """Held until it is released or the process is gone.

        Raises BlockingIOError where another process holds it, OSError where the folder cannot be written to,
        ValueError where the folder is a link, and as `check_lock`.
        """
        check_folder(self.path)
        check_lock(self.path / LOCK)
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

    def write_status(self, status: str, step: int | None, message: str = "", mark: Mark | None = None) -> None:
        """How the run stands: running, finished, stopped, diverged or failed; `mark` is where metrics.jsonl ends."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        values = {"status": status, "step": step, "time": now, "message": message, METRICS: mark}
        write_json(self.path / STATUS, values)

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

    def seals(self) -> dict[str, str | None]:
        """What each checkpoint says of the run that it belongs to: its name, and digests of config and vocabulary.

        What may change when a run is resumed is not in them. Raises as `config` and `read_environment`.
        """
        seals = {RUN: self.read_environment().get(RUN), CONFIG: digest(self.config(), MAY_CHANGE)}
        for name in (VOCABULARY, *self._artifacts()):
            if kind_of(self.path / name) is not None:
                with open_plain(self.path / name, MOST_ARTIFACT) as opened:
                    seals[name] = hashlib.file_digest(opened, "sha256").hexdigest()
        return seals

    def _artifacts(self) -> list[str]:
        names = self.config().get(ARTIFACTS, [])
        if not isinstance(names, list):
            raise ValueError(f"{self.path / CONFIG}: {ARTIFACTS}: expected a list of file names, got {names!r:.60}")
        for name in names:
            check_artifact(name)
        return names

    def artifact(self, name: str) -> Any:
        """The JSON value of an artifact. Raises FileNotFoundError where there is none of that name."""
        if name not in (VOCABULARY, *self._artifacts()) or kind_of(self.path / name) is None:
            raise FileNotFoundError(f"artifact: expected {name} in {self.path}, found none")
        return read_json(self.path / name, MOST_ARTIFACT)

    def check_artifacts(self, texts: Mapping[str, str]) -> None:
        """Raises ValueError where an artifact is not that of these JSON texts, FileNotFoundError where it is gone."""
        for name, text in texts.items():
            if self.artifact(name) != json.loads(text):
                what = name.removesuffix(".json")
                raise ValueError(f"{self.path / name}: expected the {what} of this data, got another one")

    def metrics(self, mark: Mark = START) -> SealedLines:
        """metrics.jsonl, open for appending after a mark, one line flushed at a time."""
        lines = io.TextIOWrapper(append_to(self.path / METRICS), encoding="utf-8", line_buffering=True)
        return SealedLines(lines, mark)

    def cut_metrics(self, mark: Mark) -> None:
        """Takes out of metrics.jsonl what stands after a mark: a run that goes on from there writes it again."""
        with append_to(self.path / METRICS) as opened:
            opened.truncate(mark.bytes)


def check_artifact(name: Any) -> None:
    """Raises ValueError for a name that no artifact can have."""
    taken = name in FILES and name != VOCABULARY
    if not isinstance(name, str) or taken or not ARTIFACT.fullmatch(name):
        raise ValueError(f"{ARTIFACTS}: expected names like scaler.json that no other file has, got {name!r:.60}")


def check_lock(path: Path) -> None:
    """Raises ValueError for a lock that is no file of one name: some versions of filelock empty what they open."""
    if kind_of(path) is not None:
        check_own(path, path.lstat())


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that `write_json` wrote to a file.

    Raises ValueError where there is another thing, or more than a config can be, or it was changed since.
    """
    value = read_json(path, MOST_CONFIG)
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(value).__name__}")
    try:
        return unsealed(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """The values, and a seal of them, as indented JSON with a final newline."""
    write_text(path, json.dumps(sealed(value), indent=2) + "\n")


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str | None]:
    """Versions of the packages, by default those that a run depends on; None for one that is not installed."""
    found: dict[str, str | None] = {}
    for name in packages:
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
