"""The rnnjax contestants: `run_epoch`, as the studies call it; and how long the device waits for its next step."""

import queue
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, cast

import jax
from jax.sharding import Mesh

from benchmarks.epochs.contestant import Pass, Problem
from benchmarks.epochs.pipeline import Pipeline
from rnnjax import SequenceClassifier
from rnnjax.data import Plan
from rnnjax.training import Optimizer, Scores, StepReport, TrainState, batch_mesh, classification, run_epoch, train_step
from rnnjax.training.compiled import CompiledStep

SWITCH_SECONDS = 1e-4  # Python switches threads this often: the end of a step is noted at most this late


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
        return Pass(
            Scores.of(position.sums, position.seconds, self._step.objective).loss,
            waited(step.start, step.calls, step.done),
        )


class DeviceWait:
    """A compiled step that, inside `with`, notes the `start`, the `calls`, and when their work was `done`.

    A second thread waits for the work, so that the caller does not have to.
    """

    def __init__(self, step: Any):
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def __enter__(self) -> "DeviceWait":
        self.calls: list[tuple[float, float]] = []
        self.done: list[float] = []
        self._running: queue.SimpleQueue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *stopped: object) -> None:
        self._running.put(None)
        self._thread.join()
        sys.setswitchinterval(self._interval)

    def __call__(self, carried: Any, batch: Any) -> Any:
        began = time.perf_counter()
        carried, sums = self._step(carried, batch)
        self.calls.append((began, time.perf_counter()))
        self._running.put(sums)
        return carried, sums

    def _watch(self) -> None:
        while (sums := self._running.get()) is not None:
            jax.block_until_ready(sums)
            self.done.append(time.perf_counter())


def waited(start: float, calls: Sequence[tuple[float, float]], done: Sequence[float]) -> float:
    """Seconds without work: from the end of each step (of the first: `start`) to the start of the next one.

    `calls` has the start and end of each call, `done` the end of its work. On a CPU a call may return late, because its
    own step uses the cores: each step is assumed to start after the time of the fastest call.
    """
    shortest = min(returned - began for began, returned in calls)
    idle_since = (start, *done[:-1])
    return sum(max(0.0, began + shortest - idle) for (began, _), idle in zip(calls, idle_since, strict=True))
