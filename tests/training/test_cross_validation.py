"""Folds are stratified, and networks that train side by side do not use the folds of each other."""

import functools

import jax
import numpy as np
import optax
import pytest

from rnnjax import GRU, RNN, Scan, SequenceClassifier
from rnnjax.data import Batch
from rnnjax.training import DivergedError
from rnnjax.training.cross_validation import cross_validate, inner_folds, stratified_folds

LABELS = np.array([0] * 23 + [1] * 12)


def test_every_row_is_tested_once_by_a_network_that_has_not_seen_it():
    folds = stratified_folds(LABELS, 5, 0)
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.test for fold in folds])), np.arange(35))
    for fold in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate(fold)), np.arange(35))
        assert len(fold.test) == 7
        assert 2 <= LABELS[fold.test].sum() <= 3


def test_the_seed_deals_the_folds():
    first, again, other = (stratified_folds(LABELS, 5, seed)[0].test for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_inner_folds_hold_none_of_their_folds_test_rows():
    folds = stratified_folds(LABELS, 4, 0)
    for fold, inner in zip(folds, inner_folds(LABELS, folds, 0), strict=True):
        np.testing.assert_array_equal(np.sort(np.concatenate(inner)), fold.train)
        assert LABELS[inner.test].sum() > 0


@pytest.mark.parametrize("folds", [1, 13])
def test_a_number_of_folds_that_cannot_be_dealt_is_an_error(folds):
    with pytest.raises(ValueError, match=f"folds: expected 2 to 12, the rows of the rarest class, got {folds}"):
        stratified_folds(LABELS, folds, 0)


def make_folds(seed=0, folds=2, rows=22):
    """Random words, the first of which is the label, plus 1; the last two rows have no weight."""
    random = np.random.default_rng(seed)
    tokens = random.integers(1, 9, (folds, rows, 4)).astype(np.int32)
    labels = random.integers(0, 2, (folds, rows)).astype(np.int32)
    tokens[..., 0] = labels + 1
    weights = np.ones((folds, rows), np.float32)
    weights[:, -2:] = 0
    return Batch(tokens, np.full((folds, rows), 4, np.int32), labels, weights, np.tile(np.arange(rows), (folds, 1)))


MODEL = SequenceClassifier(9, 6, RNN(GRU(), 6, Scan()), pooling="max")
train = functools.partial(
    cross_validate,
    MODEL,
    optax.adam(0.02),
    batch_size=8,
    seed=0,
)


@pytest.mark.usefixtures("quick_compile")
def test_folds_are_learnt_each_on_its_own_rows():
    part, losses = make_folds(), []
    logits = train(part, make_folds(1), epochs=12, watch=losses.append)
    assert logits.shape == (2, 22)
    assert np.mean((logits > 0) == make_folds(1).targets) > 0.9
    assert len(losses) == 12
    assert losses[-1] < 0.5 * losses[0]
    # The second fold's rows, and those without weight, are nothing to the first fold.
    changed = jax.tree.map(np.array, part)
    changed.targets[1], changed.targets[:, -2:] = 1 - changed.targets[1], 7
    again = train(changed, make_folds(1), epochs=12)
    np.testing.assert_allclose(again[0], logits[0], atol=1e-5)
    assert np.abs(again[1] - logits[1]).max() > 1


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compile")
def test_what_fills_up_a_batch_has_no_weight():
    part = make_folds()
    whole, filled = (train(part, part, epochs=1, batch_size=size) for size in (22, 40))
    np.testing.assert_allclose(filled, whole, atol=1e-6)


@pytest.mark.usefixtures("quick_compile")
def test_a_loss_that_is_no_number_is_an_error():
    part = make_folds()
    part.weights[1, 3] = np.nan
    words = "epoch 1: expected a loss below 6.93, 10 times that of chance, got nan; try a smaller learning rate"
    with pytest.raises(DivergedError, match=words):
        train(part, part, epochs=2)


@pytest.mark.usefixtures("quick_compile")
def test_a_loss_far_above_chance_is_an_error():
    part = make_folds()
    with pytest.raises(DivergedError, match=r"epoch \d: expected a loss below 6.93, 10 times that of chance, got \d"):
        cross_validate(MODEL, optax.adam(1e6), part, part, epochs=20, batch_size=8, seed=0)
