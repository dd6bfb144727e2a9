"""Several processes, on one machine or many, that train together: every one runs the same program."""

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
# A process that hangs without dying is noticed after this; one that dies, at once.
HEARTBEAT_SECONDS = 60
# Process 0 keeps what JAX connects them by: it leaves after the others, or JAX ends them in the middle of their words.
LEAVE_SECONDS = 2


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Joins the processes of a run; must come before the first computation.

    `coordinator` is HOST:PORT of process 0, as every process reaches it. On SLURM, Open MPI, Kubernetes and TPU pods
    all three follow from the environment. Raises ValueError for numbers that do not fit together, and `facts` (JSON)
    in which processes differ; ConnectionError where one is not met within two minutes, or the port is taken. Where the
    environment says who there is, nothing of that is asked before JAX does, which ends a process by a signal.
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
    except ValueError as error:  # what JAX says where the environment names no cluster
        raise ValueError(f"coordinator, processes, process: expected all three outside a cluster: {error}") from error


def check_same_everywhere(facts: Mapping[str, Any]) -> None:
    """Raises ValueError, in every process, where they differ in one of these facts (JSON); all must call it."""
    if jax.process_count() == 1:
        return
    own = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    size = int(all_gather(np.int32(len(own))).max())
    # JSON may end in spaces.
    rows = all_gather(np.pad(own, (0, size - len(own)), constant_values=ord(" ")))
    wrong = difference([json.loads(row.astype(np.uint8).tobytes()) for row in np.asarray(rows)])
    if wrong is not None:
        raise ValueError(wrong)


def leave(status: int) -> None:
    """Ends this process where it is one of several, without waiting for what others do; else returns."""
    if not jax.distributed.is_initialized():
        return
    if is_first():
        time.sleep(LEAVE_SECONDS)
    os._exit(status)


def was_lost(error: BaseException) -> bool:
    """Whether an error of a computation says that another process is gone: backends raise it as many types."""
    return jax.distributed.is_initialized() and jax.process_count() > 1 and is_lost_process(error)


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def say(line: object) -> None:
    """Prints, in the first process only."""
    if is_first():
        print(line)


def from_first(data: bytes) -> bytes:
    """Process 0's bytes, in every process; all must call it."""
    if jax.process_count() == 1:
        return data
    size = int(broadcast(np.int32(len(data))))
    padded = np.frombuffer(data, np.uint8) if is_first() else np.zeros(size, np.uint8)
    return np.asarray(broadcast(padded)).astype(np.uint8).tobytes()


def on_first_process(action: Callable[[], bytes]) -> bytes:
    """What process 0's action gives, in every process; all must call it.

    Where it raises, the others do not wait for a process that has left: they raise ValueError with its first line.
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
    """Arrays that several processes have parts of, as a whole in every process; all must call it."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(lambda leaf: all_gather(leaf, tiled=True), tree)


def arrays_from_first(tree: Any, template: Any) -> Any:
    """Process 0's tree of arrays, bit for bit, in every process; the template has its structure, shapes and dtypes."""
    if jax.process_count() == 1:
        return tree
    data = from_first(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)) if is_first() else b"")
    leaves, offset = [], 0
    for leaf in jax.tree.leaves(template):
        count = math.prod(leaf.shape)
        leaves.append(np.frombuffer(data, leaf.dtype, count, offset).reshape(leaf.shape))
        offset += count * leaf.dtype.itemsize
    return jax.tree.unflatten(jax.tree.structure(template), leaves)
