"""Scores of predicted classes against scikit-learn, and the calibration error against a loop over the rows."""

from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from rnnjax.class_scores import (
    brier_score,
    by_class,
    class_scores,
    confusion_counts,
    log_probabilities,
    macro_f1,
    reliability,
)

metrics: Any = sklearn.metrics  # its annotations leave out values that its documentation has
# The largest error measured is 6e-16.
TOLERANCE = 1e-12


def made(classes, rows=300, seed=0):
    """Log-probabilities, and labels that agree with them more often than not."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(rows, classes))
    labels = np.where(random.random(rows) < 0.6, logits.argmax(axis=1), random.integers(0, classes, rows))
    return log_probabilities(logits), labels


def calibration_by_hand(probabilities, labels, bins):
    """Row by row, as defined."""
    error = 0.0
    for k in range(bins):
        inside = [i for i, row in enumerate(probabilities) if k / bins < max(row) <= (k + 1) / bins]
        hits = sum(int(np.argmax(probabilities[i])) == labels[i] for i in inside)
        error += abs(hits - sum(max(probabilities[i]) for i in inside)) / len(labels)
    return error


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_scores_are_those_of_scikit_learn(classes):
    logs, labels = made(classes)
    probabilities, predicted, every = np.exp(logs), logs.argmax(axis=1), list(range(classes))
    want = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
        "loss": metrics.log_loss(labels, probabilities),
        "brier_score": metrics.brier_score_loss(labels, probabilities, scale_by_half=False, labels=every),
        "calibration_error": calibration_by_hand(probabilities, labels, 15),
    }
    got = class_scores(logs, labels)
    assert got.keys() == want.keys()
    np.testing.assert_allclose(list(got.values()), list(want.values()), rtol=TOLERANCE)
    assert len({round(value, 3) for value in want.values()}) >= 4
    np.testing.assert_array_equal(
        confusion_counts(labels, predicted, classes), metrics.confusion_matrix(labels, predicted)
    )


def test_a_class_without_rows_or_predictions_counts_as_zero():
    labels, predicted = np.array([0, 0, 1, 1, 3, 3, 3]), np.array([0, 1, 1, 1, 4, 0, 4])
    found = by_class(confusion_counts(labels, predicted, 6))
    precision, recall, f1, rows = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(6), zero_division=0
    )
    for got, want in zip(found, (precision, recall, f1, rows), strict=True):
        np.testing.assert_allclose(got, want, rtol=TOLERANCE)
    assert (found.f1[2:] == 0).all()
    assert macro_f1(confusion_counts(labels, predicted, 6)) == pytest.approx(np.mean(f1), rel=TOLERANCE)


def test_the_log_odds_of_two_classes_are_their_logits():
    odds = np.array([-800.0, -30.0, -1e-9, 0.0, 2.5, 800.0])
    logs = log_probabilities(odds)
    np.testing.assert_allclose(logs, log_probabilities(np.stack([odds * 0, odds], axis=1)), rtol=TOLERANCE)
    want = [[-np.log1p(np.exp(z)), -np.log1p(np.exp(-z))] for z in odds[1:-1]]
    np.testing.assert_allclose(logs[1:-1], want, rtol=TOLERANCE, atol=1e-15)
    # Far from 0, where a probability is 0 or 1 in any float.
    np.testing.assert_allclose(logs[[0, -1]], [[0, -800], [-800, 0]])
    assert logs.argmax(axis=1).tolist() == [0, 0, 0, 0, 1, 1]
    assert class_scores(logs, np.array([1, 1, 1, 1, 0, 0]))["loss"] > 250


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_reliability_has_the_rows_confidence_and_accuracy_of_each_bin(bins):
    logs, labels = made(3, seed=1)
    probabilities = np.exp(logs)
    found = reliability(probabilities, labels, bins)
    assert found.rows.sum() == 300
    assert found.error == pytest.approx(calibration_by_hand(probabilities, labels, bins), rel=TOLERANCE)
    for k in range(bins):
        inside = (probabilities.max(axis=1) > k / bins) & (probabilities.max(axis=1) <= (k + 1) / bins)
        assert found.rows[k] == inside.sum()
        if inside.any():
            assert found.confidence[k] == pytest.approx(probabilities.max(axis=1)[inside].mean())
            assert found.accuracy[k] == pytest.approx((probabilities.argmax(axis=1) == labels)[inside].mean())
        else:
            assert np.isnan([found.confidence[k], found.accuracy[k]]).all()
    assert bins < 15 or (found.rows == 0).any()


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]])
    assert reliability(probabilities, np.zeros(3, int), 4).rows.tolist() == [0, 1, 1, 1]


def test_sure_and_right_is_perfect_and_sure_and_wrong_is_the_worst():
    sure = np.eye(3)[[0, 1, 2, 0]]
    for labels, worst in (([0, 1, 2, 0], 0), ([1, 2, 0, 2], 1)):
        assert brier_score(sure, np.array(labels)) == 2 * worst
        assert reliability(sure, np.array(labels)).error == worst


LOGS, LABELS = made(3, 4)
WRONG = {
    "one class": (lambda: log_probabilities(np.zeros((4, 1))), r"logits: expected shape \(N,\), or \(N, C\) of at"),
    "not finite": (lambda: log_probabilities(np.array([0, np.nan])), "logits: expected finite numbers, got others"),
    "no rows": (lambda: class_scores(LOGS[:0], LABELS[:0]), r"labels: expected one for each of .*got \(0,\) for"),
    "fewer labels": (lambda: brier_score(LOGS, LABELS[1:]), r"labels: expected .* got \(3,\) for \(4, 3\)"),
    "label": (lambda: reliability(LOGS, LABELS + 3), "labels: expected classes 0 to 2, got 3 to "),
    "kind": (lambda: class_scores(LOGS, LABELS * 1.0), r"labels: expected integers of shape \(N,\), got float64"),
    "bins": (lambda: reliability(LOGS, LABELS, 0), "bins: expected at least 1, got 0"),
    "predictions": (
        lambda: confusion_counts(LABELS, LABELS[1:], 3),
        r"labels: expected shape \(3,\), that of the predictions, got \(4,\)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_an_error(case):
    wrong, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        wrong()
