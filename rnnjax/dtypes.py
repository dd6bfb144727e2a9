"""The dtypes of computations and sums."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def at_least_float32(dtype: Any) -> np.dtype:
    """The dtype, or float32 if it is narrower: the dtype of sums and of half-precision steps."""
    return promoted(dtype, jnp.float32)


def promoted(*arrays: Any) -> np.dtype:
    """The promoted dtype by JAX's standard rules, even if the user has set `jax_numpy_dtype_promotion="strict"`."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*arrays)


def real_leaves(tree: Any) -> list[jax.Array]:
    """The real floating-point arrays of a tree."""
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def widen(tree: Any) -> Any:
    """The tree with its bfloat16 and float16 arrays in float32; all others are unchanged."""

    def leaf(array: Any) -> jax.Array:
        array = jnp.asarray(array)
        return array.astype(at_least_float32(array.dtype)) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(leaf, tree)


def cast_like(tree: Any, like: Any) -> Any:
    """The tree with each array in the dtype of the corresponding array of `like`."""
    return jax.tree.map(lambda leaf, other: leaf.astype(other.dtype), tree, like)
