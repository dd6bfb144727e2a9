"""The fit loop: epochs of steps, the host making the next batch while the devices work on this one."""

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.data import Batch
from rnnjax.training.state import TrainState
from rnnjax.training.step import CompiledStep, Sums


class DivergedError(ArithmeticError):
    """The loss or its gradient is no longer finite."""


class Scores(NamedTuple):
    """Sums over a part of the data, as means."""

    loss: float
    accuracy: float
    confusion: np.ndarray  # (C, C) rows, true classes down; (0, 0) where there are no classes
    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds

    @classmethod
    def of(cls, total: Sums, seconds: float) -> "Scores":
        """From summed sums. Raises ValueError where nothing was summed."""
        if not total:
            raise ValueError("batches: expected at least one, got none")
        return cls(
            loss=float(total["loss"] / total["weight"]),
            accuracy=float(total["correct"] / total["weight"]),
            confusion=np.asarray(total.get("confusion", np.empty((0, 0)))).round().astype(int),
            tokens=int(total["tokens"]),
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
    """One epoch of train steps; `watch` hears of every step, at most `step.in_flight` steps late, while others run.

    Raises DivergedError, which names the step, where the loss or its gradient is not finite.
    """
    start, compiled = time.perf_counter(), step.compile_seconds
    done, total = int(state.step), {}

    def dispatch(batch: Batch) -> Sums:
        nonlocal state
        state, sums = step(state, batch)
        return sums

    with contextlib.closing(_read(step, dispatch, batches)) as steps:
        for number, sums in enumerate(steps, start=done + 1):
            loss, gradient_norm = float(sums["loss"] / sums["weight"]), float(sums["gradient_norm"])
            if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
                raise DivergedError(
                    f"step {number}: expected a finite loss and gradient, got loss {loss:g} and gradient norm "
                    f"{gradient_norm:g}; try a smaller learning rate or clipping"
                )
            _add(total, sums)
            accuracy = float(sums["correct"] / sums["weight"])
            watch(StepReport(number, loss, accuracy, gradient_norm, int(sums["tokens"])))
    return state, Scores.of(total, time.perf_counter() - start - (step.compile_seconds - compiled))


def evaluate(params: Any, step: CompiledStep, batches: Iterable[Batch]) -> Scores:
    """Scores of the parameters over all batches. Raises ValueError where there are none."""
    start, compiled = time.perf_counter(), step.compile_seconds
    total: Sums = {}
    for sums in _read(step, lambda batch: step(params, batch), batches):
        _add(total, sums)
    return Scores.of(total, time.perf_counter() - start - (step.compile_seconds - compiled))


def _read(
    step: CompiledStep, dispatch: Callable[[Batch], Sums], batches: Iterable[Batch]
) -> Generator[Sums, None, None]:
    """Each batch's sums on the host.

    While a step runs, the next batch is made and laid on the devices; as soon as it is done the next one starts,
    and only then its sums are read: between two steps the devices wait for nothing but the dispatch.
    """
    pending: deque[Sums] = deque()
    try:
        for batch in batches:
            batch = step.put(batch)
            if len(pending) == step.in_flight:
                jax.block_until_ready(pending[0])
            pending.append(dispatch(batch))
            if len(pending) > step.in_flight:
                yield jax.device_get(pending.popleft())
        while pending:
            yield jax.device_get(pending.popleft())
    finally:
        # Whoever stops early may start another program next, which must not queue up behind these (`in_flight`).
        jax.block_until_ready(list(pending))


def _add(total: Sums, sums: Sums) -> None:
    for name, value in sums.items():
        total[name] = total.get(name, 0) + value


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
        if not math.isfinite(validation.loss):
            raise DivergedError(
                f"after step {int(state.step)}: expected a finite validation loss, got {validation.loss:g}; "
                "try a smaller learning rate or clipping"
            )
        best = validation.accuracy > highest
        highest = max(highest, validation.accuracy)
        yield state, EpochReport(epoch + 1, train, validation, best)
