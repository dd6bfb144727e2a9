"""Which dtype numbers are computed and summed in."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def at_least_float32(dtype: Any) -> np.dtype:
    """The dtype, or float32 where it is narrower: what sums run in, and what a half-precision step is computed in."""
    return promoted(dtype, jnp.float32)


def promoted(*arrays: Any) -> np.dtype:
    """What arrays and dtypes promote to by JAX's standard rules, which the user may have forbidden to act unasked."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*arrays)


def real_leaves(tree: Any) -> list[jax.Array]:
    """The tree's arrays of real floating-point numbers."""
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def widen(tree: Any) -> Any:
    """The tree with its bfloat16 and float16 arrays in float32; all others as they are."""

    def leaf(array: Any) -> jax.Array:
        array = jnp.asarray(array)
        return array.astype(at_least_float32(array.dtype)) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(leaf, tree)


def cast_like(tree: Any, like: Any) -> Any:
    """The tree, each array in the dtype of the one in its place in `like`."""
    return jax.tree.map(lambda leaf, other: leaf.astype(other.dtype), tree, like)
