"""The cross-entropy of a full softmax over a large vocabulary, without storing all logits."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.dtypes import at_least_float32
from rnnjax.meshes import vary_alike

# About the number of logits in memory at once: they fit into the cache, and larger matrix products are no faster.
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
    """The weighted sums of the cross-entropy of N targets in nats, and of the targets that are predicted correctly.

        loss = sum_n weights[n] * (logsumexp(logits[n]) - logits[n, targets[n]]),  logits = features @ kernel + bias

    from features `(N, F)`, a kernel `(F, V)` and a bias `(V,)`. Logits are computed for `chunk` targets at a time. If
    the loss is differentiated, the gradient is computed in the same loop: no array of size N x V exists, and nothing is
    computed twice. The matrix products use the promoted dtype of features and kernel; logits, losses and sums use the
    widest dtype of all arguments, float32 at least. No gradient flows to the weights. Differentiable any number of
    times, the first time in reverse mode. Raises ValueError for a chunk below 1.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected at least 1, got {chunk}")
    number = len(targets)
    size = min(chunk or max(1, CHUNK_LOGITS // len(bias)), max(number, 1))
    chunks = math.ceil(number / size)
    # The same number of chunks, but of equal size.
    size = math.ceil(number / max(chunks, 1))
    weights = weights.astype(at_least_float32(jnp.result_type(features, kernel, bias, weights)))
    features, targets, weights = (
        jnp.pad(array, [(0, chunks * size - number), *[(0, 0)] * (array.ndim - 1)]).reshape(
            chunks, size, *array.shape[1:]
        )
        for array in (features, targets, weights)
    )
    return _loss(*vary_alike((features, kernel, bias, targets, weights)))


def sampled_softmax_loss(
    key: jax.Array,
    samples: int,
    features: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """An estimate of `softmax_loss` from `samples` of the V words: cheaper steps for training, not for scores.

        logsumexp(logits) ~ log(sum_{known} exp(logits) + (rest / drawn) * sum_{drawn} exp(logits))

    Always known are all N targets, and the first `min(samples // 2, samples - N)` words, which are the most frequent
    ones in a vocabulary in order of frequency. The others are drawn from the rest without replacement, anew with each
    key. The sum of exponentials has no bias; its logarithm, the loss, is too low by about half the relative variance of
    that sum. The second result counts targets that are the most probable among the samples. With V samples or more:
    exactly `softmax_loss`. Raises ValueError for fewer samples than targets.

    Sources: Bengio and Senecal 2008, "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic
    Language Model"; Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation".
    """
    words, frequent = len(bias), min(samples // 2, samples - len(targets))
    if samples >= words:
        return softmax_loss(features, kernel, bias, targets, weights)
    if frequent < 0:
        raise ValueError(
            f"softmax samples: expected at least the {len(targets):,} targets of a device, got {samples:,}"
        )
    known = (jnp.arange(words) < frequent).at[targets].set(True)
    _, sample = jax.lax.top_k(jnp.where(known, 2.0, jax.random.uniform(key, (words,))), samples)
    number = known.sum()
    share = (words - number) / jnp.maximum(samples - number, 1)
    offsets = jnp.where(known[sample], 0.0, jnp.log(share)).astype(bias.dtype)
    places = jnp.zeros(words, jnp.int32).at[sample].set(jnp.arange(samples, dtype=jnp.int32))
    return softmax_loss(features, kernel.T[sample].T, bias[sample] + offsets, places[targets], weights)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Dtypes:
    """The dtypes to which the gradients of features, kernel and bias are cast."""

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
    """The sums, and with `differentiate` the gradients of the loss, in the wide dtype.

    One function for both cases, because under `vmap` JAX expects the same batch axis in the results of both.
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
