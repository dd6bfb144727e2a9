"""The cross-entropy of a full softmax over a large vocabulary, without an array of all logits."""

import math
from typing import Any

import jax
import jax.numpy as jnp

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
    and nothing is computed twice. No gradient flows to the weights. Raises ValueError for a chunk below 1.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected at least 1, got {chunk}")
    size = min(chunk or max(1, CHUNK_LOGITS // len(bias)), max(len(targets), 1))
    # As few chunks as that takes, all of one size.
    size = math.ceil(len(targets) / max(math.ceil(len(targets) / size), 1)) or 1
    short = -len(targets) % size
    features, targets, weights = (
        jnp.pad(array, [(0, short), *[(0, 0)] * (array.ndim - 1)]).reshape(-1, size, *array.shape[1:])
        for array in (features, targets, weights)
    )
    return _loss(features, kernel, bias, targets, weights)


@jax.custom_vjp
def _loss(
    features: jax.Array, kernel: jax.Array, bias: jax.Array, targets: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array]:
    _, sums = jax.lax.scan(lambda carry, xs: (carry, _sums(kernel, bias, *xs)[:2]), None, (features, targets, weights))
    return tuple(part.sum() for part in sums)


def _sums(kernel: jax.Array, bias: jax.Array, features: jax.Array, targets: jax.Array, weights: jax.Array) -> Any:
    """A chunk's loss, its right answers, and what its gradient is made of."""
    logits = jnp.dot(features, kernel, preferred_element_type=jnp.float32) + bias.astype(jnp.float32)
    highest = logits.max(axis=-1, keepdims=True)
    powers = jnp.exp(logits - highest)
    total = powers.sum(axis=-1, keepdims=True)
    own = jnp.take_along_axis(logits, targets[:, None], axis=-1)
    losses = jnp.log(total) + highest - own
    return (losses[:, 0] * weights).sum(), ((own == highest)[:, 0] * weights).sum(), powers, total


def _forward(features: jax.Array, kernel: jax.Array, bias: jax.Array, targets: jax.Array, weights: jax.Array) -> Any:
    transposed = kernel.T

    def chunk(carry: Any, xs: Any) -> Any:
        features, targets, weights = xs
        loss, correct, powers, total = _sums(kernel, bias, *xs)
        shares = powers * (weights[:, None] / total)
        is_target = jnp.arange(len(bias)) == targets[:, None]
        d_logits = jnp.where(is_target, shares - weights[:, None], shares)
        d_bias = d_logits.sum(axis=0)
        d_logits = d_logits.astype(features.dtype)
        d_kernel = jnp.dot(features.T, d_logits, preferred_element_type=jnp.float32)
        return (carry[0] + d_kernel, carry[1] + d_bias), (loss, correct, d_logits @ transposed)

    zeros = (jnp.zeros_like(kernel, jnp.float32), jnp.zeros_like(bias, jnp.float32))
    (d_kernel, d_bias), (losses, correct, d_features) = jax.lax.scan(chunk, zeros, (features, targets, weights))
    gradients = d_features, d_kernel.astype(kernel.dtype), d_bias.astype(bias.dtype)
    return (losses.sum(), correct.sum()), gradients


def _backward(gradients: Any, cotangents: tuple[jax.Array, jax.Array]) -> tuple[Any, ...]:
    scale, _ = cotangents
    return *jax.tree.map(lambda leaf: (leaf * scale).astype(leaf.dtype), gradients), None, None


_loss.defvjp(_forward, _backward)
