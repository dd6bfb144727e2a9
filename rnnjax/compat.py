"""What is assumed of other libraries beyond their promises: words of their messages, and experimental parts.

Each is named here once, and `tests/test_compat.py` asks the library itself: where a new release changes one of them,
the failing test says which, and this file is the place to mend. How Orbax writes is in `runs/arrays.py` alone.
"""

import functools
import importlib
import importlib.util
import re
import struct
import sys
from typing import Any, NamedTuple

from rnnjax.extras import missing

# pandas, where a row has more fields than the header.
RAGGED_ROW = "Length of header or names does not match length of data"
# JAX, where a process that it runs in forks.
FORKED = r"os\.fork\(\) was called"
# What backends say of a process that is gone, in errors of many types.
_LOST = ("Gloo", "NCCL", "coordination service", "distributed service", "Connection reset", "DEADLINE_EXCEEDED")


def is_forward_mode(error: TypeError) -> bool:
    """Whether JAX refuses forward-mode differentiation of a function with a reverse rule of its own."""
    return "forward-mode" in str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory, or no thread, for a computation: XLA says so in an error of its own."""
    if isinstance(error, RuntimeError):
        return str(error).startswith("RESOURCE_EXHAUSTED") or str(error) == "can't start new thread"
    return isinstance(error, MemoryError)


def is_lost_process(error: BaseException) -> bool:
    """Whether a backend says that another process of a computation is gone."""
    return not isinstance(error, (ValueError, FileNotFoundError)) and any(word in str(error) for word in _LOST)


def is_closed_loop(error: BaseException) -> bool:
    """Whether it is what a thread of Orbax says that was left behind where a folder could not be written."""
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


def is_empty_table(error: BaseException) -> bool:
    """Whether `datasets` failed since a file has no rows, or a Parquet file no row group."""
    return "corresponds to no data" in str(error) or "BatchSize must be greater" in str(error.__cause__ or error)


def words_of_box(box: str) -> str:
    """What tyro's drawn box says of a bad argument, in one line: the text between its title and the rule after it."""
    lines = [line.strip(" │") for line in box.splitlines() if line.strip(" │")]
    words = []
    for line in lines[1:]:
        rule = not line.strip("─-╰╯")
        if rule and words:
            break
        if not rule:
            words.append(line)
    # An option is named; what stands for all of them is a name of tyro's own.
    line = re.sub(r"^Error parsing (--\S+): ", r"\1: ", re.sub(r" +", " ", " ".join(words)))
    return re.sub(r"^Error parsing \S+: ", "", line)


def all_gather(array: Any, *, tiled: bool = False) -> Any:
    """Every process's array, in every process: along a new first axis, or (`tiled`) as parts of one."""
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=tiled)


def broadcast(array: Any) -> Any:
    """Process 0's array, in every process."""
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(array)


def preempted_at(step: int) -> bool:
    """Whether all processes have agreed to stop after this step, since one of them was told to end."""
    from jax.experimental import multihost_utils

    return multihost_utils.reached_preemption_sync_point(step)


def call_in_order(function: Any, *arguments: Any) -> None:
    """Calls a Python function with the values of traced arrays while the program runs, call after call."""
    from jax.experimental import io_callback

    io_callback(function, None, *arguments, ordered=True)


def forget_compilation_cache() -> None:
    """JAX goes on writing compiled programs to the folder that was its cache, until this is called."""
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()


class EventProtos(NamedTuple):
    """Modules of tensorboardX: classes of events and of summaries (made when they are imported), and CRC-32C."""

    events: Any
    summaries: Any
    checksum: Any


@functools.cache
def event_protos() -> EventProtos:
    """tensorboardX's modules of event files. Raises ModuleNotFoundError where it is not installed.

    tensorboardX itself imports PyTorch where that is installed, which takes seconds: while these modules are imported,
    an empty package with its path stands in for it.
    """
    spec = importlib.util.find_spec("tensorboardX")
    if spec is None:
        raise missing("tensorboardX", "training", "event files")
    loaded = "tensorboardX" in sys.modules
    try:
        if not loaded:
            sys.modules["tensorboardX"] = importlib.util.module_from_spec(spec)
        modules = ("proto.event_pb2", "proto.summary_pb2", "crc32c")
        return EventProtos(*(importlib.import_module(f"tensorboardX.{module}") for module in modules))
    finally:
        if not loaded:  # whoever imports tensorboardX later gets all of it
            for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboardX"]:
                del sys.modules[name]


def masked_checksum(data: bytes) -> bytes:
    """The CRC-32C of a record of an event file, rotated as TensorBoard wants it, in 4 bytes."""
    checksum = event_protos().checksum.crc32c(data) & 0xFFFFFFFF
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)
