"""The linear models under the network: against brute force, cross-fitted, and as JSON."""

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
from evidence_values import SUM_TOLERANCE, coded, padded
from flax_modules import apply, random_variables

from experiments.sentiment import evidence
from experiments.sentiment.evidence import FOLDS, SCALE, Corrected, Evidence, LinearModels, counted_ratios, folds_of
from rnnjax import GRU, RNN, Scan, SequenceClassifier
from rnnjax.data import Sequences
from rnnjax.training import capacity

pytestmark = pytest.mark.usefixtures("quick_runs", "few_updates")

TOKENS, LONGEST, TEXTS = 7, 2, 40


def random_texts(seed=0):
    random = np.random.default_rng(seed)
    lengths = [0, 1, 2, *random.integers(0, 9, TEXTS - 3)]
    return Sequences.of(random.integers(0, TOKENS, length) for length in lengths)


def random_labels(classes, seed=1):
    return np.random.default_rng(seed).permutation(np.arange(TEXTS) % classes).astype(np.int32)


def fitted(classes, labels=None, fold=None):
    labels = random_labels(classes) if labels is None else labels
    fold = folds_of(labels, 0) if fold is None else fold
    return LinearModels.fit(random_texts(), labels, fold, TOKENS, classes, LONGEST, 2)


@pytest.fixture(scope="module", params=[2, 3], ids=["two classes", "three classes"])
def models(request):
    return request.param, fitted(request.param)


# The linear models


@pytest.mark.parametrize("classes", [2, 3])
def test_log_count_ratios_are_counted_by_hand(classes):
    size, random = 6, np.random.default_rng(3)
    bags = Sequences.of(1 + random.permutation(size - 1)[: random.integers(0, size)] for _ in range(TEXTS))
    labels, rows = random_labels(classes), random.permutation(TEXTS)[:25]
    got = counted_ratios(bags, labels, rows, size, classes)
    positives = [1] if classes == 2 else range(classes)
    want = np.zeros((size, len(positives)))
    for kind, positive in enumerate(positives):
        p = [1 + sum(f in bags[row] for row in rows if labels[row] == positive) for f in range(1, size)]
        q = [1 + sum(f in bags[row] for row in rows if labels[row] != positive) for f in range(1, size)]
        want[1:, kind] = np.log((np.array(p) / sum(p)) / (np.array(q) / sum(q)))
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_the_log_odds_are_the_sum_of_the_evidence_of_the_different_n_grams_and_the_bias(models):
    classes, linear = models
    kinds = 1 if classes == 2 else classes
    assert linear.features == LONGEST * kinds
    texts, numbers = random_texts(5), np.arange(TEXTS) % (FOLDS + 1)
    got = linear.inputs(padded(texts, 10), texts.lengths, numbers)
    want = np.zeros((TEXTS, kinds))
    for row, model in enumerate(numbers):
        text = texts[row].tolist()
        grams = {tuple(text[s : s + n]) for n in range(1, LONGEST + 1) for s in range(len(text) - n + 1)}
        keys = [sum((token + 1) * (TOKENS + 1) ** i for i, token in enumerate(reversed(gram))) for gram in grams]
        found = np.flatnonzero(np.isin(linear.ngrams.keys, keys)) + 1
        want[row] = linear.weights[model, found].astype(float).sum(axis=0) + linear.biases[model]
    assert np.ptp(want) > 0.05
    np.testing.assert_allclose(got.log_odds, want[:, 0] if kinds == 1 else want, atol=SUM_TOLERANCE)
    by_word = got.words.reshape(TEXTS, 10, LONGEST, kinds).sum(axis=(1, 2)) + linear.biases[numbers]
    np.testing.assert_allclose(by_word, want, atol=SUM_TOLERANCE)


def test_the_evidence_of_a_text_depends_on_nothing_beside_it(models):
    _, linear = models
    texts, numbers = random_texts(6), np.full(TEXTS, FOLDS)
    width = int(texts.lengths.max())
    narrow = linear.inputs(padded(texts, width), texts.lengths, numbers)
    noisy = padded(texts, width + 5)
    noisy[np.arange(width + 5) >= texts.lengths[:, None]] = 3  # padding is not read
    wide = linear.inputs(noisy, texts.lengths, numbers)
    np.testing.assert_array_equal(wide.words[:, :width], narrow.words)
    assert not wide.words[:, width:].any()
    assert not narrow.words[0].any()  # the empty text
    np.testing.assert_allclose(wide.log_odds, narrow.log_odds, atol=SUM_TOLERANCE)
    np.testing.assert_array_equal(np.reshape(narrow.log_odds[0], -1), linear.biases[FOLDS])
    for row in (0, 1, 7):
        length = texts.lengths[row]
        alone = linear.inputs(texts[row][None].astype(np.int32), np.array([length]), numbers[:1])
        np.testing.assert_array_equal(alone.words[0], narrow.words[row, :length])


@pytest.mark.parametrize("classes", [2, 3])
def test_the_label_of_a_training_text_does_not_reach_its_own_evidence(classes):
    labels, row = random_labels(classes), 11
    fold = folds_of(labels, 0)
    other = labels.copy()
    other[row] = (labels[row] + 1) % classes
    before, after = fitted(classes, labels, fold), fitted(classes, other, fold)
    np.testing.assert_array_equal(before.weights[fold[row]], after.weights[fold[row]])
    np.testing.assert_array_equal(before.biases[fold[row]], after.biases[fold[row]])
    for model in set(range(FOLDS + 1)) - {fold[row]}:  # which have seen the label
        assert (before.weights[model] != after.weights[model]).any()
        assert (before.biases[model] != after.biases[model]).any()


def test_folds_are_of_equal_size_and_stratified():
    labels = random_labels(3)
    fold = folds_of(labels, 0)
    assert np.ptp(np.bincount(fold, minlength=FOLDS)) <= 1
    for label in range(3):
        assert np.ptp(np.bincount(fold[labels == label], minlength=FOLDS)) <= 1
    assert (folds_of(labels, 1) != fold).any()


def test_the_models_learn(monkeypatch):
    monkeypatch.setattr(evidence, "LEAST_UPDATES", 300)
    random, labels = np.random.default_rng(0), random_labels(2)
    texts = Sequences.of([*random.integers(2, TOKENS, 4), label] for label in labels)  # the last word tells the class
    fold = folds_of(labels, 0)
    linear = LinearModels.fit(texts, labels, fold, TOKENS, 2, LONGEST, 1)
    log_odds = linear.inputs(padded(texts, 5), texts.lengths, fold).log_odds
    np.testing.assert_array_equal(log_odds > 0, labels == 1)


@pytest.mark.parametrize("longest", [1, 3])
def test_texts_without_a_common_n_gram_have_the_bias_alone(longest):
    labels = random_labels(2)
    linear = LinearModels.fit(random_texts(), labels, folds_of(labels, 0), TOKENS, 2, longest, 10**6)
    assert linear.weights.shape == (FOLDS + 1, 1, 1)
    assert not linear.weights.any()
    again = LinearModels.from_json(json.loads(linear.to_json()), TOKENS, 2, longest)
    np.testing.assert_array_equal(again.biases, linear.biases)


def test_too_few_texts_are_refused_and_do_not_run_for_ever():
    for texts in ([], [[1, 2]]):
        labels = np.zeros(len(texts), np.int32)
        message = f"^ngrams: expected training texts in at least two folds, got {len(texts)} texts$"
        with pytest.raises(ValueError, match=message):
            LinearModels.fit(Sequences.of(texts), labels, folds_of(np.array([*labels, 0]), 0)[: len(texts)], 3, 2, 1, 1)


def test_models_beyond_the_memory_or_a_file_are_refused_before_they_are_made(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(capacity, "memory", lambda: 100)
        with pytest.raises(
            ValueError, match=r"^linear models of \d+ n-grams: expected at most 100 bytes, .* got [\d,]+$"
        ):
            fitted(2)
    size = len(fitted(3).to_json())
    monkeypatch.setattr(evidence, "MOST_ARTIFACT", size // 2)
    with pytest.raises(ValueError, match=r"^ngrams: expected linear models of at most [\d,]+ bytes, got ([\d,]+) for"):
        fitted(3)
    monkeypatch.setattr(evidence, "MOST_ARTIFACT", size)
    fitted(3)


# As JSON


def test_json_has_every_bit(models):
    classes, linear = models
    again = LinearModels.from_json(json.loads(linear.to_json()), TOKENS, classes, LONGEST)
    assert dataclasses.astuple(again.ngrams)[1:] == (LONGEST, TOKENS)
    for ours, wanted in zip(
        (again.ngrams.keys, *again[1:]), (linear.ngrams.keys, linear.weights, linear.biases), strict=True
    ):
        assert (ours.dtype, ours.shape) == (wanted.dtype, wanted.shape)
        assert ours.tobytes() == wanted.tobytes()
    assert again.to_json() == linear.to_json()


GOOD = {
    "keys": coded([3, 9], "<i8"),
    "weights": coded(np.zeros((FOLDS + 1, 3, 1)), "<f2"),
    "biases": coded(np.zeros(FOLDS + 1), "<f4"),
}
HOSTILE: dict[str, Any] = {
    "list": ([], "expected an object with keys, weights, biases, got '[]'"),
    "nothing": (None, "expected an object with keys, weights, biases, got 'None'"),
    "missing": ({"keys": ""}, "expected an object with keys, weights, biases, got "),
    "further": ({**GOOD, "x": ""}, "expected an object with keys, weights, biases, got "),
    "number": ({**GOOD, "keys": 7}, "expected keys in base64, got '7'"),
    "null": ({**GOOD, "biases": None}, "expected biases in base64, got 'None'"),
    "deep": ({**GOOD, "weights": [["\n"] * 99]}, "expected weights in base64, got "),
    "letters": ({**GOOD, "keys": "a\nb\x1b"}, r"expected keys in base64, got 'a\nb\x1b'"),
    "ü": ({**GOOD, "keys": "ü" * 10**6}, "expected keys in base64, got 'ü"),
    "bytes": ({**GOOD, "keys": coded([1, 2, 3], "i1")}, "expected keys in base64, got "),
    "descending": ({**GOOD, "keys": coded([9, 3], "<i8")}, "expected ascending keys above 0, got others"),
    "equal": ({**GOOD, "keys": coded([3, 3], "<i8")}, "expected ascending keys above 0, got others"),
    "zero": ({**GOOD, "keys": coded([0, 3], "<i8")}, "expected ascending keys above 0, got others"),
    "negative": ({**GOOD, "keys": coded([-3, 3], "<i8")}, "expected ascending keys above 0, got others"),
    "overflow": (
        {**GOOD, "keys": coded([2**62 + 5, -(2**63)], "<i8")},
        "expected ascending keys above 0, got others",
    ),
    "few": ({**GOOD, "weights": coded([0], "<f2")}, "expected weights of shape (6, 3, 1), got 1 numbers"),
    "none": ({**GOOD, "biases": ""}, "expected biases of shape (6, 1), got 0 numbers"),
    "infinite": ({**GOOD, "biases": coded([np.inf] * 6, "<f4")}, "expected finite biases, got others"),
    "NaN": ({**GOOD, "weights": coded([np.nan] * 18, "<f2")}, "expected finite weights, got others"),
}


def test_what_is_changed_below_is_good():
    assert LinearModels.from_json(GOOD, TOKENS, 2, LONGEST).features == LONGEST


@pytest.mark.parametrize("case", HOSTILE)
def test_a_value_of_another_kind_is_one_line(case):
    value, message = HOSTILE[case]
    with pytest.raises(ValueError, match=f"^evidence: {re.escape(message)}") as caught:
        LinearModels.from_json(value, TOKENS, 2, LONGEST)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


# The network


@pytest.mark.parametrize("kinds", [1, 3])
def test_a_corrected_network_adds_to_the_log_odds_and_reads_the_evidence(kinds):
    classifier = SequenceClassifier(TOKENS, 3, RNN(GRU(), 4, Scan()), logits=kinds, features=2 * kinds, pooling="mean")
    model, random = Corrected(classifier), np.random.default_rng(0)
    tokens, lengths = random.integers(0, TOKENS, (4, 6)).astype(np.int32), np.array([6, 0, 1, 3])
    words = random.normal(size=(4, 6, 2 * kinds)).astype(np.float32)
    log_odds = random.normal(size=(4,) if kinds == 1 else (4, kinds)).astype(np.float32)
    variables = random_variables(model, tokens, lengths)
    got = apply(model, variables, Evidence(tokens, words, log_odds), lengths)
    network = apply(classifier, {"params": variables["params"]["network"]}, tokens, lengths, features=SCALE * words)
    np.testing.assert_allclose(got, log_odds + network, atol=SUM_TOLERANCE)
    without = apply(model, variables, Evidence(tokens, 0 * words, log_odds), lengths)
    assert (np.abs(got - without).reshape(4, -1).max(axis=1) > 1e-3).tolist() == [True, False, True, True]
    with pytest.raises(ValueError, match=rf"features: expected shape \(4, 6, {2 * kinds}\), got None"):
        model.apply(variables, tokens, lengths)
