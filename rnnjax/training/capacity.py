"""What fits into this machine's memory, asked before anything of that size is made or read."""

import math
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax

Tree = TypeVar("Tree")
# Where Linux says how much a container may have, in cgroups of both versions.
CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def check_capacity(what: str, needed: int) -> None:
    """Raises ValueError where `what` needs more bytes than this machine has memory, or this process may have."""
    most = memory()
    if needed > most:
        raise ValueError(f"{what}: expected at most {most:,} bytes, this machine's memory, got {needed:,}")


def memory() -> int:
    """The bytes of memory that this machine has, or of what its container or `ulimit -v` leaves of them."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in CONTAINER:
        if file.is_file() and (words := file.read_text().strip()).isdecimal():
            limits.append(int(words))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return min([*limits, soft] if soft != resource.RLIM_INFINITY else limits)


def check_layers(layers: int, hidden: int) -> None:
    """Raises ValueError for layers, one on the other, too large for this machine: tracing a thousand takes minutes.

    Each but the first reads the features of the one before: it has at least a square matrix of float32.
    """
    check_capacity(f"{layers:,} layers of {hidden:,} features", 4 * max(layers - 1, 0) * hidden**2)


def parameters_of(init: Callable[[], Tree]) -> Tree:
    """The parameters that `init` makes. Raises ValueError, before there are any, where they exceed the memory."""
    check_capacity("parameters", tree_bytes(jax.eval_shape(init)))
    return init()


def tree_bytes(tree: Any) -> int:
    """The bytes of a tree of arrays or their shapes."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
