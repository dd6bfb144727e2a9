"""Kernels that are functions of other parameters; the optimizer updates these parameters instead of the kernel."""

import abc
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.dtypes import at_least_float32


class Parametrization(abc.ABC):
    """A function from parameters to a kernel, as a frozen dataclass of pure functions.

    `kernel` is computed once per call, before the loop over steps, and differentiated by JAX.
    """

    @abc.abstractmethod
    def init(self, key: PRNGKeyArray, kernel: jax.Array, gates: int) -> Any:
        """The parameters (a tree of arrays) for an initial kernel with `gates` blocks along its last axis."""

    @abc.abstractmethod
    def kernel(self, params: Any) -> jax.Array:
        """The kernel computed from the parameters."""


class WeightNormParams(NamedTuple):
    """`direction`, with the shape of the kernel, and a `gain` for each output."""

    direction: jax.Array
    gain: jax.Array


@dataclasses.dataclass(frozen=True)
class WeightNorm(Parametrization):
    """Weight normalisation: `kernel = gain * direction / |direction|`, with one norm for the column of each output.

    At initialisation it equals the drawn kernel. Source: Salimans and Kingma 2016, "Weight Normalization".
    """

    def init(self, key: PRNGKeyArray, kernel: jax.Array, gates: int) -> WeightNormParams:
        return WeightNormParams(kernel, jnp.linalg.norm(kernel, axis=0))

    def kernel(self, params: WeightNormParams) -> jax.Array:
        squares = (params.direction**2).sum(axis=0, keepdims=True)
        # A column of zeros stays zero and has a finite gradient.
        norm = jnp.sqrt(jnp.where(squares > 0, squares, 1))
        return params.gain[None] * params.direction / norm


def _square_blocks(kernel: jax.Array, gates: int, what: str) -> jax.Array:
    """The gate blocks `(gates, H, H)`. Raises ValueError if they are not square."""
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
    """A kernel of orthogonal gate blocks: `R = exp(A - A^T)` for each block.

    A `(gates, H, H)` is initialised so that R rotates pairs of units by angles uniform in `(-pi, pi)`; the cell's
    `recurrent_init` has no effect. Sources: Lezcano-Casado and Martínez-Rubio 2019, "Cheap Orthogonal Constraints in
    Neural Networks"; Henaff, Szlam and LeCun 2016 for the initialisation. Raises ValueError for blocks that are not
    square.
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
    """A kernel of antisymmetric gate blocks with diffusion: `R = A - A^T - diffusion * I` for each, A `(gates, H, H)`.

    Source: Chang, Chen, Haber and Chi 2019, "AntisymmetricRNN". Raises ValueError for blocks that are not square.
    """

    diffusion: float = 0.01

    def init(self, key: PRNGKeyArray, kernel: jax.Array, gates: int) -> jax.Array:
        return _square_blocks(kernel, gates, "Antisymmetric") / 2

    def kernel(self, params: jax.Array) -> jax.Array:
        eye = self.diffusion * jnp.eye(params.shape[-1], dtype=params.dtype)
        return _side_by_side(_skew(params) - eye[None])
