"""The chunked cross-entropy against the plain one: value, gradients, and how much memory it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference import assert_close

from rnnjax.training import softmax_loss

RANDOM = np.random.default_rng(0)
FEATURES = jnp.asarray(RANDOM.normal(size=(23, 5)), jnp.float32)
KERNEL = jnp.asarray(RANDOM.normal(size=(5, 11)), jnp.float32)
BIAS = jnp.asarray(RANDOM.normal(size=11), jnp.float32)
TARGETS = jnp.asarray(RANDOM.integers(0, 11, 23), jnp.int32)
WEIGHTS = jnp.asarray(np.where(np.arange(23) % 5 == 0, 0, RANDOM.random(23)), jnp.float32)


def plain(features, kernel, bias, targets, weights):
    logits = features @ kernel + bias
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return (losses * weights).sum(), ((logits.argmax(axis=-1) == targets) * weights).sum()


def differentiated(function):
    """Value and gradients; the loss's own gradient is 3, not 1."""

    def loss(features, kernel, bias):
        value, correct = function(features, kernel, bias, TARGETS, WEIGHTS)
        return 3 * value, correct

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))(FEATURES, KERNEL, BIAS)


@pytest.mark.parametrize("chunk", [None, 1, 8, 23, 1000])
def test_value_and_gradients_are_the_plain_ones(chunk):
    def chunked(*arguments):
        return softmax_loss(*arguments, chunk=chunk)

    want = plain(FEATURES, KERNEL, BIAS, TARGETS, WEIGHTS)
    assert float(want[1]) > 0
    assert_close(chunked(FEATURES, KERNEL, BIAS, TARGETS, WEIGHTS), want, "values")
    assert_close(differentiated(chunked), differentiated(plain), "gradients")


def test_large_logits_overflow_nothing():
    loss, _ = softmax_loss(1e4 * FEATURES, KERNEL, BIAS, TARGETS, WEIGHTS)
    assert np.isfinite(loss)
    assert float(loss) > 1e4


def test_nothing_of_all_logits_is_ever_there():
    targets, words = 4096, 2000

    def temporary(function):
        arguments = [(targets, 8), (8, words), (words,), (targets,), (targets,)]
        shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in arguments]
        shapes[3] = jax.ShapeDtypeStruct((targets,), jnp.int32)
        gradient = jax.jit(jax.grad(lambda *arguments: function(*arguments)[0], argnums=(0, 1)))
        measured = gradient.lower(*shapes).compile().memory_analysis()
        assert measured is not None
        return measured.temp_size_in_bytes

    logits = targets * words * 4
    assert temporary(plain) > logits
    assert temporary(lambda *arguments: softmax_loss(*arguments, chunk=128)) < logits / 4


def test_a_bad_chunk_is_an_error():
    with pytest.raises(ValueError, match="chunk: expected at least 1, got 0"):
        softmax_loss(FEATURES, KERNEL, BIAS, TARGETS, WEIGHTS, chunk=0)
