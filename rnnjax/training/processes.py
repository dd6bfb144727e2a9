"""Training with several processes, on one machine or many: every process runs the same program."""

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from rnnjax.compat import all_gather, broadcast, is_lost_process
from rnnjax.errors import first_line
from rnnjax.training.roll_call import call_roll, difference

CONNECT_SECONDS = 120
# A process that hangs is detected after this time; one that dies is detected at once.
HEARTBEAT_SECONDS = 60
# Process 0 runs JAX's coordination service: it exits after the others, or JAX ends them while they print their message.
LEAVE_SECONDS = 2


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Connects the processes of a run; must be called before the first computation.

    `coordinator` is HOST:PORT of process 0, as reached by every process; `processes` is their number, `process` the
    number of this one. On SLURM, Open MPI, Kubernetes and TPU pods JAX reads all three from the environment. Raises
    ValueError for numbers that are inconsistent, and for `facts` (JSON) in which processes differ; ConnectionError if a
    process does not answer within two minutes, or if the port is taken. If the environment defines the processes, only
    JAX checks them, and it ends a process by a signal.
    """
    given = (coordinator, processes, process)
    if any(value is not None for value in given) and None in given:
        raise ValueError(f"coordinator, processes, process: expected all three or none, got {given}")
    if processes is not None and process is not None and not 0 <= process < processes:
        raise ValueError(f"process: expected 0 to {processes - 1}, got {process}")
    if coordinator is not None and not coordinator.rpartition(":")[2].isdecimal():
        raise ValueError(f"coordinator: expected HOST:PORT, got {coordinator!r}")
    if coordinator is not None and processes is not None and process is not None:
        call_roll(coordinator, processes, process, facts or {}, CONNECT_SECONDS)
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=CONNECT_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except ValueError as error:  # JAX found no cluster in the environment
        raise ValueError(f"coordinator, processes, process: expected all three outside a cluster: {error}") from error


def check_same_everywhere(facts: Mapping[str, Any]) -> None:
    """Raises ValueError, in every process, if processes differ in one of these facts (JSON); all must call it."""
    if jax.process_count() == 1:
        return
    own = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    size = int(all_gather(np.int32(len(own))).max())
    # Padded with spaces, which JSON allows at its end.
    rows = all_gather(np.pad(own, (0, size - len(own)), constant_values=ord(" ")))
    wrong = difference([json.loads(row.astype(np.uint8).tobytes()) for row in np.asarray(rows)])
    if wrong is not None:
        raise ValueError(wrong)


def leave(status: int) -> None:
    """Ends this process with the exit status if it is one of several, without waiting for the others; else returns."""
    if not jax.distributed.is_initialized():
        return
    if is_first():
        time.sleep(LEAVE_SECONDS)
    os._exit(status)


def was_lost(error: BaseException) -> bool:
    """Whether an error of a computation means that another process died: its type depends on the backend."""
    return jax.distributed.is_initialized() and jax.process_count() > 1 and is_lost_process(error)


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def say(line: object) -> None:
    """Prints the line, in process 0 only."""
    if is_first():
        print(line)


def from_first(data: bytes) -> bytes:
    """Returns the bytes of process 0 in every process; all must call it."""
    if jax.process_count() == 1:
        return data
    size = int(broadcast(np.int32(len(data))))
    padded = np.frombuffer(data, np.uint8) if is_first() else np.zeros(size, np.uint8)
    return np.asarray(broadcast(padded)).astype(np.uint8).tobytes()


def on_first_process(action: Callable[[], bytes]) -> bytes:
    """Runs the action in process 0, and returns its result in every process; all must call it.

    If the action raises in process 0, all other processes raise ValueError with the first line of the error.
    """
    if jax.process_count() == 1:
        return action()
    failed, outcome = None, b""
    if is_first():
        try:
            outcome = b"+" + action()
        except Exception as error:
            failed, outcome = error, b"-" + first_line(error).encode()
    outcome = from_first(outcome)
    if failed is not None:
        raise failed
    if outcome.startswith(b"-"):
        raise ValueError(f"process 0 has ended the run: {outcome[1:].decode()}")
    return outcome[1:]


def gathered(tree: Any) -> Any:
    """Arrays that are split over processes, complete in every process; all must call it."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(lambda leaf: all_gather(leaf, tiled=True), tree)


def arrays_from_first(tree: Any, template: Any) -> Any:
    """The tree of arrays of process 0, bit for bit, in every process; all must call it.

    The template has the structure, shapes and dtypes of the tree.
    """
    if jax.process_count() == 1:
        return tree
    data = from_first(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)) if is_first() else b"")
    leaves, offset = [], 0
    for leaf in jax.tree.leaves(template):
        count = math.prod(leaf.shape)
        leaves.append(np.frombuffer(data, leaf.dtype, count, offset).reshape(leaf.shape))
        offset += count * leaf.dtype.itemsize
    return jax.tree.unflatten(jax.tree.structure(template), leaves)
