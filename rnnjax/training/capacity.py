"""What fits into this machine's memory, asked before anything of that size is made or read."""

import math
import os
from typing import Any

import jax


def check_capacity(what: str, needed: int) -> None:
    """Raises ValueError where `what` needs more bytes than this machine has memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise ValueError(f"{what}: expected at most {memory:,} bytes, this machine's memory, got {needed:,}")


def tree_bytes(tree: Any) -> int:
    """The bytes of a tree of arrays or their shapes."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
