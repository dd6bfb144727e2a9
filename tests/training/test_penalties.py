"""Regularisation of language models: penalties of the activations, and dropout of whole words."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax import LSTM, RNN, LanguageModel, Scan, StackedRNN
from rnnjax.data import Stream
from rnnjax.dropout import drop_words
from rnnjax.models import logits_of
from rnnjax.training import batch_mesh, eval_step, init_params, initial_carry, next_in_stream, train_step
from rnnjax.training.objective import Objective
from rnnjax.training.optimizers import Optimizer
from rnnjax.training.state import TrainState

VOCABULARY, ROWS, STEPS = 11, 4, 5
# float32 sums of 20 steps of 6 features; the largest relative error measured is 2e-7.
TOLERANCE = 2e-6


def model(**options):
    return LanguageModel(VOCABULARY, 6, StackedRNN([RNN(LSTM(), 6, Scan())]), tied=True, **options)


def features_of(network):
    apply = logits_of(network)
    return lambda *arguments, **options: apply(*arguments, method="features", **options)


def problem(network):
    """Its parameters, and the second window of a stream with the state before it: neither zero nor a whole window."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, 37).astype(np.int32)
    stream = Stream(tokens, ROWS, STEPS)
    params = init_params(network, jax.random.key(1))
    features = features_of(network)
    carry = initial_carry(features, params, ROWS)
    first, second, *_ = stream.windows(0)
    _, carry = next_in_stream(features).carried(params, first, None, carry)
    return params, features, second, carry


@pytest.mark.parametrize(("activation", "temporal"), [(2.0, 0.0), (0.0, 1.0), (0.5, 3.0)])
def test_the_penalty_is_that_of_the_equation(activation, temporal):
    params, features, window, carry = problem(model())
    plain, _ = next_in_stream(features).carried(params, window, jax.random.key(0), carry)
    objective = next_in_stream(features, activation=activation, temporal=temporal)
    sums, _ = objective.carried(params, window, jax.random.key(0), carry)
    read = np.asarray(features(params, window.tokens, window.lengths, carry, window.resets)[0], np.float64)
    expected = 0.0
    for row, length in enumerate(np.asarray(window.lengths)):
        for step in range(length):
            before = read[row, max(step - 1, 0)]
            expected += activation * np.mean(read[row, step] ** 2) + temporal * np.mean((read[row, step] - before) ** 2)
    assert expected > 0.01
    np.testing.assert_allclose(sums["penalty"], expected, rtol=TOLERANCE)
    np.testing.assert_allclose(sums["loss"], plain["loss"] + sums["penalty"], rtol=TOLERANCE)
    means = objective.means(jax.device_get(sums))
    np.testing.assert_allclose(means["perplexity"], math.exp(plain["loss"] / plain["weight"]), rtol=TOLERANCE)
    evaluated, _ = objective.carried(params, window, None, carry)
    assert "penalty" not in evaluated


def test_a_penalty_of_two_devices_is_that_of_one_and_changes_the_update():
    network = model()
    params, features, window, carry = problem(network)
    optimizer = Optimizer(optimizer="sgd", learning_rate=0.1).transformation(3)

    def updated(objective: Objective, devices: int) -> Any:
        step = train_step(objective, optimizer, batch_mesh(devices), donate=False)
        state = step.replicate(TrainState.create(params, optimizer, jax.random.key(0)))
        after, _ = step(state._replace(carry=step.split(carry)), window)
        return jax.device_get(after.params)

    objective = next_in_stream(features, activation=2.0, temporal=1.0)
    one, two, without = updated(objective, 1), updated(objective, 2), updated(next_in_stream(features), 1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), one, two)
    kernel = [np.asarray(tree["embedding"]["embedding"]) for tree in (one, without)]
    assert np.abs(kernel[0] - kernel[1]).max() > 1e-4
    assert eval_step(objective, batch_mesh(1)) is not None


@pytest.mark.parametrize("name", ["activation", "temporal"])
def test_a_penalty_below_zero_is_an_error(name):
    with pytest.raises(ValueError, match=f"{name}: expected a number of at least 0, got -1"):
        next_in_stream(lambda *_: None, **{name: -1.0})  # pyright: ignore[reportArgumentType]


def test_a_dropped_word_is_dropped_wherever_it_occurs():
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, VOCABULARY, (8, 30)))
    embedded = jnp.ones((8, 30, 3)) * (1 + tokens[..., None])
    found = np.asarray(drop_words(lambda: jax.random.key(3), 0.4, embedded, tokens))
    words = {int(word): found[np.asarray(tokens) == word] for word in np.unique(tokens)}
    dropped = {word for word, rows in words.items() if not rows.any()}
    assert 0 < len(dropped) < len(words)
    for word in words.keys() - dropped:
        np.testing.assert_allclose(words[word], (1 + word) / 0.6, rtol=1e-6)
    # A part of a batch drops the same words.
    part = np.asarray(drop_words(lambda: jax.random.key(3), 0.4, embedded[:2], tokens[:2]))
    np.testing.assert_array_equal(part, found[:2])
    one = jnp.ones((1, 1, 1))
    many = [drop_words(lambda seed=seed: jax.random.key(seed), 0.4, one, tokens[:1, :1]) for seed in range(400)]
    assert abs(np.mean(np.asarray(many) > 0) - 0.6) < 0.1  # four standard errors


def test_the_dropouts_of_a_language_model_are_separate():
    base = model()
    variables = base.init(jax.random.key(0), jnp.zeros((1, 1), jnp.int32))
    tokens = jnp.asarray(np.random.default_rng(1).integers(0, VOCABULARY, (3, 7)))

    def logits(**options):
        train = {"deterministic": False, "rngs": {"dropout": jax.random.key(5)}}
        return np.asarray(model(**options).apply(variables, tokens, **train)[0])

    plain = logits()
    found = [
        plain,
        logits(embedding_dropout=0.5),
        logits(input_dropout=0.5),
        logits(dropout=0.5),
        logits(dropout=0.5, input_dropout=0.0),
    ]
    for number, one in enumerate(found):
        for other in found[:number]:
            assert np.abs(one - other).max() > 1e-3
    np.testing.assert_array_equal(logits(dropout=0.5), logits(dropout=0.5, input_dropout=0.5))
    evaluated: Any = model(embedding_dropout=0.5, input_dropout=0.5).apply(variables, tokens)
    np.testing.assert_array_equal(evaluated[0], plain)
    with pytest.raises(ValueError, match=r"embedding_dropout: expected 0 <= rate < 1, got 1"):
        model(embedding_dropout=1.0)
