"""The normal part of the HiPPO-LegS matrix, by its eigenvectors: the start of diagonal state space layers."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.initializers import Initializer, fan_in_normal


@functools.cache
def hippo_normal(half: int) -> tuple[np.ndarray, np.ndarray]:
    """The frequencies `(H,)` and eigenvectors `V (2 H, H)` of the normal matrix A of size 2 H, in float64.

        A[n, k] = -1/2 for n = k, -sqrt((n + 1/2) (k + 1/2)) for n > k, and the opposite for n < k
        A = V diag(-1/2 + i * frequencies) V^* + its complex conjugate

    Source: Gu, Gupta, Goel and Re 2022, "On the Parameterization and Initialization of Diagonal State Space Models".
    """
    root = np.sqrt(np.arange(2 * half) + 0.5)
    lower = np.tril(np.outer(root, root), -1)
    # Hermitian, with eigenvalues in pairs of opposite sign, of which the positive ones come last.
    frequencies, vectors = np.linalg.eigh(-1j * (lower.T - lower))
    return frequencies[half:], vectors[:, half:]


@dataclasses.dataclass(frozen=True)
class IntoHippoBasis:
    """Rows `(..., 2 H)` drawn by `initializer`, multiplied by the conjugate of V: first real, then imaginary parts."""

    initializer: Initializer = dataclasses.field(default=fan_in_normal())

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        _, vectors = hippo_normal(shape[-1] // 2)
        both = np.concatenate([np.real(vectors), -np.imag(vectors)], axis=1)
        drawn = self.initializer(key, shape, jnp.float32)
        return jnp.matmul(drawn, both.astype(np.float32), precision="highest").astype(dtype)
