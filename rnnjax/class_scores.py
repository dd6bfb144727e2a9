"""Scores of predicted classes: accuracy, F1, negative log-likelihood, Brier score and calibration.

The scores are computed in float64. Labels are class indices 0 to C - 1.
"""

from typing import NamedTuple

import numpy as np

# The number of bins of the calibration error in Guo et al. 2017.
BINS = 15


class ByClass(NamedTuple):
    """Precision, recall, F1 and the number of rows, of each class `(C,)`."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    rows: np.ndarray


class Reliability(NamedTuple):
    """The rows, their mean confidence and their accuracy, by bin of confidence `(K,)`; NaN for a bin without rows."""

    rows: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: `sum over bins of rows / N * |accuracy - confidence|`."""
        return float(np.nansum(self.rows * np.abs(self.accuracy - self.confidence)) / self.rows.sum())


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities `(N, C)` of logits `(N, C)`, or of the log-odds `(N,)` of the second of two classes.

    Raises ValueError for another shape, and for logits that are not finite.
    """
    logits = np.asarray(logits, np.float64)
    if logits.ndim == 1:
        logits = np.stack([np.zeros_like(logits), logits], axis=-1)
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(f"logits: expected shape (N,), or (N, C) of at least two classes, got {logits.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("logits: expected finite numbers, got others")
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """The number of rows `(C, C)` of each true class (rows) and predicted class (columns).

    Raises ValueError for labels of another shape, and for classes outside 0 to C - 1.
    """
    labels, predicted = _indices("labels", labels, classes), _indices("predicted", predicted, classes)
    if labels.shape != predicted.shape:
        raise ValueError(f"labels: expected shape {predicted.shape}, that of the predictions, got {labels.shape}")
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def by_class(confusion: np.ndarray) -> ByClass:
    """Precision, recall and F1 of each class, from a confusion matrix `(C, C)` (rows: true classes).

        precision = hits / predicted,  recall = hits / rows,  F1 = 2 hits / (rows + predicted)

    A score whose divisor is 0 is 0, as with `zero_division=0` of scikit-learn: a class without predictions has
    precision 0, one without rows has recall 0, and both have F1 0. Source: van Rijsbergen 1979, "Information
    Retrieval".
    """
    hits, rows, predicted = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    # Where a divisor is 0, the hits are 0 too.
    shares = (hits / np.maximum(predicted, 1), hits / np.maximum(rows, 1), 2 * hits / np.maximum(rows + predicted, 1))
    return ByClass(*shares, rows)


def macro_f1(confusion: np.ndarray) -> float:
    """The mean F1 of all classes of a confusion matrix `(C, C)`, also of those without rows (`by_class`)."""
    return float(by_class(confusion).f1.mean())


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean over rows of `sum over classes of (probability - [class is the label])^2`, from 0 to 2.

    For two classes this is twice the mean squared error of the probability of one of them. Raises ValueError for
    labels that do not fit probabilities `(N, C)`. Source: Brier 1950, "Verification of Forecasts Expressed in Terms of
    Probability".
    """
    labels = _labels(probabilities, labels)
    return float(((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2).sum(axis=1).mean())


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """Confidence and accuracy in bins of equal width; `error` is the expected calibration error.

    The confidence of a row is the probability of its predicted class; bin k of K has the rows with a confidence in
    (k / K, (k + 1) / K]. Raises ValueError for fewer than one bin, and for labels that do not fit probabilities
    `(N, C)`. Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Guo et al.
    2017, "On Calibration of Modern Neural Networks".
    """
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    labels, confidence = _labels(probabilities, labels), probabilities.max(axis=1)
    chosen = np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(chosen, values, bins)

    rows = summed(np.ones_like(confidence))
    counted = np.where(rows > 0, rows, np.nan)
    hits = probabilities.argmax(axis=1) == labels
    return Reliability(rows.astype(int), summed(confidence) / counted, summed(hits) / counted)


def class_scores(logs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The scores of log-probabilities `(N, C)` by name.

    `accuracy`, `macro_f1`, `loss` (the mean negative log-likelihood in nats), `brier_score` and `calibration_error`
    (expected, of 15 bins). The predicted class is the first with the highest probability. Raises ValueError for labels
    that do not fit.
    """
    labels, probabilities = _labels(logs, labels), np.exp(logs)
    confusion = confusion_counts(labels, logs.argmax(axis=1), logs.shape[1])
    return {
        "accuracy": float(np.trace(confusion) / len(labels)),
        "macro_f1": macro_f1(confusion),
        "loss": float(-logs[np.arange(len(labels)), labels].mean()),
        "brier_score": brier_score(probabilities, labels),
        "calibration_error": reliability(probabilities, labels).error,
    }


def _indices(name: str, values: np.ndarray, classes: int) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name}: expected integers of shape (N,), got {values.dtype} of shape {values.shape}")
    if len(values) and not 0 <= values.min() <= values.max() < classes:
        raise ValueError(f"{name}: expected classes 0 to {classes - 1}, got {values.min()} to {values.max()}")
    return values.astype(np.int64)


def _labels(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The labels as integers. Raises ValueError unless there is one for each row `(N, C)`, at least one."""
    if rows.ndim != 2 or not len(rows) or np.shape(labels) != rows.shape[:1]:
        raise ValueError(
            f"labels: expected one for each of the rows (N, C), at least one, got {np.shape(labels)} for {rows.shape}"
        )
    return _indices("labels", labels, rows.shape[1])
