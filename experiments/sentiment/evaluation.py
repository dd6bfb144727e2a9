"""What is said of predictions of known classes: functions of log-probabilities and labels, of one run or of several."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnjax.analysis import reliability_figure
from rnnjax.class_scores import by_class, class_scores, confusion_counts, reliability
from rnnjax.files import save_figure
from rnnjax.runs.report import confusion_table, table

HEADERS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "loss": "loss",
    "brier_score": "Brier score",
    "calibration_error": "calibration error",
}


def score_tables(logs: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> str:
    """The scores of log-probabilities `(N, C)`, those of each class if there are more than two, and the confusion."""
    scores = class_scores(logs, labels)
    tables = [table(tuple(HEADERS.values()), [[f"{scores[name]:.4f}" for name in HEADERS]])]
    confusion = confusion_counts(labels, logs.argmax(axis=1), len(classes))
    if len(classes) > 2:
        rows = [
            (name, *(f"{share:.4f}" for share in shares), f"{count:,}")
            for name, *shares, count in zip(classes, *by_class(confusion), strict=True)
        ]
        tables.append(table(("class", "precision", "recall", "F1", "rows"), rows))
    return "\n\n".join([*tables, confusion_table(confusion, classes)])


def draw_scores(logs: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Writes the reliability figure of log-probabilities `(N, C)` into a folder."""
    found = reliability(np.exp(logs), labels)
    save_figure(folder / "reliability.png", lambda: reliability_figure(found))


def mistakes(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The rows whose predicted class is wrong, the most confident first."""
    wrong = np.flatnonzero(logs.argmax(axis=1) != labels)
    return wrong[np.argsort(-logs[wrong].max(axis=1), kind="stable")]
