"""The head of all models: logits from features."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.dtypes import at_least_float32, promoted
from rnnjax.maps import add_bias


class Head(NamedTuple):
    """A linear head: `logits = features @ kernel + bias`."""

    kernel: jax.Array  # (F, V)
    bias: jax.Array  # (V,)

    def logits(self, features: jax.Array) -> jax.Array:
        """The logits `(..., V)` of features `(..., F)`, at least float32: never rounded to the compute dtype."""
        wide = at_least_float32(self.kernel.dtype)
        return add_bias(jnp.dot(features, self.kernel, preferred_element_type=wide), self.bias.astype(wide))


class DenseHead(nn.Module):
    """Declares the parameters of a head: as in `nn.Dense`, but without the kernel if one is given."""

    outputs: int
    dtype: Any = None

    @nn.compact
    def __call__(self, features: jax.Array, kernel: jax.Array | None = None) -> tuple[jax.Array, Head]:
        """The features, and the head with its kernel in the compute dtype."""
        if kernel is None:
            kernel = self.param("kernel", nn.initializers.lecun_normal(), (features.shape[-1], self.outputs))
        dtype = self.dtype or promoted(features, kernel)
        bias = self.param("bias", nn.initializers.zeros, (self.outputs,))
        return features.astype(dtype), Head(kernel.astype(dtype), bias)
