"""Which dtype numbers are computed and summed in."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def at_least_float32(dtype: Any) -> np.dtype:
    """The dtype, or float32 where it is narrower: what sums run in, and what a half-precision step is computed in."""
    # NumPy's answer: JAX's is an error under `jax.numpy_dtype_promotion("strict")`.
    return np.promote_types(dtype, np.float32)


def widen(tree: Any) -> Any:
    """The tree with its bfloat16 and float16 arrays in float32; all others as they are."""

    def leaf(array: Any) -> jax.Array:
        array = jnp.asarray(array)
        return array.astype(at_least_float32(array.dtype)) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(leaf, tree)


def cast_like(tree: Any, like: Any) -> Any:
    """The tree, each array in the dtype of the one in its place in `like`."""
    return jax.tree.map(lambda leaf, other: leaf.astype(other.dtype), tree, like)
