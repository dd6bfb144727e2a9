"""The n-gram baseline against scikit-learn's own pipeline."""

import re

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from rnnjax.baselines import FittedNgrams, WeightedNgrams

WORDS = ["Fine", "dull", "the", "film", "it's", "x_1", "ü", "!", "?", ",", "(", "...", "a-b"]
# Sums of some 30 float64 terms in another order (measured: 2.7e-15).
TOLERANCE = 1e-13


def random_texts(classes, rows, seed):
    """Texts whose classes prefer different words; the first is empty."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    shares = random.dirichlet(np.full(len(WORDS), 0.5), classes)
    texts = [" ".join(random.choice(WORDS, random.integers(0, 9), p=shares[label])) for label in labels]
    return ["", *texts[1:]], labels


def decision(texts, labels, positive, others, longest, least, penalty):
    """The log-odds of one class against all others, as scikit-learn's own pipeline gives them."""
    vectorizer = CountVectorizer(binary=True, ngram_range=(1, longest), min_df=least, token_pattern=r"\w+|[^\w\s]")
    vectorizer.fit(texts)
    counts = vectorizer.transform(texts).toarray().astype(np.float64)
    own = labels == positive
    p, q = 1 + counts[own].sum(axis=0), 1 + counts[~own].sum(axis=0)
    ratio = np.log((p / p.sum()) / (q / q.sum()))
    model = LogisticRegression(C=penalty, solver="liblinear", random_state=0).fit(counts * ratio, own)
    return model.decision_function(vectorizer.transform(others).toarray() * ratio)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("longest", "least", "penalty"), [(3, 3, 0.3), (1, 1, 2.0)])
def test_log_odds_are_those_of_scikit_learn(classes, longest, least, penalty):
    texts, labels = random_texts(classes, 60, seed=classes)
    others = ["", "never seen words", "FINE film\n, dull!", *random_texts(classes, 20, seed=9)[0], "fine fine fine"]
    got = WeightedNgrams(longest, least, penalty).fit(texts, labels).log_odds(others)
    want = [decision(texts, labels, c, others, longest, least, penalty) for c in range(classes)]
    assert np.ptp(want[1]) > 0.5
    np.testing.assert_allclose(got, want[1] if classes == 2 else np.stack(want, axis=1), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("classes", [2, 3])
def test_it_beats_chance_on_other_texts(classes):
    texts, labels = random_texts(classes, 300, seed=4)
    log_odds = WeightedNgrams().fit(texts[:200], labels[:200]).log_odds(texts[200:])
    predicted = log_odds > 0 if classes == 2 else log_odds.argmax(axis=1)
    assert np.mean(predicted == labels[200:]) > 1 / classes + 0.15


def test_shapes_without_texts():
    for biases, shape in (([0.5], (0,)), ([0.5, 1.0, 2.0], (0, 3))):
        fitted = FittedNgrams({}, np.array(biases), 3)
        assert fitted.log_odds([]).shape == shape
        np.testing.assert_array_equal(fitted.log_odds(["a"])[0], biases[0] if len(biases) == 1 else biases)


def test_fewer_texts_than_an_n_gram_must_be_in():
    fitted = WeightedNgrams(longest=1, least=3).fit(["a b", "a c"], [0, 1])
    assert set(fitted.weights) == {"a"}


WRONG = {
    "longest": (lambda: WeightedNgrams(longest=0), "longest, least: expected at least 1, got 0, 3"),
    "least": (lambda: WeightedNgrams(least=0), "longest, least: expected at least 1, got 3, 0"),
    "penalty": (lambda: WeightedNgrams(penalty=0.0), "penalty: expected a number above 0, got 0.0"),
    "nan": (lambda: WeightedNgrams(penalty=float("nan")), "penalty: expected a number above 0, got nan"),
    "one class": (lambda: fit(["a", "a"], [1, 1]), "labels: expected at least two classes, got 1"),
    "gap": (lambda: fit(["a", "a", "a"], [0, 2, 2]), "labels: expected texts of all 3 classes, got 2 of them"),
    "nothing in common": (lambda: fit(["a", "b", "c"], [0, 1, 1]), "texts: expected an n-gram in 3 of them, got none"),
    "no words": (lambda: fit(["", " "], [0, 1]), "texts: expected an n-gram in 2 of them, got none"),
}


def fit(texts, labels):
    return WeightedNgrams().fit(texts, labels)


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_fitted(case):
    action, message = WRONG[case]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        action()
