"""Checkpoints: everything that a run needs to resume exactly, written atomically."""

import errno
import json
import os
import re
import shutil
import time
import uuid
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from rnnjax.errors import first_line
from rnnjax.files import make_folder, remove, write_text
from rnnjax.runs.arrays import load_arrays, save_arrays
from rnnjax.runs.checksums import check_seal, seal, sync_directory
from rnnjax.runs.folder import METRICS, RunFolder
from rnnjax.runs.places import (
    BELONGS,
    POSITION,
    MisplacedError,
    check_place,
    checkpoint_name,
    read_mark,
    read_position,
)
from rnnjax.runs.seals import START, Mark, check_lines
from rnnjax.training.divergence import ADVICE, DivergedError
from rnnjax.training.position import Position
from rnnjax.training.processes import arrays_from_first, gathered, is_first, on_first_process
from rnnjax.training.state import TrainState
from rnnjax.untrusted import kind_of

PARAMS, TRAINING = "params", "training"
NAME = re.compile(r"epoch(\d+)-step(\d+)")
SPARE = 1 << 20  # bytes that must stay free besides those of the arrays
WRITING, REMOVED, DAMAGED = ".writing-", ".removed-", "damaged-"


class Checkpoints:
    """A folder of checkpoints `epoch<E>-step<S>`, written in a background thread.

    Each checkpoint has the Orbax folders `params` (the parameters to evaluate: the average if the state has one) and
    `training` (optimizer state, step, key, carry, and the parameters if an average is evaluated), `position.json`, and
    checksums of all files. It gets its name only when all of it is on disk. The newest `keep` checkpoints and that of
    the best epoch are kept. A checkpoint is due `steps` steps or `minutes` minutes after the last one. With several
    processes, only process 0 reads and writes, and it sends the others what they need.

    `before` is called before each checkpoint is written, and returns the mark up to which the log is on disk. With
    `run`, each checkpoint also stores the seals of that run, and `log` is the mark of the restored checkpoint. With
    `finite=False`, parameters that are not finite may be saved: one of several seeds may have diverged.
    """

    def __init__(
        self,
        path: Path,
        keep: int = 2,
        *,
        steps: int | None = None,
        minutes: float | None = None,
        before: Callable[[], Mark] = Mark,
        run: RunFolder | None = None,
        finite: bool = True,
    ):
        for name, value in (("keep", keep), ("steps", steps), ("minutes", minutes)):
            if value is not None and value <= 0:
                raise ValueError(f"{name}: expected a number above 0, got {value}")
        self.path = path
        self._keep, self._steps, self._minutes, self._before = keep, steps, minutes, before
        self._finite = finite
        self._run, self.log = run, START
        self._seals = run.seals() if run is not None and is_first() else {}
        self._since, self._last = 0, time.monotonic()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._pending: Future[None] | None = None
        if is_first():
            make_folder(path)
            for left_over in path.glob(".*-epoch*"):  # written by a process that was killed
                remove(left_over)

    def due(self, steps: int = 1) -> bool:
        """Whether a checkpoint is due; `steps` is the number of steps since the last call."""
        self._since += steps
        by_steps = self._steps is not None and self._since >= self._steps
        by_time = self._minutes is not None and time.monotonic() - self._last >= 60 * self._minutes
        return by_steps or by_time

    def save(self, state: TrainState, position: Position) -> None:
        """Copies the state, and writes it in the background.

        Raises OSError if the checkpoint before could not be written, DivergedError for parameters that are not finite.
        """
        self.wait()
        self._since, self._last = 0, time.monotonic()
        host = jax.device_get(state._replace(key=jax.random.key_data(state.key), carry=gathered(state.carry)))
        if self._finite and not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(host.params)):
            raise DivergedError(f"after step {position.step}: expected finite parameters, got others; {ADVICE}")
        if is_first():
            belongs = {METRICS: self._before(), **self._seals}
            self._pending = self._writer.submit(self._write, host, position, belongs)

    def wait(self) -> None:
        """Waits until the last checkpoint is written. Raises OSError if it could not be written."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            try:
                pending.result()
            except Exception as error:  # tensorstore's errors are of many types
                complete = find_checkpoints(self.path)
                safe = f"the last complete one is {complete[-1]}" if complete else "there is none before it"
                raise OSError(
                    f"{self.path}: the checkpoint could not be written ({first_line(error)}); {safe}"
                ) from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *stopped: object) -> None:
        self._writer.shutdown()

    def _write(self, host: TrainState, position: Position, belongs: dict[str, Any]) -> None:
        path = self.path / checkpoint_name(position.epoch, position.step)
        if kind_of(path) is not None:  # the run was resumed and stopped again before a step
            return
        needed = SPARE + sum(leaf.nbytes for leaf in jax.tree.leaves(host))
        if (free := shutil.disk_usage(self.path).free) < needed:
            # Checked before writing: on a full disk Orbax leaves threads behind that print errors.
            raise OSError(errno.ENOSPC, f"expected {needed:,} bytes of free disk, got {free:,}")
        writing = self.path / f"{WRITING}{uuid.uuid4().hex}-{path.name}"
        try:
            writing.mkdir()
            save_arrays(writing / PARAMS, host.evaluated)
            save_arrays(writing / TRAINING, _training(host))
            write_text(writing / POSITION, json.dumps(position.to_json(), allow_nan=False))
            write_text(writing / BELONGS, json.dumps(belongs))
            seal(writing)
            os.rename(writing, path)
        except BaseException:
            shutil.rmtree(writing, ignore_errors=True)  # frees its space on a full disk
            raise
        sync_directory(self.path)
        for old in find_checkpoints(self.path)[: -self._keep]:
            if not _is_best(old, position):
                removed = self.path / f"{REMOVED}{uuid.uuid4().hex}-{old.name}"
                os.rename(old, removed)
                remove(removed)

    def restore(self, template: TrainState) -> tuple[TrainState, Position]:
        """Loads the newest checkpoint that is not damaged; damaged ones are named in a warning and renamed.

        `template` is a state of the same shapes. Raises FileNotFoundError if there is no checkpoint; ValueError if all
        are damaged, if the checkpoint is of another model or run or has the name of another checkpoint, or if the log
        before it was changed.
        """
        host = template._replace(key=jax.eval_shape(jax.random.key_data, template.key))
        state = None

        def read() -> bytes:
            nonlocal state
            position, state = self._read(host)
            return json.dumps(position.to_json()).encode()

        position = Position.from_json(json.loads(on_first_process(read)))
        state = arrays_from_first(state, host)
        return state._replace(key=jax.random.wrap_key_data(state.key, impl=jax.random.key_impl(template.key))), position

    def _read(self, host: TrainState) -> tuple[Position, TrainState]:
        path = newest(self.path, set_aside=True, seals=self._seals)
        position = read_position(path)
        self.log = self._check_log(path)
        if position.best is not None:
            try:
                best = find_best(self.path, position)
                check_seal(best)
                check_place(best, self._seals)
            except MisplacedError:
                raise
            except (ValueError, FileNotFoundError) as error:
                warnings.warn(f"{error}; the best epoch is now chosen from the epochs that follow", stacklevel=2)
                position = position._replace(best=None, waited=0)
        evaluated = load_arrays(path / PARAMS, host.evaluated)
        training = load_arrays(path / TRAINING, _training(host))
        state = TrainState(evaluated, training["optimizer"], training["step"], training["key"])
        if host.averaged:
            state = state._replace(params=training["params"], average=evaluated)
        return position, state._replace(carry=training.get("carry", ()))

    def _check_log(self, checkpoint: Path) -> Mark:
        """The mark of the log at a checkpoint; START, with a warning, if the log was removed."""
        if self._run is None:
            return START
        mark, log = read_mark(checkpoint), self._run.path / METRICS
        if mark.bytes and not (log.exists() and log.stat().st_size):
            warnings.warn(f"{log}: expected the lines before {checkpoint.name}, found none", stacklevel=2)
            return START
        if mark.bytes:
            try:
                check_lines(log, mark)
            except ValueError as error:
                raise ValueError(f"{error}; remove the file to resume without its lines") from error
        return mark

    def best_params(self, template: Any) -> Any:
        """The parameters of the best epoch, in every process; all must call it. Raises as `load_best`."""
        self.wait()
        return arrays_from_first(load_best(self.path, template, self._seals) if is_first() else None, template)


def _training(state: TrainState) -> dict[str, Any]:
    training = {"optimizer": state.optimizer_state, "step": state.step, "key": state.key}
    training |= {"params": state.params} if state.averaged else {}
    return {**training, "carry": state.carry} if jax.tree.leaves(state.carry) else training


def find_checkpoints(path: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    found = [(match, child) for child in path.glob("epoch*-step*") if (match := NAME.fullmatch(child.name))]
    return [child for _, child in sorted(found, key=lambda pair: tuple(map(int, pair[0].groups())))]


def _is_best(path: Path, position: Position) -> bool:
    best = position.best
    return best is not None and path.name == checkpoint_name(best.epoch, best.step)


def find_best(path: Path, position: Position) -> Path:
    """The checkpoint of the best epoch. Raises FileNotFoundError if it is missing."""
    for child in find_checkpoints(path):
        if _is_best(child, position):
            return child
    raise FileNotFoundError(f"{path}: expected a checkpoint of the best epoch, found none")


def newest(path: Path, set_aside: bool = False, seals: Mapping[str, str | None] = MappingProxyType({})) -> Path:
    """The newest checkpoint that is not damaged; newer damaged ones are named in a warning, and renamed if `set_aside`.

    Raises FileNotFoundError if there is no checkpoint, ValueError if all are damaged, MisplacedError if the checkpoint
    has the name of another one or is of a run with other `seals`.
    """
    found = find_checkpoints(path)
    for checkpoint in reversed(found):
        try:
            check_seal(checkpoint)
            check_place(checkpoint, seals)
        except MisplacedError:
            raise
        except (ValueError, FileNotFoundError) as error:
            if kind_of(checkpoint) is None:  # a running training has replaced it by a newer one
                return newest(path, set_aside, seals)
            warnings.warn(f"damaged checkpoint, ignored: {error}", stacklevel=2)
        else:
            # Only if one is undamaged: if all are damaged, they keep their names, so that the next call raises again.
            for damaged in found[found.index(checkpoint) + 1 :] if set_aside else ():
                aside = damaged.with_name(DAMAGED + damaged.name)
                if kind_of(aside) is not None:
                    remove(aside)
                os.rename(damaged, aside)
            return checkpoint
    if found:
        raise ValueError(f"{path}: expected an undamaged checkpoint, got {len(found)}, all of them damaged")
    raise FileNotFoundError(f"{path}: expected a checkpoint, found none")


def load_best(path: Path, template: Any, seals: Mapping[str, str | None] = MappingProxyType({})) -> Any:
    """The parameters of the best epoch; if its checkpoint is missing or damaged, those of the newest, with a warning.

    Raises FileNotFoundError if there is no checkpoint; ValueError if all checkpoints after the first step are damaged,
    or if one is of another model, has the name of another checkpoint, or is of a run with other `seals`.
    """
    checkpoint = best = newest(path, seals=seals)
    try:
        best = find_best(path, read_position(checkpoint))
        check_seal(best)
        check_place(best, seals)
    except MisplacedError:
        raise
    except (ValueError, FileNotFoundError) as error:
        if None in (kind_of(checkpoint), kind_of(best)):  # a running training has replaced it by a newer one
            return load_best(path, template, seals)
        warnings.warn(f"{first_line(error)}; the newest checkpoint is used, {checkpoint}", stacklevel=2)
        best = checkpoint
    try:
        if len(find_checkpoints(path)) > 1 and read_position(best).step == 0:
            raise ValueError(f"{path}: expected an undamaged checkpoint of trained parameters, got damaged ones only")
        return load_arrays(best / PARAMS, template)
    except (ValueError, FileNotFoundError):
        if kind_of(best) is not None:
            raise
        return load_best(path, template, seals)
