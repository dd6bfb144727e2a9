"""The Keras contestants, on JAX: `fit` on padded arrays as in its examples, or on a generator of bucketed batches."""

from collections.abc import Sequence

import jax
import numpy as np

from benchmarks.epochs.contestant import Pass, Problem
from benchmarks.epochs.pipeline import Pipeline
from benchmarks.peers.keras import load_keras
from rnnjax.data import Plan
from rnnjax.interop import to_keras

# Optax adds 1e-8 to the root of Adam's corrected second moment, Keras its epsilon to that of the uncorrected one, which
# is smaller by this root at the first step.
EPSILON = 1e-8 * (1 - 0.999) ** 0.5


class KerasEpochs:
    """The network in Keras, on the default device.

    With padding at the start (`pad_sequences`' default) there is no mask. With padding at the end, `mask_zero` marks
    the end of a text: no word has index 0. The last batch of an epoch is smaller, a shape of its own.
    """

    def __init__(self, problem: Problem, pipeline: Pipeline):
        self._keras = keras = load_keras()
        self.pipeline, self.devices = pipeline, 1
        self.fill: int | None = None
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
        return [self._fit([plan]) for plan in plans]

    def epoch(self) -> Pass:
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
