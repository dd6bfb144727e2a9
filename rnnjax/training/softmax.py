"""The cross-entropy of a full softmax over a large vocabulary, without an array of all logits."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.dtypes import at_least_float32
from rnnjax.meshes import vary_alike

# Logits that are there at once, about: they stay in the cache, and matrix products of that size are as fast as any.
# Measured on two CPU cores.
CHUNK_LOGITS = 2**21


def softmax_loss(
    features: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    chunk: int | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The cross-entropy of N targets in nats, and how many are the most probable, both weighted sums.

        loss = sum_n weights[n] * (logsumexp(logits[n]) - logits[n, targets[n]]),  logits = features @ kernel + bias

    from features `(N, F)`, a kernel `(F, V)` and a bias `(V,)`. Logits are made for `chunk` targets at a time, and
    with them, where the loss is to be differentiated, their part of the gradient: nothing of size N V is ever there,
    and nothing is computed twice. Products are of what features and kernel promote to; logits, losses and all sums are
    in the widest dtype given, float32 at least. No gradient flows to the weights. Differentiable any number of times,
    at first in reverse mode. Raises ValueError for a chunk below 1.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected at least 1, got {chunk}")
    number = len(targets)
    size = min(chunk or max(1, CHUNK_LOGITS // len(bias)), max(number, 1))
    chunks = math.ceil(number / size)
    # As few chunks as that takes, all of one size.
    size = math.ceil(number / max(chunks, 1))
    weights = weights.astype(at_least_float32(jnp.result_type(features, kernel, bias, weights)))
    features, targets, weights = (
        jnp.pad(array, [(0, chunks * size - number), *[(0, 0)] * (array.ndim - 1)]).reshape(
            chunks, size, *array.shape[1:]
        )
        for array in (features, targets, weights)
    )
    return _loss(*vary_alike((features, kernel, bias, targets, weights)))


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Dtypes:
    """What the gradients of features, kernel and bias are cast to at their end."""

    of_gradients: tuple[Any, Any, Any]


@jax.custom_vjp
def _loss(
    features: jax.Array, kernel: jax.Array, bias: jax.Array, targets: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array]:
    sums, _ = _over_chunks(False, features, kernel, bias, targets, weights)
    return sums


def _over_chunks(
    differentiate: bool,
    features: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, ...] | None]:
    """The loss and the right answers, and where asked for the loss's gradients, in the wide dtype.

    One loop for both: JAX takes a batch axis that `vmap` adds to be at the same place in the values of both.
    """
    product = jnp.result_type(features, kernel)
    wide = at_least_float32(product)
    transposed = kernel.T

    def chunk(total: Any, xs: Any) -> Any:
        features, targets, weights = xs
        logits = jnp.dot(features, kernel, preferred_element_type=wide) + bias.astype(weights.dtype)
        highest = logits.max(axis=-1, keepdims=True)
        powers = jnp.exp(logits - highest)
        sum_of_powers = powers.sum(axis=-1, keepdims=True)
        own = jnp.take_along_axis(logits, targets[:, None], axis=-1)
        losses = (jnp.log(sum_of_powers) + highest - own)[:, 0]
        sums = (losses * weights).sum(), ((own == highest)[:, 0] * weights).sum()
        if not differentiate:
            return total, (sums, None)
        shares = powers * (weights[:, None] / sum_of_powers)
        is_target = jnp.arange(len(bias)) == targets[:, None]
        d_logits = jnp.where(is_target, shares - weights[:, None], shares)
        d_bias = d_logits.sum(axis=0)
        d_logits = d_logits.astype(product)
        d_kernel = jnp.dot(features.T, d_logits, preferred_element_type=wide)
        d_features = jnp.dot(d_logits, transposed, preferred_element_type=wide)
        return (total[0] + d_kernel, total[1] + d_bias), (sums, d_features)

    zeros: Any = (jnp.zeros_like(kernel, wide), jnp.zeros_like(bias, weights.dtype)) if differentiate else ()
    total, (sums, d_features) = jax.lax.scan(chunk, zeros, (features, targets, weights))
    losses, correct = sums
    return (losses.sum(), correct.sum()), (d_features, *total) if differentiate else None


def _forward(features: jax.Array, kernel: jax.Array, bias: jax.Array, targets: jax.Array, weights: jax.Array) -> Any:
    sums, gradients = _over_chunks(True, features, kernel, bias, targets, weights)
    return sums, (gradients, Dtypes((features.dtype, kernel.dtype, bias.dtype)))


def _backward(saved: Any, cotangents: tuple[jax.Array, jax.Array]) -> tuple[Any, ...]:
    gradients, dtypes = saved
    scale, _ = cotangents
    scaled = [(leaf * scale).astype(dtype) for leaf, dtype in zip(gradients, dtypes.of_gradients, strict=True)]
    return *scaled, None, None


_loss.defvjp(_forward, _backward)
