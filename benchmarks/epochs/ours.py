"""This library's contestants: `run_epoch` as the studies call it."""

from collections.abc import Sequence
from typing import Any, cast

import jax

from benchmarks.epochs.contestant import Pass, Problem
from benchmarks.epochs.device_wait import DeviceWait
from benchmarks.epochs.pipeline import Pipeline
from rnnjax.data import Plan
from rnnjax.training import Optimizer, Scores, StepReport, TrainState, batch_mesh, classification, run_epoch, train_step
from rnnjax.training.compiled import CompiledStep


class RnnjaxEpochs:
    """The problem's network under `run_epoch`, each batch split over the first `devices` (None: all there are)."""

    def __init__(self, problem: Problem, pipeline: Pipeline, devices: int | None):
        mesh = batch_mesh(devices)
        self.pipeline, self.devices = pipeline, mesh.size
        self.fill = -(-pipeline.batch_size // mesh.size) * mesh.size
        optimizer = Optimizer(learning_rate=problem.learning_rate).transformation(
            1
        )  # a constant rate does not ask for the steps

        def logits(params: Any, *args: Any, **options: Any) -> Any:
            return problem.model.apply({"params": params}, *args, **options)

        self._step = train_step(classification(logits, classes=2), optimizer, mesh)
        self._state = self._step.replicate(TrainState.create(problem.params, optimizer, jax.random.key(0)))

    def losses(self, plans: Sequence[Plan]) -> list[float]:
        """As `Contestant.losses`."""
        reports: list[StepReport] = []
        self._state, _ = run_epoch(self._state, self._step, self.pipeline.batches(plans, self.fill), reports.append)
        return [report.loss for report in reports]

    def epoch(self) -> Pass:
        """As `Contestant.epoch`; the reports of the steps are kept, as a study does."""
        reports: list[StepReport] = []
        with DeviceWait(self._step) as step:
            batches = self.pipeline.batches(self.pipeline.plans(), self.fill)
            self._state, position = run_epoch(self._state, cast(CompiledStep, step), batches, reports.append)
        jax.block_until_ready(self._state)
        return Pass(Scores.of(position.sums, position.seconds, self._step.objective).loss, step.seconds)
