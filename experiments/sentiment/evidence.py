"""The evidence of each word: what the n-grams that end at it add to the log-odds of a linear model.

The linear model is a logistic regression on the different n-grams of a text, each weighted by its naive Bayes log-count
ratio (Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification"):

    ratio    = log((p / sum of all p) / (q / sum of all q))
    evidence = ratio * coefficient
    log-odds = sum of the evidence of a text + bias

with p = 1 + the number of texts of the class with the n-gram, q = 1 + the number of other texts with it. The network
reads the evidence of each word beside its embedding, and corrects the log-odds. Ratios and coefficients that have seen
the label of a text would give it away, so the evidence of a training text is from a model of the other folds
(cross-fitting).
"""

import base64
import itertools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax import SequenceClassifier
from rnnjax.baselines import log_count_ratios
from rnnjax.data import Batch, Sequences, bucket_widths, collate, plan_epoch
from rnnjax.data.ngrams import NgramVocabulary
from rnnjax.runs import RunFolder
from rnnjax.runs.folder import MOST_ARTIFACT
from rnnjax.training import TrainState, classification
from rnnjax.training.capacity import check_capacity
from rnnjax.training.cross_validation import deal
from rnnjax.training.update import update_of

EVIDENCE = "evidence.json"
FOLDS = 5
# Chosen on the hold-outs of three seeds; the shape of a batch is compiled once for each of the widths.
EPOCHS, LEAST_UPDATES, BATCH_SIZE, LEARNING_RATE, WIDTHS = 3, 1000, 64, 3e-3, 4
# The evidence of one word is about 0.1; as an input of the network it is scaled to about 1.
SCALE = 10.0


class Evidence(NamedTuple):
    """The inputs of a network: tokens, the evidence of each, and the log-odds of the linear model.

    With K = 1 for two classes, else C, and n-grams of up to n words.
    """

    tokens: Any  # (B, T) int32
    words: Any  # (B, T, n * K) float32
    log_odds: Any  # (B,) for two classes, else (B, C) float32


class Corrected(nn.Module):
    """A network that reads the evidence of each word, and corrects the log-odds of the linear model.

    logits = log-odds + network(tokens, evidence)
    """

    network: SequenceClassifier

    def __call__(self, inputs: Any, lengths: jax.Array | None = None, **options: Any) -> jax.Array:
        """Logits as those of `SequenceClassifier`, from `Evidence`; from tokens alone only to initialize."""
        if not isinstance(inputs, Evidence):
            return self.network(inputs, lengths, **options)
        return inputs.log_odds + self.network(inputs.tokens, lengths, features=SCALE * inputs.words, **options)


class LinearModels(NamedTuple):
    """The linear model of each fold's other texts, and of all training texts (the last)."""

    ngrams: NgramVocabulary
    weights: np.ndarray  # (FOLDS + 1, N + 1, K) float16; index 0 has weight 0
    biases: np.ndarray  # (FOLDS + 1, K) float32

    @classmethod
    def fit(
        cls, read: Sequences, labels: np.ndarray, fold: np.ndarray, tokens: int, classes: int, longest: int, least: int
    ) -> "LinearModels":
        """The models of training texts in these folds.

        Raises ValueError if a fold has all texts, or the models exceed a file of a run, and as `NgramVocabulary.learn`.
        """
        if len(np.unique(fold)) < 2:
            raise ValueError(f"ngrams: expected training texts in at least two folds, got {len(read)} texts")
        ngrams = NgramVocabulary.learn(read, tokens, longest, least)
        size = _json_size(len(ngrams.keys), kinds_of(classes))
        if size > MOST_ARTIFACT:
            raise ValueError(
                f"ngrams: expected linear models of at most {MOST_ARTIFACT:,} bytes, got {size:,} for "
                f"{len(ngrams.keys):,} n-grams; raise ngram_texts"
            )
        encoded = (ngrams.encode(read[n]) for n in range(len(read)))
        bags = Sequences.of(indices[indices > 0] for indices in encoded)
        return cls(ngrams, *fit_linear(bags, labels, fold, len(ngrams.keys) + 1, classes))

    @property
    def features(self) -> int:
        """The number of features of the evidence of a word."""
        return self.ngrams.longest * self.weights.shape[-1]

    def inputs(self, tokens: np.ndarray, lengths: np.ndarray, models: np.ndarray) -> Evidence:
        """The inputs for tokens `(B, T)` padded at the end, with the number of the model for each row."""
        (rows, steps), (_, _, kinds) = tokens.shape, self.weights.shape
        words = np.zeros((rows, steps, self.ngrams.longest, kinds), np.float32)
        for row, (length, model) in enumerate(zip(lengths, models, strict=True)):
            words[row, :length] = self.weights[model][self.ngrams.encode(tokens[row, :length])]
        log_odds = words.sum(axis=(1, 2)) + self.biases[models]
        return Evidence(tokens, words.reshape(rows, steps, self.features), log_odds[:, 0] if kinds == 1 else log_odds)

    def to_json(self) -> str:
        """The models as a JSON text; the arrays are base64 of little-endian bytes."""
        arrays = {"keys": self.ngrams.keys, "weights": self.weights, "biases": self.biases}
        return json.dumps(
            {name: base64.b64encode(array.astype(KINDS[name]).tobytes()).decode() for name, array in arrays.items()}
        )

    @classmethod
    def from_json(cls, value: Any, tokens: int, classes: int, longest: int) -> "LinearModels":
        """The models of `to_json`. Raises ValueError for a value that is not of this kind and size."""
        if not isinstance(value, dict) or value.keys() != KINDS.keys():
            raise ValueError(f"evidence: expected an object with {', '.join(KINDS)}, got {str(value)[:60]!r}")
        arrays = {name: _array(name, value[name]) for name in KINDS}
        keys, kinds = arrays["keys"], kinds_of(classes)
        # 0 is no n-gram. A difference could overflow.
        if not ((keys > 0).all() and (keys[1:] > keys[:-1]).all()):
            raise ValueError("evidence: expected ascending keys above 0, got others")
        shapes = {"weights": (FOLDS + 1, len(keys) + 1, kinds), "biases": (FOLDS + 1, kinds)}
        for name, shape in shapes.items():
            if arrays[name].size != np.prod(shape):
                raise ValueError(f"evidence: expected {name} of shape {shape}, got {arrays[name].size:,} numbers")
            if not np.isfinite(arrays[name]).all():
                raise ValueError(f"evidence: expected finite {name}, got others")
        weights, biases = (arrays[name].reshape(shape) for name, shape in shapes.items())
        return cls(NgramVocabulary(keys, longest, tokens), weights, biases)


KINDS = {"keys": "<i8", "weights": "<f2", "biases": "<f4"}


def _json_size(ngrams: int, kinds: int) -> int:
    """About the bytes of the JSON text of the models of so many n-grams: base64 has 4 characters for 3 bytes."""
    return 4 * (8 * ngrams + 2 * (FOLDS + 1) * (ngrams + 1) * kinds) // 3


def _array(name: str, text: Any) -> np.ndarray:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), KINDS[name])
    except (TypeError, ValueError) as error:
        raise ValueError(f"evidence: expected {name} in base64, got {str(text)[:60]!r}") from error


def load_models(folder: RunFolder, sizes: tuple[int, int, int]) -> LinearModels:
    """The linear models of a run; `sizes` as in `from_json`. Raises as `artifact`, and ValueError as `from_json`."""
    value = folder.artifact(EVIDENCE)
    try:
        return LinearModels.from_json(value, *sizes)
    except ValueError as error:
        raise ValueError(f"{folder.path / EVIDENCE}: {error}") from error


def kinds_of(classes: int) -> int:
    """The number of log-odds of a linear model: one for two classes, else one for each."""
    return 1 if classes == 2 else classes


def folds_of(labels: np.ndarray, seed: int) -> np.ndarray:
    """The fold `(N,)` of each training text, which is also the number of the model that has not seen it."""
    return deal(labels, FOLDS, seed)


def counted_ratios(bags: Sequences, labels: np.ndarray, rows: np.ndarray, size: int, classes: int) -> np.ndarray:
    """The log-count ratio `(size, K)` of each feature in the texts `rows`; 0 for the feature 0, which is padding."""
    counts = np.zeros((classes, size))
    for row in rows:
        counts[labels[row], bags[row]] += 1
    own = counts[1:] if classes == 2 else counts
    ratios = log_count_ratios(own[:, 1:], (counts.sum(axis=0) - own)[:, 1:])
    return np.pad(ratios, ((0, 0), (1, 0))).T


def fit_linear(
    bags: Sequences, labels: np.ndarray, fold: np.ndarray, size: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """The weights `(FOLDS + 1, size, K)` and biases `(FOLDS + 1, K)` of the linear models, by Adam."""
    kinds, widths = kinds_of(classes), bucket_widths(bags.lengths, WIDTHS)
    check_capacity(f"linear models of {size - 1:,} n-grams", 2 * (FOLDS + 1) * size * kinds)
    updates = max(EPOCHS * -(-len(labels) // BATCH_SIZE), LEAST_UPDATES)

    def apply(params: Any, inputs: tuple[jax.Array, jax.Array], lengths: jax.Array, **options: Any) -> jax.Array:
        features, ratios = inputs
        logits = (ratios[features] * params["coefficients"][features]).sum(axis=1) + params["biases"]
        return logits[:, 0] if kinds == 1 else logits

    def batches(rows: np.ndarray) -> Iterator[Batch]:
        chosen = Sequences(bags.tokens, bags.starts[rows], bags.ends[rows])
        for epoch in itertools.count():
            for plan in plan_epoch(chosen.lengths, BATCH_SIZE, widths, 0, epoch):
                yield collate(chosen, labels[rows], plan, BATCH_SIZE)

    optimizer = optax.adam(optax.linear_schedule(LEARNING_RATE, 0.0, updates))
    update = jax.jit(update_of(classification(apply, classes), optimizer), donate_argnums=0)
    weights, biases = np.zeros((FOLDS + 1, size, kinds), np.float16), np.zeros((FOLDS + 1, kinds), np.float32)
    for model in range(FOLDS + 1):
        rows = np.flatnonzero(fold != model)
        ratios = jnp.asarray(counted_ratios(bags, labels, rows, size, classes), jnp.float32)
        params = {"coefficients": jnp.zeros((size, kinds)), "biases": jnp.zeros(kinds)}
        state = TrainState.create(params, optimizer, jax.random.key(0))
        for batch in itertools.islice(batches(rows), updates):
            state, _ = update(state, batch._replace(inputs=(batch.inputs, ratios)))
        weights[model] = ratios * state.params["coefficients"]
        biases[model] = state.params["biases"]
    return weights, biases
