"""Initialisers that cells take: JAX's own, as shared objects, so that equal cells compare equal."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Initializer = Callable[..., Any]

glorot_uniform: Initializer = jax.nn.initializers.glorot_uniform()
zeros: Initializer = jax.nn.initializers.zeros
small_normal: Initializer = jax.nn.initializers.normal(0.1)


def orthogonal(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """JAX's orthogonal initialiser, drawn in float32 at least: its QR knows no narrower type."""
    wide = jnp.promote_types(dtype, jnp.float32)
    return jax.nn.initializers.orthogonal()(key, shape, wide).astype(dtype)


@functools.cache
def uniform(low: float, high: float) -> Initializer:
    """Uniform between `low` and `high`. Raises ValueError unless low is below high."""
    if not low < high:
        raise ValueError(f"uniform initialiser: expected low < high, got {low} and {high}")

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, low, high)

    return init


@functools.cache
def identity(scale: float = 1.0) -> Initializer:
    """`scale * I` for a square kernel: how a ReLU Elman net starts out remembering.

    Source: Le, Jaitly and Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear
    Units". Raises ValueError for a kernel that is not square.
    """

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"identity initialiser: expected a square kernel, got shape {shape}")
        return scale * jnp.eye(shape[0], dtype=dtype)

    return init
