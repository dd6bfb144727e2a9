"""A training in a run folder: the fit loops with checkpoints, progress bar, log and resuming."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import jax
import optax
from jax.sharding import Mesh

from rnnjax.data.sequence_batches import Batches
from rnnjax.runs.checkpoints import Checkpoints
from rnnjax.runs.execution import as_json
from rnnjax.runs.folder import CHECKPOINTS, CONFIG, write_json
from rnnjax.runs.live import LiveRun
from rnnjax.runs.log import Log
from rnnjax.runs.report import Progress, model_table, score_table
from rnnjax.training import (
    EpochReport,
    Position,
    Scores,
    StepReport,
    TrainState,
    batch_mesh,
    eval_step,
    evaluate,
    fit,
    train_step,
)
from rnnjax.training.blocks import Block, fit_blocks
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.debugging import TracedStep
from rnnjax.training.objective import Objective, SumsOf
from rnnjax.training.processes import is_first, say


class Session(LiveRun):
    """One training of a study: a `LiveRun` with checkpoints. `config` is usually a `RunConfig`."""

    def __init__(self, program: str, experiment: str, config: Any):
        super().__init__(program, experiment, config)
        self.seconds_before = self.seconds = self.block_seconds = 0.0
        self.best_epoch = 0
        self._position: Position | None = None

    def restore(self, state: TrainState, total: int, unit: str = "epochs", finite: bool = True) -> TrainState:
        """Returns the state to start from: `state`, or that of the newest checkpoint if the run is resumed.

        Opens the log, and truncates metrics.jsonl at the checkpoint. `total` is the number of epochs (or blocks:
        `unit`) of the whole run. `finite` as for `Checkpoints`. Raises ValueError if more than `total` epochs are done.
        """
        self._checkpoints = self._working.enter_context(
            Checkpoints(
                self.path / CHECKPOINTS,
                self.execution.keep,
                steps=self.execution.checkpoint_steps,
                minutes=self.execution.checkpoint_minutes,
                before=lambda: self.log.flush(),
                run=self.folder,
                finite=finite,
            )
        )
        if self._resumed:
            state, self._position = self._checkpoints.restore(state)
            self._continue_from(self._position, total, unit)
        self._begun = True
        self._status("running")  # before metrics.jsonl is truncated: the last status has the mark of its old end
        if is_first():
            if self.resuming:
                self._note_resumption(self._position or Position(), total, unit)
            resumed_at = self._position.step if self._position else None
            self.log = Log(self.folder, resumed_at, self.execution.tensorboard, self._checkpoints.log)
        return state

    def fit_blocks(
        self, state: TrainState, block: Block, blocks: int, updates: int, done: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[TrainState, Any, Position]]:
        """`rnnjax.training.blocks.fit_blocks` from the state of `restore`, with the checkpoints of the run."""
        options = {"position": self._position, "checkpoints": self._checkpoints, "stop": self._stop}
        for after in fit_blocks(state, block, blocks, updates, done, **options):
            position = after[-1]
            self.block_seconds = position.seconds - self.seconds
            self.step, self.seconds = position.step, position.seconds
            yield after

    def fit(
        self,
        objective: Objective | SumsOf,
        params: Any,
        training: Batches,
        validation: Batches,
        *,
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> Any:
        """Runs a complete training on arrays; returns the parameters of the best epoch.

        Makes or resumes the run folder, trains, prints the results and draws the learning curves. The config is a
        `RunConfig`. Raises as `begin` and `rnnjax.training.fit`.
        """
        objective = Objective.of(objective)
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
            self.finish(objective, {"validation": scores})
            print(f"run folder {self.path}")
        return best

    def finish(
        self,
        objective: Objective,
        scores: Mapping[str, Scores],
        curves: Sequence[str] = (),
        facts: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
    ) -> None:
        """Logs and prints the scores of the best epoch, by part, and draws the learning curves.

        `curves` are the metrics to draw, by default all. `facts` are further numbers for the log, by part. Only the
        first process calls it.
        """
        for part, score in scores.items():
            self.log.final(part=part, epoch=self.best_epoch, **score.metrics, **facts.get(part, {}))
        self.draw_curves(curves or tuple(scores["validation"].metrics))
        print(f"\nbest epoch {self.best_epoch}, by validation {objective.best.replace('_', ' ')}")
        print(score_table(dict(scores)))

    def draw_curves(self, names: Sequence[str]) -> None:
        """Draws the learning curves of these metrics, if Matplotlib is installed."""
        if importlib.util.find_spec("matplotlib") is None:
            return
        from rnnjax.analysis import learning_curves
        from rnnjax.runs.curves import curves_of

        if curves := curves_of(self.metrics(), names):
            self.log.figure(self.step, "learning_curves", lambda: learning_curves(curves))

    def train_step(
        self, objective: Objective, optimizer: optax.GradientTransformation, mesh: Mesh
    ) -> CompiledStep | TracedStep:
        """The train step of the run, with the clipping and averaging of its config."""
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
        """Trains with `rnnjax.training.fit` from `state` or the newest checkpoint; returns the best epoch's parameters.

        `steps` is the number of steps of the whole run. `watch_epoch` is called with every epoch after it is written to
        metrics.jsonl. `loop` are further arguments of `fit`.
        """
        template, config = state.evaluated, self.config
        state = self.restore(state, config.epochs)
        with Progress(steps, self.step, hidden=not is_first()) as progress:

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
                position=self._position,
                checkpoints=self._checkpoints,
                stop=self._stop,
                **loop,
            ):
                self.best_epoch = report.epoch if report.best else self.best_epoch
                self.log.epoch(report.step, report.record())
                watch_epoch(report, progress)
            return self._checkpoints.best_params(template)

    def _continue_from(self, position: Position, total: int, unit: str) -> None:
        if position.epoch > total:
            raise ValueError(f"{unit}: expected at least {position.epoch} (already done), got {total}")
        self.step, self.seconds_before, self.seconds = position.step, position.seconds, position.seconds
        # Without a best epoch (its checkpoint is damaged) the newest parameters are used.
        self.best_epoch = position.best.epoch if position.best else position.epoch

    def _note_resumption(self, position: Position, total: int, unit: str) -> None:
        """Writes to the folder of a resumed run, for the first time: all checks have passed before."""
        self.folder.cut_metrics(self._checkpoints.log)
        self.folder.add_environment(position.step)
        write_json(self.path / CONFIG, as_json(self._settings))
        left = "resumes from there"
        if not self._resumed:
            left = "the run was stopped before its first step, and starts"
        elif position.epoch == total:
            left = f"all {unit} are done"
        batches = f" and {position.batch} batches" if position.batch else ""
        print(f"step {position.step}, {position.epoch} {unit}{batches}: {left}\n")
