"""Random decays whose absolute values are uniform over a ring of the complex plane."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from rnnjax.dtypes import at_least_float32


def check_ring(smallest: float, largest: float) -> None:
    """Raises ValueError unless `0 <= r_min < r_max < 1`."""
    if not 0 <= smallest < largest < 1:
        raise ValueError(f"r_min, r_max: expected 0 <= r_min < r_max < 1, got {smallest} and {largest}")


def log_radius(key: PRNGKeyArray, shape: tuple[int, ...], smallest: float, largest: float, dtype: Any) -> jax.Array:
    """`log r` in at least float32; the density of r between r_min and r_max is proportional to r."""
    area = jax.random.uniform(key, shape, at_least_float32(dtype), smallest**2, largest**2)
    return 0.5 * jnp.log(jnp.maximum(area, jnp.finfo(area.dtype).tiny))
