"""A task that a small network learns in a second: which of two words begins the sentence."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax import LSTM, RNN, Chunked, SequenceClassifier
from rnnjax.data import Batch
from rnnjax.training import TrainState, classification

VOCABULARY, ROWS, WIDTH = 12, 6, 6


def make_model(**options):
    """A small classifier with dropout in both places; compiling it is what most of these tests cost."""
    options = {"pooling": "max", "input_dropout": 0.3, "dropout": 0.3, **options}
    return SequenceClassifier(VOCABULARY, 4, RNN(LSTM(), 8, Chunked(3)), **options)


def apply(model, params, *args, **options) -> jax.Array:
    return model.apply({"params": params}, *args, **options)


def make_objective(model, classes=2):
    return classification(functools.partial(apply, model), classes)


def make_params(model, seed=0):
    return model.init(jax.random.key(seed), jnp.zeros((1, 2), jnp.int32))["params"]


def make_batch(seed=0, rows=ROWS, width=WIDTH, filled=0, classes=2):
    """Random words of ragged lengths, 1 and the width among them; the first word is the label, plus 2."""
    random = np.random.default_rng(seed)
    tokens = random.integers(2, VOCABULARY, (rows + filled, width)).astype(np.int32)
    labels = random.integers(0, classes, rows + filled).astype(np.int32)
    tokens[:, 0] = 2 + labels
    lengths = random.integers(1, width + 1, rows + filled).astype(np.int32)
    lengths[:2] = width, 1
    weights = (np.arange(rows + filled) < rows).astype(np.float32)
    return Batch(tokens, lengths, labels, weights, np.arange(rows + filled, dtype=np.int32))


def make_state(model, optimizer, step, seed=0):
    """A state on the devices of a compiled step."""
    return step.replicate(TrainState.create(make_params(model, seed), optimizer, jax.random.key(seed + 1)))
