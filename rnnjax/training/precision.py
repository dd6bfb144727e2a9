"""Sums, averages and an optimizer's moments are float32 at least, whatever the parameters are.

A bfloat16 has 8 significant bits: what is added to a number and is less than 1/512 of it is lost.
"""

from typing import Any

import jax
import jax.numpy as jnp


def wide_dtype(dtype: Any) -> Any:
    """float32 for narrower floats, the dtype itself for wider ones."""
    return jnp.promote_types(dtype, jnp.float32)


def widened(tree: Any) -> Any:
    """The tree with its floats in float32 at least; integers, booleans and keys stay what they are."""

    def leaf(array: Any) -> jax.Array:
        array = jnp.asarray(array)
        return array.astype(wide_dtype(array.dtype)) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(leaf, tree)


def cast_like(tree: Any, like: Any) -> Any:
    """The tree in the dtypes of another one."""
    return jax.tree.map(lambda array, other: array.astype(other.dtype), tree, like)
