"""The rnnjax contestants: `run_epoch`, as the studies call it."""

from collections.abc import Sequence
from typing import Any, cast

import jax
from jax.sharding import Mesh

from benchmarks.epochs.contestant import Pass, Problem
from benchmarks.epochs.device_wait import DeviceWait
from benchmarks.epochs.pipeline import Pipeline
from rnnjax import SequenceClassifier
from rnnjax.data import Plan
from rnnjax.training import Optimizer, Scores, StepReport, TrainState, batch_mesh, classification, run_epoch, train_step
from rnnjax.training.compiled import CompiledStep


def train_step_of(
    model: SequenceClassifier, params: Any, learning_rate: float, mesh: Mesh, **options: Any
) -> tuple[CompiledStep, TrainState]:
    """The train step of a classifier with two classes, and its first state on the devices."""

    def logits(params: Any, *args: Any, **options: Any) -> Any:
        return model.apply({"params": params}, *args, **options)

    optimizer = Optimizer(learning_rate=learning_rate).transformation(1)  # the rate is constant, whatever the steps
    step = train_step(classification(logits, classes=2), optimizer, mesh, **options)
    return step, step.replicate(TrainState.create(params, optimizer, jax.random.key(0)))


class RnnjaxEpochs:
    """The network under `run_epoch`; each batch is split over the first `devices`, by default all."""

    def __init__(self, problem: Problem, pipeline: Pipeline, devices: int | None):
        mesh = batch_mesh(devices)
        self.pipeline, self.devices = pipeline, mesh.size
        self.fill: int | None = -(-pipeline.batch_size // mesh.size) * mesh.size
        self._step, self._state = train_step_of(problem.model, problem.params, problem.learning_rate, mesh)

    def losses(self, plans: Sequence[Plan]) -> list[float]:
        reports: list[StepReport] = []
        self._state, _ = run_epoch(self._state, self._step, self.pipeline.batches(plans, self.fill), reports.append)
        return [report.loss for report in reports]

    def epoch(self) -> Pass:
        reports: list[StepReport] = []  # a study keeps them too
        with DeviceWait(self._step) as step:
            batches = self.pipeline.batches(self.pipeline.plans(), self.fill)
            self._state, position = run_epoch(self._state, cast(CompiledStep, step), batches, reports.append)
        jax.block_until_ready(self._state)
        return Pass(Scores.of(position.sums, position.seconds, self._step.objective).loss, step.seconds)
