"""The verdict after each word is what the classifier says of the text up to it, scored alone."""

import functools

import jax
import numpy as np
import pytest
from flax_modules import random_variables
from reference import assert_close

from rnnjax import GRU, RNN, Bidirectional, Scan, SequenceClassifier
from rnnjax.analysis import verdict_trace
from rnnjax.data import Plan, Sequences, collate

pytestmark = pytest.mark.usefixtures("quick_compile")

TOKENS = np.random.default_rng(0).integers(0, 9, 7).astype(np.int32)
LAYER = RNN(GRU(), 4, Scan())
MODELS = {
    "one way": SequenceClassifier(9, 5, LAYER),
    "both ways": SequenceClassifier(9, 5, Bidirectional(LAYER, LAYER.clone()), pooling="max"),
    "three classes": SequenceClassifier(9, 5, LAYER, logits=3, pooling="mean"),
}


def logits_of(model):
    variables = random_variables(model, TOKENS[None])
    return jax.jit(functools.partial(model.apply, variables))


def softmax(logits):
    logits = np.asarray(logits, np.float64)
    pair = logits if logits.ndim > 1 else np.stack([np.zeros_like(logits), logits], axis=-1)
    return np.exp(pair) / np.exp(pair).sum(axis=-1, keepdims=True)


@pytest.mark.quick("one way")
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_each_verdict_is_that_of_the_prefix_alone(model):
    logits = logits_of(model)
    alone = [softmax(logits(TOKENS[None, :end], np.array([end])))[0] for end in range(1, 8)]
    assert_close(verdict_trace(logits, TOKENS), np.stack(alone), "values")


@pytest.mark.parametrize("cut", ["start", "end"])
@pytest.mark.parametrize("pad", ["start", "end"])
def test_prefixes_are_cut_and_padded_as_the_classifiers_texts_are(cut, pad):
    logits = logits_of(MODELS["one way"])
    prefixes = Sequences.of(TOKENS[:end] for end in range(1, 8)).truncated(3, cut)
    batch = collate(prefixes, np.zeros(7, np.int32), Plan(np.arange(7), 3), 7, pad)
    want = softmax(logits(batch.inputs, batch.lengths))
    got = verdict_trace(logits, TOKENS, longest=3, cut=cut, pad=pad)
    assert_close(got, want, "values")
    whole = verdict_trace(logits, TOKENS)
    assert np.abs(got - whole).max() > 1e-3


def test_more_words_than_a_batch_of_prefixes(monkeypatch):
    logits = logits_of(MODELS["both ways"])
    whole = verdict_trace(logits, TOKENS)
    monkeypatch.setattr("rnnjax.analysis.verdicts.BATCH", 3)
    assert_close(verdict_trace(logits, TOKENS), whole, "values")


def test_no_word_has_no_verdict_and_two_sequences_are_an_error():
    logits = logits_of(MODELS["three classes"])
    assert verdict_trace(logits, TOKENS[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match=r"tokens: expected one sequence, shape \(T,\), got \(1, 7\)"):
        verdict_trace(logits, TOKENS[None])
