"""The chunked cross-entropy against the plain one: value, gradients, and how much memory it takes."""

import functools
from typing import Any

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


# Dtypes of features, kernel, bias and weights; that of the sums; and how far from NumPy's float64, relative to an
# array's largest number, sums, d_features, d_kernel and d_bias may be. A product of half types takes gradients of
# logits rounded to them. Largest errors measured: bfloat16 4.4e-3, float16 4.6e-4, float32 1.5e-7, float64 9e-16.
MIXED = {
    "float32": ("float32", "float32", "float32", "float32", "float32", (1e-6, 1e-6, 1e-6, 1e-6)),
    "float64": ("float64", "float64", "float64", "float64", "float64", (1e-14, 1e-14, 1e-14, 1e-14)),
    "bfloat16": ("bfloat16", "bfloat16", "bfloat16", "float32", "float32", (1e-6, 8e-3, 8e-3, 4e-3)),
    "float16": ("float16", "float16", "float16", "float32", "float32", (1e-6, 1e-3, 1e-3, 5e-4)),
    "bfloat16 features": ("bfloat16", "float32", "float32", "float32", "float32", (1e-6, 4e-3, 1e-6, 1e-6)),
    "bfloat16 kernel": ("float32", "bfloat16", "float32", "float32", "float32", (1e-6, 1e-6, 4e-3, 1e-6)),
    "float32 bias": ("bfloat16", "bfloat16", "float32", "float32", "float32", (1e-6, 8e-3, 8e-3, 1e-6)),
    "float64 bias": ("float32", "float32", "float64", "float32", "float64", (1e-6, 1e-6, 1e-6, 1e-6)),
    "float64 weights": ("float32", "float32", "float32", "float64", "float64", (1e-6, 1e-6, 1e-6, 1e-6)),
    "integer weights": ("bfloat16", "bfloat16", "bfloat16", "int32", "float32", (1e-6, 8e-3, 8e-3, 4e-3)),
}


def by_hand(features, kernel, bias, targets, weights):
    """Loss, right answers and gradients in float64."""
    features, kernel, bias, weights = (np.asarray(leaf, np.float64) for leaf in (features, kernel, bias, weights))
    logits = features @ kernel + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    own = np.arange(len(targets)), np.asarray(targets)
    d_logits = shares * weights[:, None]
    d_logits[own] -= weights
    sums = -(np.log(shares[own]) * weights).sum(), ((logits.argmax(axis=1) == targets) * weights).sum()
    return sums, (d_logits @ kernel.T, features.T @ d_logits, d_logits.sum(axis=0))


def given(dtypes, targets: Any = TARGETS, weights=WEIGHTS):
    arrays = FEATURES, KERNEL, BIAS, 10 * weights
    features, kernel, bias, weights = (jnp.asarray(a, dtype) for a, dtype in zip(arrays, dtypes, strict=True))
    return features, kernel, bias, jnp.asarray(targets), weights


def sums_and_gradients(features, kernel, bias, targets, weights):
    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1, 2), has_aux=True)
    def differentiated(features, kernel, bias):
        sums = softmax_loss(features, kernel, bias, targets, weights, chunk=8)
        return sums[0], sums

    (_, sums), gradients = differentiated(features, kernel, bias)
    return sums, gradients


def assert_relative(got, want, tolerance):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert np.abs(got - want).max() <= tolerance * np.abs(want).max()


@pytest.mark.parametrize("name", MIXED)
def test_sums_are_in_the_widest_dtype_and_gradients_in_their_own(name):
    *dtypes, of_sums, tolerances = MIXED[name]
    with jax.enable_x64("float64" in (*dtypes, of_sums)):
        arguments = given(dtypes)
        sums, gradients = sums_and_gradients(*arguments)
        wanted, slopes = by_hand(*arguments)
        assert [leaf.dtype for leaf in sums] == [jnp.dtype(of_sums)] * 2
        assert [leaf.dtype for leaf in gradients] == [jnp.dtype(dtype) for dtype in dtypes[:3]]
        for got, want in zip(sums, wanted, strict=True):
            assert_relative(got, want, tolerances[0])
        for got, want, tolerance in zip(gradients, slopes, tolerances[1:], strict=True):
            assert_relative(got, want, tolerance)


def test_a_gradient_that_float16_does_not_hold_is_scaled_before_it_is_rounded():
    features, kernel, bias = jnp.full((2000, 1), 100, "float16"), jnp.zeros((1, 2), "float16"), jnp.zeros(2, "float16")
    targets, weights = jnp.zeros(2000, jnp.int32), jnp.ones(2000)

    def mean(features, kernel, bias):
        return softmax_loss(features, kernel, bias, targets, weights)[0] / 2000

    d_features, d_kernel, d_bias = jax.grad(mean, argnums=(0, 1, 2))(features, kernel, bias)
    np.testing.assert_array_equal(d_features, np.zeros((2000, 1)))
    np.testing.assert_allclose(d_kernel, [[-50, 50]], rtol=1e-3)
    np.testing.assert_allclose(d_bias, [-0.5, 0.5], rtol=1e-3)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_targets_of_any_integers(dtype):
    with jax.enable_x64(dtype == "int64"):
        arguments = given(["float32"] * 4, targets=np.asarray(TARGETS).astype(dtype))
        assert arguments[3].dtype == dtype
        sums, gradients = sums_and_gradients(*arguments)
        wanted, slopes = by_hand(*arguments)
        for got, want in zip((*sums, *gradients), (*wanted, *slopes), strict=True):
            assert_relative(got, want, 1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_without_targets_or_weights_everything_is_zero(dtype):
    arguments = given([dtype] * 3 + ["float32"], weights=0 * WEIGHTS)
    none = [leaf[:0] if number in (0, 3, 4) else leaf for number, leaf in enumerate(arguments)]
    for features, kernel, bias, targets, weights in (arguments, none):
        sums, gradients = sums_and_gradients(features, kernel, bias, targets, weights)
        assert [float(leaf) for leaf in sums] == [0, 0]
        assert [leaf.shape for leaf in gradients] == [features.shape, kernel.shape, bias.shape]
        for leaf in gradients:
            assert not np.asarray(leaf, np.float32).any()
