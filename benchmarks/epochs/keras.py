"""The Keras contestants, on JAX: `fit` on arrays padded as its examples do, or on a generator of bucketed batches."""

import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from benchmarks.epochs.contestant import Pass, Problem
from benchmarks.epochs.pipeline import Pipeline
from rnnjax.data import Plan
from rnnjax.extras import extra
from rnnjax.interop import to_keras

# Optax's Adam adds 1e-8 to the root of the corrected second moment, Keras its own to that of the uncorrected one,
# which is smaller by this root at the first step.
EPSILON = 1e-8 * (1 - 0.999) ** 0.5


def load_keras() -> Any:
    """The package, with JAX as its backend. Raises ModuleNotFoundError, which says what to install."""
    os.environ["KERAS_BACKEND"] = "jax"  # read once, when it is first imported
    with extra("peers"):
        import keras

    if keras.backend.backend() != "jax":
        raise ModuleNotFoundError(f"expected Keras on JAX, got Keras on {keras.backend.backend()}")
    return keras


class KerasEpochs:
    """The problem's network in Keras, on the default device.

    Padded at the start (`pad_sequences`' default), there is no mask; padded at the end, `mask_zero` says where a
    text ends: no word has index 0. The last rows of an epoch are a smaller batch, and so a shape of their own.
    """

    def __init__(self, problem: Problem, pipeline: Pipeline):
        self._keras = keras = load_keras()
        self.pipeline, self.devices, self.fill = pipeline, 1, None
        ours = problem.model
        self._longest = max(plan.width for plan in pipeline.plans())
        self._model = keras.Sequential(
            [
                keras.Input((None,), dtype="int32"),
                keras.layers.Embedding(ours.vocabulary_size, ours.embedding_size, mask_zero=pipeline.pad == "end"),
                keras.layers.LSTM(problem.layer.hidden_size),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        optimizer = keras.optimizers.Adam(problem.learning_rate, epsilon=EPSILON)
        self._model.compile(optimizer, loss="binary_crossentropy", metrics=["accuracy"])
        self._model.set_weights(to_keras(ours, problem.params))

    def losses(self, plans: Sequence[Plan]) -> list[float]:
        """As `Contestant.losses`."""
        return [self._fit([plan]) for plan in plans]

    def epoch(self) -> Pass:
        """As `Contestant.epoch`."""
        return Pass(self._fit(self.pipeline.plans()))

    def _fit(self, plans: Sequence[Plan]) -> float:
        """`fit` on the rows of the plans: the mean loss."""
        if self.pipeline.pad == "end":
            batches = ((batch.inputs, batch.targets) for batch in self.pipeline.batches(plans))
            history = self._model.fit(batches, steps_per_epoch=len(plans), shuffle=False, verbose=0)
        else:
            sequences, labels, _ = self.pipeline.texts
            rows = np.concatenate([plan.rows for plan in plans])
            tokens = self._keras.utils.pad_sequences([sequences[row] for row in rows], maxlen=self._longest)
            history = self._model.fit(tokens, labels[rows], batch_size=self.pipeline.batch_size, verbose=0)
        jax.block_until_ready([variable.value for variable in self._model.variables])
        return float(history.history["loss"][0])
