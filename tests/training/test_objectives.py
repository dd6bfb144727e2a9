"""Objectives against NumPy, in every dtype of logits; the classifier's is tested with the steps too."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import assert_close

from rnnjax.data import Batch, Window
from rnnjax.training import classification, next_in_stream, next_token, regression

RANDOM = np.random.default_rng(0)
ROWS, STEPS, WORDS = 60, 20, 40
LENGTHS = RANDOM.integers(0, STEPS + 1, ROWS).astype(np.int32)
TOKENS = RANDOM.integers(0, WORDS, (ROWS, STEPS)).astype(np.int32)
WEIGHTS = RANDOM.integers(0, 2, ROWS).astype(np.float32)
# Sums relative to NumPy's in float64. Largest errors measured: 2e-7 and 3e-16.
SUMS_TOLERANCES = {"float32": 1e-6, "float64": 1e-13}


def cross_entropy(logits, labels):
    """Losses, and whether the label is the most probable one."""
    logits = np.asarray(logits, np.float64)
    largest = logits.max(axis=-1, keepdims=True)
    logits = logits - largest - np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(logits, labels[..., None], -1)[..., 0], logits.argmax(axis=-1) == labels


def batch_of(labels, dtype):
    weights: Any = jnp.asarray(WEIGHTS, dtype)
    return Batch(TOKENS, LENGTHS, labels, weights, np.arange(ROWS, dtype=np.int32))


def of_classes(dtype, classes):
    shape = (ROWS,) if classes == 2 else (ROWS, classes)
    labels = (TOKENS[:, 0] % classes).astype(np.int32)
    logits = jnp.asarray(3 * RANDOM.normal(size=shape), dtype)
    sums = classification(lambda params, *_, **__: params, classes)(logits, batch_of(labels, dtype), None)
    both = jnp.stack([jnp.zeros(ROWS, dtype), logits], 1) if classes == 2 else logits
    return sums, *cross_entropy(both, labels), WEIGHTS


def of_next_tokens(dtype):
    logits = jnp.asarray(3 * RANDOM.normal(size=(ROWS, STEPS - 1, WORDS)), dtype)
    sums = next_token(lambda params, *_, **__: (params, None))(logits, batch_of(LENGTHS, dtype), None)
    counted = (np.arange(STEPS - 1) < LENGTHS[:, None] - 1) * WEIGHTS[:, None]
    return sums, *cross_entropy(logits, TOKENS[:, 1:]), counted


def of_a_stream(dtype):
    read, kernel, bias = (
        jnp.asarray(RANDOM.normal(size=size), dtype) for size in ((ROWS, STEPS, 5), (5, WORDS), (WORDS,))
    )

    def features(params, tokens, *_, **__):
        return read[:, : tokens.shape[1]], (kernel, bias), jnp.zeros((ROWS, 2), dtype)

    window = Window(TOKENS, TOKENS, LENGTHS, np.arange(ROWS, dtype=np.int32), np.ones(ROWS, bool), None)
    sums, _ = next_in_stream(features).sums(None, window, None, jnp.zeros((ROWS, 2), dtype))
    logits = np.asarray(read, np.float64) @ np.asarray(kernel, np.float64) + np.asarray(bias, np.float64)
    return sums, *cross_entropy(logits, TOKENS), np.arange(STEPS) < LENGTHS[:, None]


OBJECTIVES = {
    "two classes": lambda dtype: of_classes(dtype, 2),
    "five classes": lambda dtype: of_classes(dtype, 5),
    "next token": of_next_tokens,
    "stream": of_a_stream,
}


@pytest.mark.quick("next token-bfloat16", "five classes-float16", "two classes-float64", "stream-float32")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_losses_and_sums_are_wide_whatever_the_logits_are(objective, dtype):
    with jax.enable_x64(dtype == "float64"):
        sums, losses, correct, counted = OBJECTIVES[objective](dtype)
        wide = "float64" if dtype == "float64" else "float32"
        assert sums["loss"].dtype == wide
        np.testing.assert_allclose(sums["loss"], (losses * counted).sum(), rtol=SUMS_TOLERANCES[wide])
        assert float(sums["weight"]) == counted.sum()
        assert float(sums["accuracy"]) == (correct * counted).sum()


def test_next_token_sums_the_cross_entropy_of_every_word_but_the_first():
    random = np.random.default_rng(0)
    tokens, lengths = random.integers(0, 7, (5, 6)).astype(np.int32), np.array([6, 2, 1, 0, 4], np.int32)
    weights = np.array([1, 1, 1, 1, 0], np.float32)
    logits = random.normal(size=(5, 5, 7)).astype(np.float32)
    seen = {}

    def apply(params, inputs, lengths, **options):
        seen.update(options, inputs=inputs, lengths=lengths)
        return params, None

    batch = Batch(tokens, lengths, np.zeros(5, np.int32), weights, np.arange(5, dtype=np.int32))
    sums = next_token(apply)(logits, batch, None)
    loss, correct, count = 0.0, 0, 0
    for b in range(5):
        for t in range(max(lengths[b] - 1, 0)):
            if weights[b]:
                powers = np.exp(logits[b, t].astype(np.float64))
                loss -= np.log(powers[tokens[b, t + 1]] / powers.sum())
                correct += logits[b, t].argmax() == tokens[b, t + 1]
                count += 1
    assert count == 6
    assert_close(sums["loss"], loss, "values")
    assert (int(sums["weight"]), int(sums["accuracy"]), int(sums["tokens"])) == (count, correct, 9)
    np.testing.assert_array_equal(seen["inputs"], tokens[:, :-1])
    np.testing.assert_array_equal(seen["lengths"], [5, 1, 0, 0, 3])
    assert seen["deterministic"]
    next_token(apply)(logits, batch, jax.random.key(0))
    assert not seen["deterministic"]


def test_errors_of_numbers_are_those_of_the_rows_that_count():
    outputs, targets = (RANDOM.normal(size=(ROWS, 3)).astype(np.float32) for _ in range(2))
    sums = regression(lambda params, *_, **__: params)(jnp.asarray(outputs), batch_of(targets, "float32"), None)
    errors, counted = np.float64(outputs) - targets, WEIGHTS.astype(np.float64)[:, None] / 3
    want = {
        "loss": (errors**2 * counted).sum(),
        "weight": WEIGHTS.sum(),
        "chance": (np.float64(targets) ** 2 * counted).sum(),
        "absolute_error": (np.abs(errors) * counted).sum(),
    }
    assert sums.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_allclose(sums[name], value, rtol=SUMS_TOLERANCES["float32"])


KINDS: dict[str, tuple[int, dict[str, Any], str]] = {
    "three of one logit": (3, {}, r"logits: expected shape \(6, 3\), got \(6,\)"),
    "one class": (1, {}, r"logits: expected shape \(6, 1\), got \(6,\)"),
    "shares": (2, {"targets": np.full(6, 0.5)}, r"targets: expected integers of shape \(6,\), got float64 of shape"),
    "column": (
        2,
        {"targets": np.zeros((6, 1), int)},
        r"targets: expected integers of shape \(6,\), got int64 of shape \(6, 1",
    ),
}


@pytest.mark.parametrize(("classes", "other", "message"), KINDS.values(), ids=KINDS)
def test_logits_and_targets_of_another_kind_are_refused(classes, other, message):
    rows = np.arange(6, dtype=np.int32)
    batch = Batch(TOKENS[:6], LENGTHS[:6], rows % 2, np.ones(6, np.float32), rows)._replace(**other)
    objective = classification(lambda *_, **__: jnp.zeros(6), classes)
    with pytest.raises(ValueError, match=message):
        objective({}, batch, None)
