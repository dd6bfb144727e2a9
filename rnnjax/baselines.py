"""The linear baseline of text classification: logistic regression on word n-grams."""

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnjax.data.splitting import UNSPACED, in_one_form, unescaped
from rnnjax.extras import extra

EXTRA = "baselines"
# Words, single letters of scripts without spaces, and single punctuation marks.
TOKEN = rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]"
# Limit on the words of an n-gram, since a file may be untrusted.
MOST_WORDS = 100


def log_count_ratios(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How much more frequent each of N binary features `(..., N)` is in the texts of a class than in the others.

        p = 1 + own,  q = 1 + others;  ratio = log((p / sum of all p) / (q / sum of all q))

    from the numbers of texts with the feature. Source: Wang and Manning 2012.
    """
    p, q = 1.0 + own, 1.0 + others
    return np.log(p / p.sum(axis=-1, keepdims=True)) - np.log(q / q.sum(axis=-1, keepdims=True))


def _prepared(text: str) -> str:
    return in_one_form(unescaped(text)).lower()


@dataclasses.dataclass(frozen=True)
class WeightedNgrams:
    """Logistic regression on binary word n-grams, each weighted by its naive Bayes log-count ratio.

        p = 1 + number of texts of the class with the n-gram,  q = 1 + number of other texts with it
        ratio    = log((p / sum of all p) / (q / sum of all q))
        log-odds = sum over the different n-grams of a text of (ratio * coefficient) + bias

    The n-grams have 1 to `longest` words, in lower case and without HTML entities, and are in at least `least` training
    texts. `penalty` is the inverse strength C of the L2 penalty. With more than two classes, each has its own ratios
    and regression against the others. Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and
    Topic Classification", who interpolate with a constant weight in place of a penalty. Raises ValueError for values
    out of range.
    """

    longest: int = 3
    least: int = 3
    penalty: float = 0.3

    def __post_init__(self):
        if self.longest < 1 or self.least < 1:
            raise ValueError(f"longest, least: expected at least 1, got {self.longest}, {self.least}")
        if not self.penalty > 0:
            raise ValueError(f"penalty: expected a number above 0, got {self.penalty}")

    def fit(self, texts: Sequence[str], labels: Sequence[int] | np.ndarray) -> "FittedNgrams":
        """Fits the coefficients with scikit-learn's solver liblinear.

        Labels are 0 to C - 1. Raises ModuleNotFoundError without scikit-learn, ValueError for fewer than two classes,
        a class without texts, and if no n-gram is in enough texts.
        """
        with extra(EXTRA, "n-gram baseline"):
            from sklearn.feature_extraction.text import CountVectorizer
            from sklearn.linear_model import LogisticRegression

        labels = np.asarray(labels)
        if (different := len(np.unique(labels))) < 2:
            raise ValueError(f"labels: expected at least two classes, got {different}")
        vectorizer = CountVectorizer(
            binary=True,
            ngram_range=(1, self.longest),
            min_df=min(self.least, len(labels)),
            token_pattern=TOKEN,
            preprocessor=_prepared,
        )
        classes = int(labels.max()) + 1
        if different < classes:
            raise ValueError(f"labels: expected texts of all {classes} classes, got {different} of them")
        try:
            counts: Any = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise ValueError(f"texts: expected an n-gram in {vectorizer.min_df} of them, got none") from error
        weights, biases = [], []
        for positive in range(1, 2) if classes == 2 else range(classes):
            own = labels == positive
            ratio = log_count_ratios(*(np.asarray(counts[rows].sum(axis=0))[0] for rows in (own, ~own)))
            model = LogisticRegression(C=self.penalty, solver="liblinear", random_state=0)
            model.fit(counts.multiply(ratio).tocsr(), own)
            weights.append(ratio * np.asarray(model.coef_)[0])
            biases.append(np.asarray(model.intercept_)[0])
        names = vectorizer.get_feature_names_out()
        return FittedNgrams(dict(zip(names, np.stack(weights, axis=1), strict=True)), np.array(biases), self.longest)


@dataclasses.dataclass(frozen=True)
class FittedNgrams:
    """A fitted `WeightedNgrams`: the weight of each n-gram, `(1,)` for two classes or `(C,)`, and the biases."""

    weights: dict[str, np.ndarray]
    biases: np.ndarray
    longest: int

    def log_odds(self, texts: Sequence[str]) -> np.ndarray:
        """The log-odds `(N,)` of the second of two classes, or of each of C classes `(N, C)`. Needs no scikit-learn."""
        rows = np.stack([self._row(text) for text in texts]) if len(texts) else np.zeros((0, len(self.biases)))
        return rows[:, 0] if rows.shape[1] == 1 else rows

    def _row(self, text: str) -> np.ndarray:
        words = re.findall(TOKEN, _prepared(text))
        found = {
            " ".join(words[start : start + size])
            for size in range(1, self.longest + 1)
            for start in range(len(words) - size + 1)
        }
        return self.biases + sum(self.weights[ngram] for ngram in sorted(found & self.weights.keys()))

    def to_json(self) -> str:
        """The weights as a JSON text."""
        weights = {ngram: row.tolist() for ngram, row in self.weights.items()}
        return json.dumps({"longest": self.longest, "biases": self.biases.tolist(), "weights": weights})

    @classmethod
    def from_json(cls, value: Any, classes: int) -> "FittedNgrams":
        """The classifier of `to_json`. Raises ValueError for a value that is not one of this number of classes."""
        if not isinstance(value, dict) or value.keys() != {"longest", "biases", "weights"}:
            raise ValueError(f"baseline: expected longest, biases and weights, got {str(value)[:60]!r}")
        longest, biases, weights = value["longest"], value["biases"], value["weights"]
        if type(longest) is not int or not 1 <= longest <= MOST_WORDS:
            raise ValueError(f"baseline: expected longest of 1 to {MOST_WORDS}, got {str(longest)[:60]!r}")
        if not isinstance(weights, dict):
            raise ValueError(f"baseline: expected an object of weights, got {str(weights)[:60]!r}")
        size = 1 if classes == 2 else classes
        for name, row in (("biases", biases), *weights.items()):
            if not isinstance(row, list) or len(row) != size or not all(type(item) in (int, float) for item in row):
                raise ValueError(f"baseline: expected {size} numbers for {name[:60]!r}, got {str(row)[:60]!r}")
        return cls({ngram: np.array(row, float) for ngram, row in weights.items()}, np.array(biases, float), longest)
