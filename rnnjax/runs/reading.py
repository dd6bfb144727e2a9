"""Reads run folders, including incomplete, damaged and older ones."""

import contextlib
import json
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from rnnjax.runs.folder import BEST, CONFIG, ENVIRONMENT, LOCK, METRICS, MOST_CONFIG, STATUS, check_lock
from rnnjax.runs.metrics import HIGHEST, Metrics, is_plain, is_whole, read_metrics
from rnnjax.runs.seals import Mark, unsealed
from rnnjax.untrusted import kind_of, open_plain

RUNNING, KILLED, UNKNOWN = "running", "killed", "unknown"
ENDED = ("finished", "stopped", "diverged", "failed")
WRITTEN = (RUNNING, *ENDED)


class Score(NamedTuple):
    """The best score of a run."""

    name: str
    value: float
    epoch: int | None  # None: of the whole run
    higher_is_better: bool


class Status(NamedTuple):
    """The content of status.json. If the status is running but no process holds the lock, the run was killed."""

    status: str = UNKNOWN
    message: str = ""
    step: int | None = None
    last: str | None = None  # the seal of the last line of metrics.jsonl, for a run that has ended


class Run(NamedTuple):
    """The content of a run folder. `problems` lists what could not be read."""

    path: Path
    config: dict[str, Any]
    status: Status
    metrics: Metrics
    started: float  # seconds since 1970
    seconds_of_files: float  # from the time of config.json to that of metrics.jsonl
    problems: list[str]

    @property
    def experiment(self) -> str:
        return str(self.config.get("experiment", "?"))

    @property
    def score(self) -> Score | None:
        """The best validation value of the metric that determines the best epoch of the run.

        In a run without one, the score that it has written at its end (`LiveRun.score`).
        """
        best = self.config.get(BEST)
        if not isinstance(best, dict) or not isinstance(best.get("metric"), str):
            return self._final_score
        metric, higher = best["metric"], best.get("highest") is True
        name = f"validation_{metric}"
        scored = [(line[name], int(line["epoch"])) for line in self.metrics.epochs if name in line]
        if not scored:
            return None
        value, epoch = (max if higher else min)(scored, key=lambda pair: pair[0])
        return Score(metric, value, epoch, higher)

    @property
    def _final_score(self) -> Score | None:
        for line in self.metrics.finals.values():
            for name, value in line.items():
                if HIGHEST in line and name not in (HIGHEST, "epoch"):
                    return Score(name, value, None, line[HIGHEST] == 1)
        return None

    @property
    def epoch(self) -> int | None:
        """The number of epochs done."""
        return int(self.metrics.epochs[-1]["epoch"]) if self.metrics.epochs else None

    @property
    def step(self) -> int | None:
        """The last known step."""
        known = [lines[-1].get("step") for lines in (self.metrics.steps, self.metrics.epochs) if lines]
        return max((int(step) for step in [*known, self.status.step] if step is not None), default=None)

    @property
    def train_seconds(self) -> float | None:
        """The seconds of training of all epochs."""
        seconds = [line.get("seconds") for line in self.metrics.epochs]
        return None if not seconds or None in seconds else sum(second for second in seconds if second is not None)

    @property
    def speed(self) -> float | None:
        """Tokens or rows per second in training, over all epochs."""
        names = ("tokens_per_second", "rows_per_second")
        timed = [
            (next((x[name] for name in names if name in x), None), x.get("seconds", 0)) for x in self.metrics.epochs
        ]
        known = [(rate, seconds) for rate, seconds in timed if rate is not None and seconds > 0]
        return sum(rate * seconds for rate, seconds in known) / sum(seconds for _, seconds in known) if known else None


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """All run folders (folders with a config) at any depth, each once; run folders are not searched.

    Raises FileNotFoundError for a path that is not a folder.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"folder: expected a folder of runs, got {folder}")
        for path, below, files in os.walk(folder):
            if CONFIG in files:
                found.setdefault(Path(path).resolve(), Path(path))
                below.clear()
            # A run folder that is being created is hidden.
            below[:] = [name for name in below if not name.startswith(".")]
    return list(found.values())


def read_run(path: Path) -> Run:
    """Reads a run folder. Raises FileNotFoundError for a folder without a config."""
    if kind_of(path / CONFIG) in (None, "a folder"):
        raise FileNotFoundError(f"run folder: expected {CONFIG} in {path}, found none")
    problems: list[str] = []
    config = _object(path / CONFIG, problems)
    status = _status(path, problems)
    made = _modified(path / CONFIG)
    return Run(
        path=path,
        config=config,
        status=status,
        metrics=read_metrics(path / METRICS, status.status == RUNNING, problems, status.last),
        started=_time(_object(path / ENVIRONMENT, problems).get("time"), made),
        seconds_of_files=max(0.0, _modified(path / METRICS) - made),
        problems=problems,
    )


def _object(file: Path, problems: list[str]) -> dict[str, Any]:
    """The JSON object of a file; empty if there is no file, or if it cannot be read."""
    if not is_plain(file, problems):
        return {}
    try:
        with open_plain(file, MOST_CONFIG) as opened:
            read = opened.read(MOST_CONFIG)
    except OSError as error:
        problems.append(f"{file.name}: {error.strerror}")
        return {}
    except ValueError as error:
        problems.append(str(error).removeprefix(f"{file.parent}{os.sep}"))
        return {}
    try:
        value = json.loads(read.decode("utf-8"))
    except (ValueError, RecursionError):
        problems.append(f"{file.name}: expected JSON")
    else:
        if isinstance(value, dict):
            try:
                return unsealed(value)
            except ValueError as error:
                problems.append(f"{file.name}: {error}")
                return value
        problems.append(f"{file.name}: expected a JSON object, got {type(value).__name__}")
    return {}


def _status(path: Path, problems: list[str]) -> Status:
    values = _object(path / STATUS, problems)
    if not values:
        return Status()
    status, message, step = (values.get(name) for name in ("status", "message", "step"))
    if status not in WRITTEN:
        problems.append(f"{STATUS}: expected one of {', '.join(WRITTEN)}, got {status!r}")
        status = UNKNOWN
    if status == RUNNING and not _is_held(path / LOCK, problems):
        status = KILLED
    words, number, last = message if isinstance(message, str) else "", step if is_whole(step) else None, None
    if status in ENDED:
        with contextlib.suppress(ValueError):
            last = Mark.from_json(values.get(METRICS)).seal
    return Status(status, words, number, last)


def _is_held(lock: Path, problems: list[str]) -> bool:
    """Whether a process holds the lock. Does not create the lock file."""
    if kind_of(lock) is None:
        return False
    try:
        check_lock(lock)
        with FileLock(lock, blocking=False):
            return False
    except Timeout:
        return True
    except OSError as error:  # a file of another user: unknown, assumed to be held
        problems.append(f"{lock.name}: {error.strerror}")
        return True
    except ValueError as error:  # not a lock file
        problems.append(str(error).removeprefix(f"{lock.parent}{os.sep}"))
        return False


def _time(text: Any, otherwise: float) -> float:
    """Seconds since 1970 of an ISO 8601 time, or `otherwise` if it is not one."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return otherwise


def _modified(file: Path) -> float:
    """The modification time of the file; 0 if there is no such file."""
    return file.lstat().st_mtime if kind_of(file) == "a file" else 0.0
