"""A baseline: logistic regression on word counts."""

import importlib.util
from collections.abc import Sequence

import numpy as np

from rnnjax.extras import extra
from rnnjax.training.cross_validation import Fold

EXTRA = "baselines"


def installed() -> bool:
    """Whether scikit-learn is installed, which only this baseline needs."""
    return importlib.util.find_spec("sklearn") is not None


def bag_of_words(texts: Sequence[str], labels: np.ndarray, folds: Sequence[Fold]) -> list[np.ndarray]:
    """The logits of each fold on its test rows, from scikit-learn with its default options.

    Raises ModuleNotFoundError without scikit-learn.
    """
    with extra(EXTRA, "bag of words"):
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

    texts, logits = list(texts), []
    for fold in folds:
        model = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000))
        model.fit([texts[row] for row in fold.train], labels[fold.train])
        logits.append(model.decision_function([texts[row] for row in fold.test]))
    return logits
