"""A run folder while a study trains: lock, status, metrics, checkpoints, progress, and how to go on after an end."""

import contextlib
import importlib.util
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import jax
import optax
from jax.sharding import Mesh

from rnnjax.data.sequence_batches import Batches
from rnnjax.runs.checkpoints import Checkpoints
from rnnjax.runs.endings import tell_end
from rnnjax.runs.execution import EXECUTION, as_json, check_alike, settings
from rnnjax.runs.folder import BEST, CHECKPOINTS, CONFIG, METRICS, VOCABULARY, RunFolder, write_json
from rnnjax.runs.log import Log
from rnnjax.runs.metrics import Metrics, read_metrics
from rnnjax.runs.report import Progress, model_table, score_table
from rnnjax.runs.resumption import NEWEST, check_resumable, check_same, newest_run
from rnnjax.runs.run_files import new_path
from rnnjax.runs.seals import Mark
from rnnjax.runs.vocabulary import Vocabulary, load_vocabulary
from rnnjax.training import (
    EpochReport,
    Position,
    StepReport,
    StopSignals,
    TrainState,
    batch_mesh,
    eval_step,
    evaluate,
    fit,
    train_step,
)
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.debugging import TracedStep
from rnnjax.training.objective import Objective
from rnnjax.training.processes import is_first, on_first_process, say


class Session:
    """One training of a study, entered before there is any work to lose and left after the last figure.

    `config` has the fields of `RunConfig`. SIGTERM and Ctrl-C end it in good
    order. With several processes only the first one reads, writes and prints. Entering raises as
    `RunFolder.check_new`, or, where a run is resumed, as `RunFolder.open`, `RunFolder.lock` and `check_same`, and
    FileNotFoundError where its checkpoints are gone.
    """

    def __init__(self, program: str, experiment: str, config: Any):
        self.program, self.experiment, self.config = program, experiment, config
        self.execution = config.execution
        self.resuming = config.execution.resume is not None
        self.step, self.seconds_before = 0, 0.0
        self.best_epoch = 0
        self._resumed = self._begun = False
        self._settings: dict[str, Any] = {}
        self.log = Log(None, None, tensorboard=False)
        self._stop = StopSignals()
        self._held = contextlib.ExitStack()

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.path)

    def __enter__(self) -> "Session":
        with contextlib.ExitStack() as stack:  # what is refused is not held
            stack.enter_context(self._stop)
            found = json.loads(on_first_process(lambda: json.dumps(self._look(stack)).encode()))
            self.path, self._resumed = Path(found["path"]), found["resumed"]
            try:
                self.execution = self.execution.filled(found[EXECUTION])
            except ValueError as error:
                raise ValueError(f"{self.path / CONFIG}: {error}") from error
            self._held = stack.pop_all()
        return self

    def _look(self, stack: contextlib.ExitStack) -> dict[str, Any]:
        if not self.resuming:
            path = self.execution.run_folder or new_path(self.experiment)
            RunFolder.check_new(path)
            return {"path": str(path), "resumed": False, EXECUTION: {}}
        path = self.execution.resume
        if str(path) == NEWEST:
            path = newest_run(self.experiment, self.config)
        folder = RunFolder.open(path)
        stack.enter_context(folder.lock())
        resumed = check_resumable(folder, self.experiment, self.config)
        return {"path": str(path), "resumed": resumed, EXECUTION: folder.config().get(EXECUTION, {})}

    def begin(
        self,
        objective: Objective,
        facts: Mapping[str, Any] = MappingProxyType({}),
        vocabulary: Vocabulary | None = None,
        load: Callable[[Path], Vocabulary] = load_vocabulary,
    ) -> None:
        """Makes the run folder; or checks that what is known of the data is what it was.

        `facts` (JSON) say what data it is: a run is resumed with the same ones only. `load` reads a vocabulary back
        from its file. Raises ValueError that lists what has changed, or in what other processes of the run differ.
        """
        check_alike(self.config, facts, vocabulary)
        self._settings = {
            "experiment": self.experiment,
            **facts,
            **settings(self.config),
            BEST: {"metric": objective.best, "highest": objective.highest},
            EXECUTION: self.execution.kept(),
        }

        def begin() -> bytes:
            if not self.resuming:
                texts = {} if vocabulary is None else {VOCABULARY: vocabulary.to_str(pretty=True)}
                RunFolder.create(self.path, self._settings, texts)
                self._held.enter_context(self.folder.lock())
                return b""
            check_same(self.path, self.folder.config(), self._settings)
            if vocabulary is not None and load(self.path / VOCABULARY).to_str() != vocabulary.to_str():
                raise ValueError(f"{self.path / VOCABULARY}: expected the vocabulary of this data, got another one")
            return b""

        self._stop.raise_noted()
        on_first_process(begin)
        self._begun = not self.resuming

    def fit(
        self,
        objective: Objective,
        params: Any,
        training: Batches,
        validation: Batches,
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        """The whole of a study that trains on arrays: begins, trains, prints, draws; the best epoch's parameters.

        The config is an `Optimizer` with the fields `seed`, too. Raises as `begin` and `fit`.
        """
        config, mesh = self.config, batch_mesh(self.execution.devices)
        steps = len(training) * config.epochs
        optimizer = config.transformation(steps, len(training))
        step, evaluation = self.train_step(objective, optimizer, mesh), eval_step(objective, mesh)
        data = {"training": training.fingerprint, "validation": validation.fingerprint}
        self.begin(objective, {**facts, "fingerprints": data})
        say(f"{model_table(params)}\n\n{mesh.size} devices, {len(training):,} steps an epoch; run folder {self.path}\n")
        best = self.train(
            TrainState.create(params, optimizer, jax.random.key(config.seed), averaged=config.averaging > 0),
            steps,
            lambda report, progress: progress.epoch(report),
            step=step,
            evaluation=evaluation,
            train_batches=training,
            validation_batches=validation,
        )
        scores = evaluate(evaluation.replicate(best), evaluation, validation())
        if is_first():
            self.log.final(part="validation", epoch=self.best_epoch, **scores.metrics)
            self._draw_curves(tuple(scores.metrics))
            print(f"\nbest epoch {self.best_epoch}, by validation {objective.best.replace('_', ' ')}")
            print(f"{score_table({'validation': scores})}\nrun folder {self.path}")
        return best

    def _draw_curves(self, names: Sequence[str]) -> None:
        """The learning curves of these metrics, where Matplotlib is installed."""
        if importlib.util.find_spec("matplotlib") is None:
            return
        from rnnjax.analysis import learning_curves
        from rnnjax.runs.curves import curves_of

        if curves := curves_of(self.metrics(), names):
            self.log.figure(self.step, "learning_curves", lambda: learning_curves(curves))

    def train_step(
        self, objective: Objective, optimizer: optax.GradientTransformation, mesh: Mesh
    ) -> CompiledStep | TracedStep:
        """The run's train step, with its config's clipping and averaging."""
        debug = self.execution.debug_nans
        step = train_step(
            objective,
            optimizer,
            mesh,
            clip=self.config.clip,
            averaging=self.config.averaging,
            histograms=self.execution.histograms if self.execution.tensorboard else None,
            donate=not debug,
        )
        return TracedStep(step) if debug else step

    def train(
        self,
        state: TrainState,
        steps: int,
        watch_epoch: Callable[[EpochReport, Progress], None],
        *,
        step: CompiledStep | TracedStep,
        **loop: Any,
    ) -> Any:
        """`fit` from the state, or from where the run stood; returns the parameters of its best epoch.

        `steps` are those of the whole run, `watch_epoch` is called with every epoch once it is in metrics.jsonl, and
        `loop` is passed on to `fit`.
        """
        template, config = state.evaluated, self.config
        with contextlib.ExitStack() as stack:
            checkpoints = stack.enter_context(
                Checkpoints(
                    self.path / CHECKPOINTS,
                    self.execution.keep,
                    steps=self.execution.checkpoint_steps,
                    minutes=self.execution.checkpoint_minutes,
                    before=lambda: self.log.flush(),
                    run=self.folder,
                )
            )
            position = None
            if self._resumed:
                state, position = checkpoints.restore(state)
                self._go_on(position)
            self._begun = True
            self._status("running")  # before metrics.jsonl is cut, which then ends elsewhere than the last status says
            if is_first():
                if self.resuming:
                    self._note_resumption(position or Position(), checkpoints.log)
                resumed_at = position.step if position else None
                self.log = Log(self.folder, resumed_at, self.execution.tensorboard, checkpoints.log)
            progress = stack.enter_context(Progress(steps, self.step, hidden=not is_first()))

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
                stop=self._stop,
                **loop,
            ):
                self.best_epoch = report.epoch if report.best else self.best_epoch
                self.log.epoch(report.step, report.record())
                watch_epoch(report, progress)
            return checkpoints.best_params(template)

    def _go_on(self, position: Position) -> None:
        if position.epoch > self.config.epochs:
            raise ValueError(f"epochs: expected at least {position.epoch}, which are done, got {self.config.epochs}")
        self.step, self.seconds_before = position.step, position.seconds
        # Without a best one (its checkpoint is damaged) the newest parameters count.
        self.best_epoch = position.best.epoch if position.best else position.epoch

    def _note_resumption(self, position: Position, log: Mark) -> None:
        """Only now is anything of a resumed run written: whatever it may be refused for comes before."""
        self.folder.cut_metrics(log)
        self.folder.add_environment(position.step)
        write_json(self.path / CONFIG, as_json(self._settings))
        left = "goes on from there"
        if not self._resumed:
            left = "the run was stopped before its first step, and begins"
        elif position.epoch == self.config.epochs:
            left = "nothing is left to train"
        print(f"step {position.step}, {position.epoch} epochs and {position.batch} batches: {left}\n")

    def metrics(self) -> Metrics:
        """What metrics.jsonl tells of the run; what of it is damaged is named in a warning."""
        problems: list[str] = []
        # Whoever was killed may have left half a line at the end.
        found = read_metrics(self.path / METRICS, True, problems)
        for problem in problems:
            warnings.warn(f"{self.path}: {problem}", stacklevel=2)
        return found

    def _status(self, status: str, message: str = "") -> None:
        if is_first():
            self.folder.write_status(status, self.step, message, self.log.mark)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # From here on the run has ended: a signal must not keep that from being written.
        with self._held, self._stop.noted():
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
        if self._begun:
            tell_end(error, f"python -m {self.program} --resume", self.path, self.step, self._status)
