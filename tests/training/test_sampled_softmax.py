"""The softmax over a sample of the words: the sum that it estimates, against all words and against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax import LSTM, RNN, LanguageModel, Scan, StackedRNN
from rnnjax.data import Stream
from rnnjax.models import logits_of
from rnnjax.training import init_params, initial_carry, next_in_stream, sampled_softmax_loss, softmax_loss

WORDS, NUMBER, SAMPLES = 60, 7, 24
RANDOM = np.random.default_rng(0)
FEATURES = jnp.asarray(RANDOM.normal(size=(NUMBER, 5)), jnp.float32)
KERNEL = jnp.asarray(RANDOM.normal(size=(5, WORDS)) / 5, jnp.float32)
BIAS = jnp.asarray(RANDOM.normal(size=WORDS) / 5, jnp.float32)
# Among the frequent half of the samples, outside it, and one twice.
TARGETS = jnp.asarray([0, 3, 58, 58, 11, 40, 25], jnp.int32)
WEIGHTS = jnp.asarray([1.0, 0.5, 2.0, 1.0, 0.0, 1.0, 3.0], jnp.float32)
# float32 against NumPy in float64, relative to the largest number of an array; largest error measured 2e-7.
TOLERANCE = 2e-6


def by_hand(key, samples):
    """The sampled loss and its gradients in float64, with the words drawn one by one."""
    features, kernel, bias, weights = (np.asarray(a, np.float64) for a in (FEATURES, KERNEL, BIAS, WEIGHTS))
    known = sorted({*range(min(samples // 2, samples - NUMBER)), *np.asarray(TARGETS).tolist()})
    rest = [word for word in range(WORDS) if word not in known]
    numbers = np.asarray(jax.random.uniform(key, (WORDS,)))
    drawn = sorted(rest, key=lambda word: -numbers[word])[: samples - len(known)]
    times = np.zeros(WORDS)
    times[known], times[drawn] = 1, len(rest) / max(len(drawn), 1)
    powers = np.exp(features @ kernel + bias) * times
    shares = powers / powers.sum(axis=1, keepdims=True)
    own = np.arange(NUMBER), np.asarray(TARGETS)
    logits = features @ kernel + bias
    loss = (weights * (np.log(powers.sum(axis=1)) - logits[own])).sum()
    slopes = shares * weights[:, None]
    slopes[own] -= weights
    return loss, (slopes @ kernel.T, features.T @ slopes, slopes.sum(axis=0))


def sampled(key, samples=SAMPLES):
    def loss(features, kernel, bias):
        return sampled_softmax_loss(key, samples, features, kernel, bias, TARGETS, WEIGHTS)[0]

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(FEATURES, KERNEL, BIAS)


@pytest.mark.parametrize("samples", [7, 8, 24, 59])
def test_loss_and_gradients_are_those_of_the_sample(samples):
    key = jax.random.key(samples)
    (got, slopes), (want, wanted) = sampled(key, samples), by_hand(key, samples)
    np.testing.assert_allclose(got, want, rtol=TOLERANCE)
    for slope, expected in zip(slopes, wanted, strict=True):
        np.testing.assert_allclose(slope, expected, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize("samples", [WORDS, WORDS + 1])
def test_with_all_words_it_is_the_whole_softmax(samples):
    whole = softmax_loss(FEATURES, KERNEL, BIAS, TARGETS, WEIGHTS)
    np.testing.assert_array_equal(
        sampled_softmax_loss(jax.random.key(0), samples, FEATURES, KERNEL, BIAS, TARGETS, WEIGHTS), whole
    )


def test_the_sum_of_exponentials_has_no_bias_and_the_loss_is_below_the_whole_one():
    one = jnp.eye(NUMBER)  # the losses of the targets one by one
    logits = np.asarray(FEATURES @ KERNEL + BIAS, np.float64)
    own = logits[np.arange(NUMBER), np.asarray(TARGETS)]

    @jax.jit
    def losses(key):
        return jax.vmap(lambda w: sampled_softmax_loss(key, SAMPLES, FEATURES, KERNEL, BIAS, TARGETS, w)[0])(one)

    found = np.asarray(jax.lax.map(losses, jax.random.split(jax.random.key(1), 4000), batch_size=100), np.float64)
    sums, want = np.exp(found + own), np.exp(logits).sum(axis=1)
    error = sums.std(axis=0) / np.sqrt(len(sums))
    assert (error < 0.01 * want).all()
    assert (sums.std(axis=0) > 0.02 * want).all()
    assert (np.abs(sums.mean(axis=0) - want) < 4 * error).all()
    relative = (sums.std(axis=0) / want) ** 2
    np.testing.assert_allclose(found.mean(axis=0), np.log(want) - own - relative / 2, atol=0.01)


def test_every_key_draws_another_sample():
    first, second = (np.asarray(sampled(jax.random.key(seed))[1][1]) != 0 for seed in (1, 2))
    assert first.any(axis=0).sum() == second.any(axis=0).sum() == SAMPLES
    assert (first != second).any()


def test_fewer_samples_than_targets_are_an_error():
    expected = "softmax samples: expected at least the 7 targets of a device, got 6"
    with pytest.raises(ValueError, match=expected):
        sampled(jax.random.key(0), 6)


def test_a_language_model_is_trained_on_samples_and_scored_on_all_words():
    model = LanguageModel(WORDS, 6, StackedRNN([RNN(LSTM(), 6, Scan())]), tied=True)
    params, apply = init_params(model, jax.random.key(0)), logits_of(model)

    def features(*arguments, **options):
        return apply(*arguments, method="features", **options)

    stream = Stream(RANDOM.integers(0, WORDS, 200).astype(np.int32), 4, 5)
    window, carry = next(iter(stream.windows(0))), initial_carry(features, params, 4)
    whole, some = next_in_stream(features), next_in_stream(features, samples=30)

    def losses(objective, key, rows=window.rows):
        return float(objective.carried(params, window._replace(rows=rows), key, carry)[0]["loss"])

    assert losses(some, None) == losses(whole, None)
    trained = [losses(some, jax.random.key(seed)) for seed in (0, 0, 1)]
    assert trained[0] == trained[1] != trained[2]
    # The rows of another device.
    assert losses(some, jax.random.key(0), window.rows + 4) != trained[0]
    np.testing.assert_allclose(trained, losses(whole, jax.random.key(0)), rtol=0.05)
