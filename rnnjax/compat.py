"""Assumptions about other libraries that their public API does not guarantee: error messages and experimental parts.

Each assumption is here once, and `tests/test_compat.py` checks it against the library. If a new release breaks one, the
failing test names it, and only this file needs a fix. Assumptions about how Orbax writes are in `runs/arrays.py`.
"""

import contextlib
import difflib
import functools
import importlib
import importlib.util
import re
import struct
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from rnnjax.extras import missing

# The message of pandas if a row has more fields than the header.
RAGGED_ROW = "Length of header or names does not match length of data"
# The warning of JAX if its process forks.
FORKED = r"os\.fork\(\) was called"
# Parts of the messages of backends about a lost process, in errors of many types.
_LOST = ("Gloo", "NCCL", "coordination service", "distributed service", "Connection reset", "DEADLINE_EXCEEDED")


def is_forward_mode(error: TypeError) -> bool:
    """Whether JAX refused forward-mode differentiation of a function with a custom reverse rule."""
    return "forward-mode" in str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory or threads ran out; XLA has a separate error type for it."""
    if isinstance(error, RuntimeError):
        return str(error).startswith("RESOURCE_EXHAUSTED") or str(error) == "can't start new thread"
    return isinstance(error, MemoryError)


def is_lost_process(error: BaseException) -> bool:
    """Whether a backend reports that another process of the computation is lost."""
    return not isinstance(error, (ValueError, FileNotFoundError)) and any(word in str(error) for word in _LOST)


def is_closed_loop(error: BaseException) -> bool:
    """Whether it is the error of a leftover Orbax thread after a folder could not be written."""
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


def is_empty_table(error: BaseException) -> bool:
    """Whether `datasets` failed because a file has no rows, or a Parquet file has no row group."""
    return "corresponds to no data" in str(error) or "BatchSize must be greater" in str(error.__cause__ or error)


def words_of_box(box: str) -> str:
    """The message in tyro's box about a bad argument, as one line: the text between its title and the next rule."""
    lines = [line.strip(" │") for line in box.splitlines() if line.strip(" │")]
    words = []
    for line in lines[1:]:
        rule = not line.strip("─-╰╯")
        if rule and words:
            break
        if not rule:
            words.append(line)
    # The name of an option is kept; the name that tyro uses for all options together is removed.
    line = re.sub(r"^Error parsing (--\S+): ", r"\1: ", re.sub(r" +", " ", " ".join(words)))
    line = re.sub(r"^Error parsing \S+: ", "", line)
    # The messages of `int` and `float`.
    line = re.sub(r"invalid literal for int\(\) with base 10: ", "expected an integer, got ", line)
    line = re.sub(r"could not convert string to float: ", "expected a number, got ", line)
    suggested = re.findall(r"--[\w-]+", "\n".join(lines).partition("Perhaps you meant:")[2])
    given = re.search(r"--[\w-]+", line)
    if not suggested or given is None:
        return line
    return f"{line}; did you mean {difflib.get_close_matches(given[0], suggested, 1, 0.0)[0]}?"


@contextlib.contextmanager
def help_colours(wanted: bool) -> Iterator[None]:
    """Context in which tyro uses colours only if they are wanted; it does not read NO_COLOR."""
    import tyro

    before = tyro._experimental_options["ansi_codes"]  # pyright: ignore[reportPrivateUsage]
    tyro._experimental_options["ansi_codes"] = before and wanted  # pyright: ignore[reportPrivateUsage]
    try:
        yield
    finally:
        tyro._experimental_options["ansi_codes"] = before  # pyright: ignore[reportPrivateUsage]


def all_gather(array: Any, *, tiled: bool = False) -> Any:
    """The arrays of all processes, in every process: stacked along a new first axis, or concatenated if `tiled`."""
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=tiled)


def broadcast(array: Any) -> Any:
    """The array of process 0, in every process."""
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(array)


def several_processes() -> bool:
    """Whether several processes compute together. Starts JAX's devices."""
    import jax

    return jax.process_count() > 1


def preempted_at(step: int) -> bool:
    """Whether all processes have agreed to stop after this step, because one of them received a preemption notice."""
    from jax.experimental import multihost_utils

    return multihost_utils.reached_preemption_sync_point(step)


def call_in_order(function: Any, *arguments: Any) -> None:
    """Calls a Python function with the values of traced arrays while the program runs, in program order."""
    from jax.experimental import io_callback

    io_callback(function, None, *arguments, ordered=True)


def check_when_run(condition: Any, message: str, **values: Any) -> None:
    """A check in a compiled program, whose error the caller gets by JAX's `checkify`; `{name}` stands for a value."""
    from jax.experimental import checkify

    checkify.check(condition, message, **values)


def cudnn_rnn() -> Any:
    """The module of JAX with the LSTM of cuDNN."""
    from jax.experimental import rnn

    return rnn


def forget_compilation_cache() -> None:
    """Makes JAX stop writing compiled programs to its previous cache folder, which it does until this is called."""
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()


class EventProtos(NamedTuple):
    """Modules of tensorboardX: classes of events and of summaries (created on import), and CRC-32C."""

    events: Any
    summaries: Any
    checksum: Any


@functools.cache
def event_protos() -> EventProtos:
    """The tensorboardX modules for event files. Raises ModuleNotFoundError if it is not installed.

    tensorboardX imports PyTorch if that is installed, which takes seconds. To avoid this, an empty package with its
    path replaces it while these modules are imported.
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
        if not loaded:  # a later import of tensorboardX must get the complete package
            for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboardX"]:
                del sys.modules[name]


def masked_checksum(data: bytes) -> bytes:
    """The CRC-32C of a record of an event file, in TensorBoard's rotated form, as 4 bytes."""
    checksum = event_protos().checksum.crc32c(data) & 0xFFFFFFFF
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)
