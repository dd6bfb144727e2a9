"""Initialisers for cells: those of JAX as frozen dataclasses, so that cells can be compared and pickled."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.dtypes import at_least_float32

Initializer = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class GlorotUniform:
    """JAX's `glorot_uniform()`."""

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.nn.initializers.glorot_uniform()(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class Orthogonal:
    """JAX's `orthogonal()`, drawn in at least float32: its QR supports no narrower dtype."""

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.nn.initializers.orthogonal()(key, shape, at_least_float32(dtype)).astype(dtype)


@dataclasses.dataclass(frozen=True)
class Normal:
    """JAX's `normal(deviation)`."""

    deviation: float

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.nn.initializers.normal(self.deviation)(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class FanInNormal:
    """The result of `fan_in_normal`."""

    scale: float

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.nn.initializers.variance_scaling(self.scale, "fan_in", "normal")(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class Zeros:
    """Zeros, for any key."""

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jnp.zeros(shape, dtype)


@dataclasses.dataclass(frozen=True)
class Uniform:
    """The result of `uniform`."""

    low: float
    high: float

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Identity:
    """The result of `identity`."""

    scale: float

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"identity initialiser: expected a square kernel, got shape {shape}")
        return self.scale * jnp.eye(shape[0], dtype=dtype)


glorot_uniform: Initializer = GlorotUniform()
orthogonal: Initializer = Orthogonal()
small_normal: Initializer = Normal(0.1)
zeros: Initializer = Zeros()


def uniform(low: float, high: float) -> Initializer:
    """Uniform between `low` and `high`. Raises ValueError unless `low < high`."""
    if not low < high:
        raise ValueError(f"uniform initialiser: expected low < high, got {low} and {high}")
    return Uniform(low, high)


def fan_in_normal(scale: float = 1.0) -> Initializer:
    """Normal with variance `scale / I` for a kernel with I inputs: the "LeCun" start for a scale of 1."""
    return FanInNormal(scale)


def identity(scale: float = 1.0) -> Initializer:
    """`scale * I` for a square kernel: with it, an Elman network with ReLU initially keeps its state.

    Source: Le, Jaitly and Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear
    Units". The initialiser raises ValueError for a kernel that is not square.
    """
    return Identity(scale)
