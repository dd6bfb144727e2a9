"""The fit loop of trainings that stay on the devices: blocks of updates, read by the host once each is done."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from rnnjax.training.interruption import StopSignals
from rnnjax.training.loop import Keeper
from rnnjax.training.position import Position
from rnnjax.training.state import TrainState

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
    """Trains block by block, `updates` updates each; yields state, numbers and position after each one.

        while position.epoch < blocks and not done():
            state, numbers = block(state)

    `block` is a compiled function that runs its updates on the device (see `run_updates`). Its numbers are on the host
    when they are yielded, its state may be donated to the next block. In the position a block counts as an epoch.
    With `checkpoints`, the state is written before the first block, after a block where one is due, and at the end;
    `position` resumes from there. `stop`, which the caller has entered, ends the run between two blocks.
    Raises Interrupted where a signal asked to stop, OSError where a checkpoint cannot be written.
    """
    with contextlib.nullcontext() if stop is None else stop.between_steps():
        if position is None:
            position = Position()
            if checkpoints is not None:
                checkpoints.save(state, position)
                checkpoints.wait()
        start = time.perf_counter() - position.seconds
        while position.epoch < blocks and not done():
            state, numbers = block(state)
            # Reading waits for the block: programs of several CPU devices must not queue up.
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
