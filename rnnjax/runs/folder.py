"""Run folders: the config, environment, status, log and checkpoints of a run."""

import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import reprlib
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

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
# The path of the data may change; a fingerprint of the content shows whether the data are the same.
PLACES = ("source", "file")
# The fields of a config that may change when a run is resumed.
MAY_CHANGE = ("epochs", "patience", *PLACES, "execution")
RUN = "run"
# The field of config.json with the metric that determines the best epoch.
BEST = "best"
# The field of config.json with the names of the run's JSON files other than the vocabulary.
ARTIFACTS = "artifacts"
LOCK_SECONDS = 1.0
MOST_RESUMED = 100
PACKAGES = ("rnnjax", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "datasets", "tokenizers", "orbax-checkpoint")


class RunFolder:
    """A folder with config.json, environment.json, status.json, metrics.jsonl, checkpoints/ and figures/.

    It may also have vocabulary.json and other artifacts.
    """

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, path: Path, config: dict[str, Any], texts: Mapping[str, str] = MappingProxyType({})) -> "RunFolder":
        """A new run folder with its config, environment and other texts by file name, created atomically.

        Raises as `check_new`.
        """
        cls.check_new(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A process that is killed here leaves a hidden folder only, and may use the same path again.
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
            cls.check_new(path)  # another process may have created it meanwhile
            raise
        return cls(path)

    @staticmethod
    def check_new(path: Path, name: str = "run folder") -> None:
        """Raises FileExistsError if the path is taken by more than an empty folder, PermissionError if not writable."""
        kind = kind_of(path)
        if kind is not None and not (kind == "a folder" and not any(path.iterdir())):
            raise FileExistsError(f"{name}: expected a new path, got {path}, which exists")
        parent = next(parent for parent in path.resolve().parents if parent.exists())
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            raise PermissionError(f"{name}: expected a place to write to, got {parent}")

    @classmethod
    def open(cls, path: Path | str, *needed: str) -> "RunFolder":
        """An existing run folder that has the `needed` files.

        Raises FileNotFoundError for a path that is not a run folder, or lacks one of these files. Raises ValueError if
        something that is read or written is not a plain file or folder: the folder may come from somebody else, and a
        link could point anywhere.
        """
        path = Path(path)
        for name in (CONFIG, *needed):
            if not (path / name).exists():
                raise FileNotFoundError(f"run folder: expected {name} in {path}, found none")
        # Checkpoints are checked when they are read: a running training adds and removes them.
        for names, check in ((FILES, check_file), (FOLDERS, check_folder)):
            for name in names:
                if kind_of(path / name) is not None:
                    check(path / name)
        if kind_of(path / METRICS) is not None:
            check_own(path / METRICS, (path / METRICS).lstat())  # the only file that is changed in place
        return cls(path)

    def lock(self) -> filelock.BaseFileLock:
        """The acquired lock of the run, held until it is released or the process ends.

        Raises BlockingIOError if another process holds it, OSError if the folder cannot be written to, ValueError if
        the folder is a link, and as `check_lock`.
        """
        check_folder(self.path)
        check_lock(self.path / LOCK)
        # Listing runs holds the lock for a moment.
        lock = filelock.FileLock(self.path / LOCK, timeout=LOCK_SECONDS)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise BlockingIOError(f"{self.path}: expected a run that no other process uses, got one in use") from None
        except OSError as error:
            raise OSError(
                error.errno, f"{self.path}: expected a run folder that can be written to, got: {error.strerror}"
            ) from error
        return lock

    def write_status(self, status: str, step: int | None, message: str = "", mark: Mark | None = None) -> None:
        """Writes status.json: running, finished, stopped, diverged or failed; `mark` is the end of metrics.jsonl."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        values = {"status": status, "step": step, "time": now, "message": message, METRICS: mark}
        write_json(self.path / STATUS, values)

    def read_environment(self) -> dict[str, Any]:
        """The content of environment.json; empty if there is no such file. Raises ValueError for invalid content."""
        file = self.path / ENVIRONMENT
        if not file.exists():
            return {"resumed": []}
        values = {"resumed": [], **read_object(file)}
        if not isinstance(values["resumed"], list):
            raise ValueError(f"{file}: resumed: expected a list, got {type(values['resumed']).__name__}")
        return values

    def add_environment(self, step: int) -> None:
        """Adds this process to environment.json as a resumption from a step; the last MOST_RESUMED are kept."""
        values = self.read_environment()
        resumed = [*values["resumed"], {"step": step, **environment()}][-MOST_RESUMED:]
        write_json(self.path / ENVIRONMENT, {**values, "resumed": resumed})

    def config(self) -> dict[str, Any]:
        """The content of config.json. Raises ValueError if it is not a JSON object."""
        return read_object(self.path / CONFIG)

    def seals(self) -> dict[str, str | None]:
        """The identity of the run, which each checkpoint stores: its ID, and digests of config and artifacts.

        Fields that may change when a run is resumed are not included. Raises as `config` and `read_environment`.
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
        """The JSON value of an artifact. Raises FileNotFoundError if the run has no artifact of that name."""
        if name not in (VOCABULARY, *self._artifacts()) or kind_of(self.path / name) is None:
            raise FileNotFoundError(f"artifact: expected {name} in {self.path}, found none")
        return read_json(self.path / name, MOST_ARTIFACT)

    def check_artifacts(self, texts: Mapping[str, str]) -> None:
        """Raises ValueError if an artifact differs from these JSON texts, FileNotFoundError if it is missing."""
        for name, text in texts.items():
            if self.artifact(name) != json.loads(text):
                what = name.removesuffix(".json")
                raise ValueError(f"{self.path / name}: expected the {what} of this data, got another one")

    def metrics(self, mark: Mark = START) -> SealedLines:
        """metrics.jsonl, opened to append lines after a mark; each line is flushed."""
        lines = io.TextIOWrapper(append_to(self.path / METRICS), encoding="utf-8", line_buffering=True)
        return SealedLines(lines, mark)

    def cut_metrics(self, mark: Mark) -> None:
        """Truncates metrics.jsonl at a mark: a run that resumes from there writes the later lines again."""
        with append_to(self.path / METRICS) as opened:
            opened.truncate(mark.bytes)


def check_artifact(name: Any, text: Any = "null") -> None:
    """Raises ValueError for a name that is not allowed for an artifact, and for a text that is not JSON."""
    taken = name in FILES and name != VOCABULARY
    if not isinstance(name, str) or taken or not ARTIFACT.fullmatch(name):
        raise ValueError(f"{ARTIFACTS}: expected names like scaler.json that no other file has, got {name!r:.60}")
    try:
        json.loads(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{ARTIFACTS}: expected a JSON text for {name}, got {reprlib.repr(text)}") from error


def check_lock(path: Path) -> None:
    """Raises ValueError if the lock is not a plain file with a single link: some versions of filelock truncate it."""
    if kind_of(path) is not None:
        check_own(path, path.lstat())


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that `write_json` wrote to a file.

    Raises ValueError if the content is something else, too large, or was changed.
    """
    value = read_json(path, MOST_CONFIG)
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(value).__name__}")
    try:
        return unsealed(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes the values and their seal as indented JSON with a final newline."""
    write_text(path, json.dumps(sealed(value), indent=2) + "\n")


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str | None]:
    """The versions of packages (default: those that a run depends on); None for a package that is not installed."""
    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def environment() -> dict[str, Any]:
    """The time, command, system, devices, versions and commit of this process."""
    import jax

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
    """The commit of the running code, if it runs from a git checkout."""
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
