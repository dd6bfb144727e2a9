"""A run folder while a study trains: lock, status, metrics, checkpoints, progress, and how to go on after an end."""

import contextlib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import optax
from jax.sharding import Mesh
from tokenizers import Tokenizer

from experiments.execution import NEWEST, as_json, check_same, newest_run, settings
from experiments.report import Progress
from experiments.run_files import new_path
from experiments.run_log import Log
from rnnjax.data import load_vocabulary
from rnnjax.training import (
    Checkpoints,
    DivergedError,
    EpochReport,
    Interrupted,
    RunFolder,
    StepReport,
    StopSignals,
    TrainState,
    fit,
    train_step,
)
from rnnjax.training.checkpoints import find_checkpoints
from rnnjax.training.debugging import TracedStep
from rnnjax.training.processes import from_first, is_first, was_lost
from rnnjax.training.run_folder import CHECKPOINTS, CONFIG, VOCABULARY, write_json
from rnnjax.training.step import CompiledStep, Objective


class Session:
    """One training of a study, entered before there is any work to lose and left after the last figure.

    `config` has the fields `execution`, `epochs`, `patience` and `skip`. With several processes only the first one
    reads, writes and prints. Entering raises as `RunFolder.check_new`, or, where a run is resumed, as
    `RunFolder.open`, `RunFolder.lock` and `check_same`, and FileNotFoundError without a checkpoint.
    """

    def __init__(self, program: str, experiment: str, config: Any):
        self.program, self.experiment, self.config = program, experiment, config
        self.resuming = config.execution.resume is not None
        self.step, self.seconds_before = 0, 0.0
        self.best_epoch = 0
        self._begun = False
        self.log = Log(None, None, tensorboard=False)
        self._held = contextlib.ExitStack()

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.path)

    def __enter__(self) -> "Session":
        with contextlib.ExitStack() as stack:  # what is refused is not held
            path = self._look(stack) if is_first() else Path()
            self.path = Path(from_first(str(path).encode()).decode())
            self._held = stack.pop_all()
        return self

    def _look(self, stack: contextlib.ExitStack) -> Path:
        execution = self.config.execution
        if not self.resuming:
            path = execution.run_folder or new_path(self.experiment)
            RunFolder.check_new(path)
            return path
        path = execution.resume
        if str(path) == NEWEST:
            path = newest_run(self.experiment, self.config)
        folder = RunFolder.open(path)
        stack.enter_context(folder.lock())
        asked = {"experiment": self.experiment, **settings(self.config)}
        if not find_checkpoints(path / CHECKPOINTS):
            raise FileNotFoundError(
                f"{path}: expected checkpoints to go on from, found none: the run is of an earlier version or ended "
                "before its first one; begin a new run"
            )
        check_same(path, {name: value for name, value in folder.config().items() if name in asked}, asked)
        return path

    def begin(self, facts: dict[str, Any], tokenizer: Tokenizer) -> None:
        """Makes the run folder; or checks that what is known of the data is what it was.

        Raises ValueError that lists what has changed.
        """
        if not is_first():
            return
        config = {"experiment": self.experiment, **facts, **settings(self.config)}
        if self.resuming:
            check_same(self.path, self.folder.config(), config)
            if load_vocabulary(self.path / VOCABULARY).to_str() != tokenizer.to_str():
                raise ValueError(f"{self.path / VOCABULARY}: expected the vocabulary of this data, got another one")
            write_json(self.path / CONFIG, as_json(config))
        else:
            RunFolder.create(self.path, config)
            self._held.enter_context(self.folder.lock())
            tokenizer.save(str(self.path / VOCABULARY))
        self._begun = True

    def train_step(
        self, objective: Objective, optimizer: optax.GradientTransformation, mesh: Mesh
    ) -> CompiledStep | TracedStep:
        """The run's train step, clipped by its config's `clip`."""
        debug = self.config.execution.debug_nans
        step = train_step(
            objective,
            optimizer,
            mesh,
            clip=self.config.clip,
            histograms=self.config.execution.histograms if self.config.execution.tensorboard else None,
            donate=not debug,
        )
        return TracedStep(step, objective) if debug else step

    def train(
        self,
        state: TrainState,
        steps: int,
        told: Callable[[EpochReport, Progress], None],
        line: Callable[[EpochReport], dict[str, Any]] = EpochReport.record,
        *,
        step: CompiledStep | TracedStep,
        **loop: Any,
    ) -> Any:
        """`fit` from the state, or from where the run stood; returns the parameters of its best epoch.

        `steps` are those of the whole run, `line` gives an epoch's line of metrics.jsonl, `told` hears of it
        afterwards, and `loop` is what else `fit` is told.
        """
        template, config = state.params, self.config
        with contextlib.ExitStack() as stack:
            checkpoints = stack.enter_context(
                Checkpoints(
                    self.path / CHECKPOINTS,
                    config.execution.keep,
                    steps=config.execution.checkpoint_steps,
                    minutes=config.execution.checkpoint_minutes,
                    before=lambda: self.log.flush(),
                )
            )
            position = None
            if self.resuming:
                state, position = checkpoints.restore(state)
                self.step, self.seconds_before = position.step, position.seconds
                # Without a best one (its checkpoint is damaged) the newest parameters count.
                self.best_epoch = position.best.epoch if position.best else position.epoch
                if is_first():
                    self.folder.forget_after(position)
                    self.folder.add_environment(position.step)
                    left = "nothing is left to train" if position.epoch >= self.config.epochs else "goes on from there"
                    print(f"step {position.step}, {position.epoch} epochs and {position.batch} batches: {left}\n")
            self._status("running")
            if is_first():
                self.log = Log(self.folder, position.step if position else None, config.execution.tensorboard)
            progress = stack.enter_context(Progress(steps, self.step, hidden=not is_first()))
            stop = stack.enter_context(StopSignals())

            def watch(report: StepReport) -> None:
                self.step = report.step
                self.log.step(report)
                progress.step(report)

            for _, report in fit(
                state,
                cast(CompiledStep, step),
                epochs=config.epochs,
                watch=watch,
                patience=config.patience,
                skip=config.skip,
                explain=step.explain if isinstance(step, TracedStep) else None,
                position=position,
                checkpoints=checkpoints,
                stop=stop,
                **loop,
            ):
                self.best_epoch = report.epoch if report.best else self.best_epoch
                self.log.epoch(report.step, line(report))
                told(report, progress)
            return checkpoints.best_params(template)

    def _status(self, status: str, message: str = "") -> None:
        if is_first():
            self.folder.write_status(status, self.step, message)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._held:
            try:
                self._end(error)
            finally:
                self._close(error)

    def _close(self, error: BaseException | None) -> None:
        try:
            self.log.close()
        except OSError:
            if error is None:  # else it has its own error, maybe this one
                raise

    def _end(self, error: BaseException | None) -> None:
        again = f"; go on with: python -m {self.program} --resume {shlex.quote(str(self.path))}"
        if error is not None and was_lost(error):
            first = str(error).splitlines()[0]
            if self._begun:
                self._status("failed", f"another process was lost: {first}")
            error = ConnectionError(f"after step {self.step}: another process of the run was lost ({first}){again}")
            raise error
        if not self._begun:
            return
        if error is None:
            self._status("finished")
        elif isinstance(error, Interrupted):
            self._status("stopped", str(error))
            raise Interrupted(error.signal, error.step, again) from error
        elif isinstance(error, KeyboardInterrupt):
            self._status("stopped", "stopped by the keyboard, not in training")
        elif isinstance(error, DivergedError):
            self._status("diverged", str(error))
            checkpoints = find_checkpoints(self.path / CHECKPOINTS)
            raise DivergedError(f"{error}; the last good checkpoint is {checkpoints[-1]}") from error
        else:
            # A full disk may be what it is about: the error itself must come out.
            with contextlib.suppress(OSError):
                self._status("failed", str(error))
