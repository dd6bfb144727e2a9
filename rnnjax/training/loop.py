"""The fit loop: epochs of steps. The host prepares the next batch while the devices compute the current one."""

import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Protocol

import jax

from rnnjax.fields import check_range
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.divergence import ADVICE, DivergedError, Watchdog
from rnnjax.training.interruption import StopSignals
from rnnjax.training.objective import Sums
from rnnjax.training.position import Position
from rnnjax.training.reports import EpochReport, Scores, StepReport
from rnnjax.training.state import TrainState
from rnnjax.training.validated import after_validation


class Keeper(Protocol):
    """Writes checkpoints of a training (`rnnjax.runs.Checkpoints`)."""

    def due(self, steps: int = 1) -> bool:
        """Whether a checkpoint is due; `steps` is the number of steps since the last call."""
        ...

    def save(self, state: TrainState, position: Position) -> None:
        """Copies the state; it may be written later, in the background."""
        ...

    def wait(self) -> None:
        """Waits until the last checkpoint is written."""
        ...


def run_epoch(
    state: TrainState,
    step: CompiledStep,
    batches: Iterable[Any],
    watch: Callable[[StepReport], None],
    position: Position | None = None,
    *,
    watchdog: Watchdog | None = None,
    rest_after: Callable[[int], bool] = lambda step: False,
    rest: Callable[[TrainState, Position], None] = lambda state, position: None,
) -> tuple[TrainState, Position]:
    """Runs the train steps of one epoch; returns the state and the position.

    `watch` is called with a report of every step, at most `step.in_flight` steps late. `batches` are those after
    `position` (None: all batches of an epoch). After each step for which `rest_after(step)` is true, the loop waits
    until no step is running, and calls `rest(state, position)`. Raises DivergedError, which names the step, if the loss
    or the gradient is not finite or the loss is far above chance (`Watchdog`); ValueError if there are no batches.
    """
    position = position or Position(step=int(state.step))
    watchdog = watchdog or Watchdog()
    clock = Clock(step, position.seconds)
    sent, resting = position.step, False

    def dispatch(batch: Any) -> Sums:
        nonlocal state, sent, resting
        state, sums = step(state, batch)
        sent += 1
        resting = rest_after(sent)
        return sums

    with contextlib.closing(read_sums(step, dispatch, batches, lambda: resting)) as steps:
        for sums in steps:
            number = position.step + 1
            histograms = sums.pop("histograms", {})
            passes = watchdog.passes(number, sums)
            position = position.plus(sums if passes else None)
            if position.first is None and not math.isnan(watchdog.first):
                position = position._replace(first=watchdog.first)
            watch(StepReport.of(number, sums, histograms, not passes, step.objective))
            if resting and number == sent:
                position = position._replace(seconds=clock.seconds())
                rest(state, position)
    if position.batch == 0:
        raise ValueError("batches: expected at least one, got none")
    return state, position._replace(seconds=clock.seconds())


def evaluate(
    params: Any, step: CompiledStep, batches: Iterable[Any], pause: Callable[[], None] = lambda: None
) -> Scores:
    """Scores of the parameters over all batches; `pause` is called after each batch, and may raise.

    Raises ValueError if there are no batches, or if all weights are zero.
    """
    clock = Clock(step)
    position = Position()
    with contextlib.closing(read_sums(step, lambda batch: step(params, batch), batches)) as parts:
        for sums in parts:
            position = position.plus(sums)
            pause()
    return Scores.of(position.sums, clock.seconds(), step.objective)


class Clock:
    """Seconds since the clock was created, without compilation, plus the seconds `before`."""

    def __init__(self, step: CompiledStep, before: float = 0.0):
        self._step, self._before = step, before
        self._start, self._compiled = time.perf_counter(), step.compile_seconds

    def seconds(self) -> float:
        compiling = self._step.compile_seconds - self._compiled
        return self._before + time.perf_counter() - self._start - compiling


def read_sums(
    step: CompiledStep,
    dispatch: Callable[[Any], Sums],
    batches: Iterable[Any],
    resting: Callable[[], bool] = lambda: False,
) -> Generator[Sums, None, None]:
    """Yields the sums of each batch, on the host.

    While a step runs, the next batch is made and copied to the devices. When the step ends, the next step is dispatched
    first, and then the sums are read: between two steps the devices wait only for the dispatch. If `resting()` is true
    after a dispatch, all sums are read before another step is dispatched.
    """
    pending: deque[Sums] = deque()
    try:
        for batch in batches:
            batch = step.put(batch)
            if len(pending) == step.in_flight:
                jax.block_until_ready(pending[0])
            pending.append(dispatch(batch))
            while len(pending) > (0 if resting() else step.in_flight):
                yield jax.device_get(pending.popleft())
        while pending:
            yield jax.device_get(pending.popleft())
    finally:
        # A caller that stops early may start another program, which must not queue up behind these (`in_flight`).
        jax.block_until_ready(list(pending))


def _check_learned(position: Position) -> None:
    """Raises DivergedError or ValueError if no step of an epoch updated the parameters."""
    if "steps" in position.sums:
        return
    number, skipped = position.epoch + 1, int(position.sums.get("skipped", 0))
    if skipped:
        raise DivergedError(f"epoch {number}: expected at least one finite update, got {skipped} skipped; " + ADVICE)
    raise ValueError(
        f"epoch {number}: expected a batch with a weight above 0, got {position.batch} batches of weight 0"
    )


def on_devices(step: CompiledStep, state: TrainState) -> TrainState:
    """The state for the first step: the carry is split over the devices, everything else is on each of them."""
    return step.replicate(state._replace(carry=()))._replace(carry=step.split(state.carry))


def fit(
    state: TrainState,
    step: CompiledStep,
    evaluation: CompiledStep,
    train_batches: Callable[[int, int], Iterable[Any]],
    validation_batches: Callable[[], Iterable[Any]],
    epochs: int,
    watch: Callable[[StepReport], None] = lambda report: None,
    *,
    evaluate: Callable[..., Scores] = evaluate,
    patience: int | None = None,
    skip: int = 0,
    explain: Callable[[int], str] | None = None,
    position: Position | None = None,
    checkpoints: Keeper | None = None,
    stop: StopSignals | None = None,
) -> Iterator[tuple[TrainState, EpochReport]]:
    """Trains epoch by epoch; yields the state and a report after each epoch.

    `train_batches(epoch, first)` returns the batches of an epoch, starting with batch `first`. `evaluate` (or
    `evaluate_stream`) computes the scores of the validation batches; if the state has an average of the parameters,
    the average is evaluated. An epoch is `best` if the objective's metric `best` is better than in all epochs before;
    training ends after `patience` epochs in a row that are not. The yielded state is donated to the next epoch: copy
    whatever is needed later.

    Up to `skip` consecutive updates that are not finite are skipped (see `Optimizer`); `explain(step)` returns the
    cause of a step that is not finite.

    With `checkpoints`, state and position are written before the first step, when a checkpoint is due, and at the end
    of each epoch, after the caller has processed its report. `position` resumes from a checkpoint. `stop` must already
    be entered; a signal then ends the run between two steps.

    Raises ValueError for fewer than one epoch, or if all weights of an epoch are zero; DivergedError for a loss that is
    not finite or far above chance; Interrupted if a signal asked to stop; OSError if a checkpoint cannot be written.
    """
    check_range("epochs", epochs, 1)
    check_range("skip", skip, 0)
    if patience is not None:
        check_range("patience", patience, 1)
    watchdog = Watchdog(skip, explain, math.nan if position is None or position.first is None else position.first)
    state = on_devices(step, state)
    stopping = False

    def rest_after(number: int) -> bool:
        nonlocal stopping
        stopping = stop is not None and stop.check(number)
        return stopping or (checkpoints is not None and checkpoints.due())

    def rest(state: TrainState, position: Position) -> None:
        if checkpoints is not None:
            checkpoints.save(state, position)
        if stopping and stop is not None:
            if checkpoints is not None:
                checkpoints.wait()
            raise stop.interrupted(position.step)

    with contextlib.nullcontext() if stop is None else stop.between_steps():
        if position is None:
            position = Position(step=int(state.step))
            rest(state, position)
            if checkpoints is not None:
                checkpoints.wait()  # so that a run killed after its first step can be resumed
        while position.epoch < epochs and (patience is None or position.waited < patience):
            batches = train_batches(position.epoch, position.batch)
            state, position = run_epoch(
                state, step, batches, watch, position, watchdog=watchdog, rest_after=rest_after, rest=rest
            )
            _check_learned(position)
            watchdog.check_chance(position.step)

            def pause(state: TrainState = state, position: Position = position) -> None:
                nonlocal stopping
                # Several processes can only agree to stop after a train step.
                stopping = stop is not None and jax.process_count() == 1 and stop.check(position.step)
                if stopping:
                    rest(state, position)

            validation = evaluate(state.evaluated, evaluation, validation_batches(), pause)
            training = float(position.sums["loss"] / position.sums["weight"])
            watchdog.check_validation(position.step, training, validation.loss, validation.chance)
            done, position = position, position.after_epoch(evaluation.objective.score(validation.metrics))
            state = state._replace(optimizer_state=after_validation(state.optimizer_state, validation.loss))
            yield state, EpochReport.of(done, validation, position.waited == 0, step.objective)
            stopping = False
            rest(state, position)
        if checkpoints is not None:
            checkpoints.wait()
