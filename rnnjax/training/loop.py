"""The fit loop: epochs of steps, with the numbers of step t-1 read while step t runs."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.data import Batch
from rnnjax.training.state import TrainState
from rnnjax.training.step import CompiledStep


class DivergedError(ArithmeticError):
    """The loss is no longer a finite number."""


class Scores(NamedTuple):
    """Sums over a part of the data, as means."""

    loss: float
    accuracy: float
    confusion: np.ndarray  # (C, C) rows, true classes down
    steps: int
    seconds: float

    @classmethod
    def of(cls, total: dict[str, Any], seconds: float) -> "Scores":
        return cls(
            loss=float(total["loss"] / total["weight"]),
            accuracy=float(total["correct"] / total["weight"]),
            confusion=np.asarray(total["confusion"]).round().astype(int),
            steps=int(total["steps"]),
            seconds=seconds,
        )


class StepReport(NamedTuple):
    """What one train step measured."""

    step: int
    loss: float
    accuracy: float
    gradient_norm: float
    tokens: int


def run_epoch(
    state: TrainState, step: CompiledStep, batches: Iterable[Batch], watch: Callable[[StepReport], None]
) -> tuple[TrainState, Scores]:
    """One epoch of train steps; `watch` hears of every step, one step late.

    Raises DivergedError, which names the step, where a loss is not finite.
    """
    start, compiled = time.perf_counter(), step.compile_seconds
    total: dict[str, Any] = {}

    def read(sums: dict[str, jax.Array], number: int) -> None:
        host = jax.device_get(sums)
        loss = float(host["loss"] / host["weight"])
        if not math.isfinite(loss):
            raise DivergedError(
                f"step {number}: expected a finite loss, got {loss}; try a smaller learning rate or clipping"
            )
        for name, value in host.items():
            total[name] = total.get(name, 0) + value
        accuracy = float(host["correct"] / host["weight"])
        watch(StepReport(number, loss, accuracy, float(host["gradient_norm"]), int(host["steps"])))

    number = int(state.step)
    before: dict[str, jax.Array] | None = None
    for batch in batches:
        state, sums = step(state, batch)
        if before is not None:
            read(before, number)
        before, number = sums, number + 1
    if before is None:
        raise ValueError("batches: expected at least one, got none")
    read(before, number)
    return state, Scores.of(total, time.perf_counter() - start - (step.compile_seconds - compiled))


def evaluate(params: Any, step: CompiledStep, batches: Iterable[Batch]) -> Scores:
    """Scores of the parameters over all batches. Raises ValueError where there are none."""
    start, compiled = time.perf_counter(), step.compile_seconds
    total: dict[str, Any] = {}
    for batch in batches:
        for name, value in step(params, batch).items():
            total[name] = total.get(name, 0) + value
    if not total:
        raise ValueError("batches: expected at least one, got none")
    total = jax.device_get(total)
    return Scores.of(total, time.perf_counter() - start - (step.compile_seconds - compiled))


class EpochReport(NamedTuple):
    """An epoch: the training scores along the way, and those of the validation part after it."""

    epoch: int
    train: Scores
    validation: Scores
    best: bool


def fit(
    state: TrainState,
    step: CompiledStep,
    evaluation: CompiledStep,
    train_batches: Callable[[int], Iterable[Batch]],
    validation_batches: Callable[[], Iterable[Batch]],
    epochs: int,
    watch: Callable[[StepReport], None] = lambda report: None,
) -> Iterator[tuple[TrainState, EpochReport]]:
    """Trains epoch by epoch, from the state given; yields after each one.

    `best` says that no epoch before had as high a validation accuracy. The state that is yielded is
    donated to the next epoch: copy what must outlive it. Raises ValueError for fewer than one epoch,
    DivergedError for a loss that is not finite.
    """
    if epochs < 1:
        raise ValueError(f"epochs: expected at least 1, got {epochs}")
    highest = -1.0
    state = step.replicate(state)
    for epoch in range(epochs):
        state, train = run_epoch(state, step, train_batches(epoch), watch)
        validation = evaluate(state.params, evaluation, validation_batches())
        best = validation.accuracy > highest
        highest = max(highest, validation.accuracy)
        yield state, EpochReport(epoch + 1, train, validation, best)
