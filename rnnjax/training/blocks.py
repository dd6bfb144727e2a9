"""A fit loop that runs blocks of updates on the device; the host reads the results after each block."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from rnnjax.training.interruption import StopSignals
from rnnjax.training.loop import Keeper
from rnnjax.training.position import Position
from rnnjax.training.state import TrainState
from rnnjax.training.validated import check_unvalidated

# block(state) -> (state, numbers)
Block = Callable[[TrainState], tuple[TrainState, Any]]


def fit_blocks(
    state: TrainState,
    block: Block,
    blocks: int,
    updates: int,
    done: Callable[[], bool] = lambda: False,
    *,
    position: Position | None = None,
    checkpoints: Keeper | None = None,
    stop: StopSignals | None = None,
) -> Iterator[tuple[TrainState, Any, Position]]:
    """Trains in blocks of `updates` updates; yields state, numbers and position after each block.

        while position.epoch < blocks and not done():
            state, numbers = block(state)

    `block` is a compiled function that runs its updates on the device (see `run_updates`). The yielded numbers are on
    the host; the yielded state may be donated to the next block. In the position, a block counts as an epoch.
    With `checkpoints`, the state is written before the first block, after each block at which a checkpoint is due, and
    at the end; `position` resumes from such a checkpoint. `stop` must already be entered; a signal then ends the run
    between two blocks. Raises ValueError for the schedule plateau and `average_after`, Interrupted if a signal asked to
    stop, OSError if a checkpoint cannot be written.
    """
    check_unvalidated(state, "training in blocks")
    with contextlib.nullcontext() if stop is None else stop.between_steps():
        if position is None:
            position = Position()
            if checkpoints is not None:
                checkpoints.save(state, position)
                checkpoints.wait()
        start = time.perf_counter() - position.seconds
        while position.epoch < blocks and not done():
            state, numbers = block(state)
            # Reading the numbers waits for the block: programs on several CPU devices must not queue up.
            numbers = jax.device_get(numbers)
            seconds = time.perf_counter() - start
            position = Position(position.epoch + 1, step=position.step + updates, seconds=seconds)
            yield state, numbers, position
            stopping = stop is not None and stop.check(position.step)
            if checkpoints is not None and (checkpoints.due(updates) or stopping):
                checkpoints.save(state, position)
            if stopping and stop is not None:
                if checkpoints is not None:
                    checkpoints.wait()
                raise stop.interrupted(position.step)
        if checkpoints is not None:
            checkpoints.save(state, position)
            checkpoints.wait()
