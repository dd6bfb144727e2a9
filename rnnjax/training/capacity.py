"""Checks whether data or parameters fit into memory, before they are allocated or read."""

import math
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax

Tree = TypeVar("Tree")
# The files in which Linux states the memory limit of a container, for cgroups v2 and v1.
CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def check_capacity(what: str, needed: int) -> None:
    """Raises ValueError if `what` needs more bytes than `memory()`."""
    most = memory()
    if needed > most:
        raise ValueError(f"{what}: expected at most {most:,} bytes, this machine's memory, got {needed:,}")


def memory() -> int:
    """The memory of this machine in bytes, or the limit of its container or of `ulimit -v` if that is lower."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in CONTAINER:
        if file.is_file() and (words := file.read_text().strip()).isdecimal():
            limits.append(int(words))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return min([*limits, soft] if soft != resource.RLIM_INFINITY else limits)


def check_layers(layers: int, hidden: int) -> None:
    """Raises ValueError for a stack of layers too large for memory, before it is traced: 1,000 layers take minutes.

    Every layer but the first has at least a `hidden` x `hidden` matrix of float32.
    """
    check_capacity(f"{layers:,} layers of {hidden:,} features", 4 * max(layers - 1, 0) * hidden**2)


def parameters_of(init: Callable[[], Tree]) -> Tree:
    """Returns `init()`. Raises ValueError before calling it if the parameters would not fit into memory."""
    check_capacity("parameters", tree_bytes(jax.eval_shape(init)))
    return init()


def tree_bytes(tree: Any) -> int:
    """The size in bytes of a tree of arrays, or of `jax.ShapeDtypeStruct`s."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
