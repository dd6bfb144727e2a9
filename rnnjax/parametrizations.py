"""Kernels that are functions of other parameters: what an optimizer changes is not the kernel itself."""

import abc
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.dtypes import at_least_float32


class Parametrization(abc.ABC):
    """The hook from parameters to a kernel, as a frozen dataclass of pure functions.

    `kernel` is computed once a call, before the loop over steps, and its gradient is JAX's.
    """

    @abc.abstractmethod
    def init(self, key: PRNGKeyArray, kernel: jax.Array, gates: int) -> Any:
        """The parameters, a tree of arrays, from the kernel that was drawn; `gates` blocks lie along its last axis."""

    @abc.abstractmethod
    def kernel(self, params: Any) -> jax.Array:
        """The kernel that the parameters stand for."""


class WeightNormParams(NamedTuple):
    """`direction`, of the kernel's shape, and a `gain` for each output."""

    direction: jax.Array
    gain: jax.Array


@dataclasses.dataclass(frozen=True)
class WeightNorm(Parametrization):
    """Weight normalisation: `kernel = gain * direction / |direction|`, the norm being that of each output's column.

    Starts as the kernel that was drawn. Source: Salimans and Kingma 2016, "Weight Normalization".
    """

    def init(self, key: PRNGKeyArray, kernel: jax.Array, gates: int) -> WeightNormParams:
        return WeightNormParams(kernel, jnp.linalg.norm(kernel, axis=0))

    def kernel(self, params: WeightNormParams) -> jax.Array:
        squares = (params.direction**2).sum(axis=0, keepdims=True)
        # A column of zeros stays one, and has no gradient that is not finite.
        norm = jnp.sqrt(jnp.where(squares > 0, squares, 1))
        return params.gain[None] * params.direction / norm


def _square_blocks(kernel: jax.Array, gates: int, what: str) -> jax.Array:
    """The gates' blocks `(gates, H, H)`. Raises ValueError where they are not square."""
    rows, width = kernel.shape
    if width != gates * rows:
        raise ValueError(f"{what}: expected a kernel of {gates} square blocks, got shape {kernel.shape}")
    return jnp.moveaxis(kernel.reshape(rows, gates, rows), 1, 0)


def _side_by_side(blocks: jax.Array) -> jax.Array:
    gates, rows, _ = blocks.shape
    return jnp.moveaxis(blocks, 0, 1).reshape(rows, gates * rows)


def _skew(blocks: jax.Array) -> jax.Array:
    return blocks - jnp.swapaxes(blocks, 1, 2)


@dataclasses.dataclass(frozen=True)
class Orthogonal(Parametrization):
    """An orthogonal kernel, block by block: `R = exp(A - A^T)`.

    A `(gates, H, H)` starts as rotations of pairs of units by angles uniform in `(-pi, pi)`, whatever the cell's
    `recurrent_init`. Sources: Lezcano-Casado and Martínez-Rubio 2019, "Cheap Orthogonal Constraints in Neural
    Networks"; Henaff, Szlam and LeCun 2016 for the start. Raises ValueError for blocks that are not square.
    """

    def init(self, key: PRNGKeyArray, kernel: jax.Array, gates: int) -> jax.Array:
        blocks = _square_blocks(kernel, gates, "Orthogonal")
        size = blocks.shape[-1]
        first = jnp.arange(0, size - 1, 2)
        angles = jax.random.uniform(key, (gates, len(first)), jnp.float32, -jnp.pi, jnp.pi)
        return jnp.zeros_like(blocks).at[:, first, first + 1].set(angles.astype(blocks.dtype))

    def kernel(self, params: jax.Array) -> jax.Array:
        wide = params.astype(at_least_float32(params.dtype))
        return _side_by_side(jax.scipy.linalg.expm(_skew(wide))).astype(params.dtype)


@dataclasses.dataclass(frozen=True)
class Antisymmetric(Parametrization):
    """An antisymmetric kernel less a diffusion, block by block: `R = A - A^T - diffusion * I`, A `(gates, H, H)`.

    Source: Chang, Chen, Haber and Chi 2019, "AntisymmetricRNN". Raises ValueError for blocks that are not square.
    """

    diffusion: float = 0.01

    def init(self, key: PRNGKeyArray, kernel: jax.Array, gates: int) -> jax.Array:
        return _square_blocks(kernel, gates, "Antisymmetric") / 2

    def kernel(self, params: jax.Array) -> jax.Array:
        eye = self.diffusion * jnp.eye(params.shape[-1], dtype=params.dtype)
        return _side_by_side(_skew(params) - eye[None])
