"""Keras on JAX: its layers as pure functions (`stateless_call`), batch-major."""

import os

# Keras picks its backend when it is first imported.
os.environ["KERAS_BACKEND"] = "jax"

import functools
from typing import Any

import jax
import keras

from benchmarks.peers.jax_layer import JaxLayer, ready
from benchmarks.peers.peer import Entrant, Problem, TaskName
from rnnjax import RNN
from rnnjax.interop import from_keras, to_keras

LAYERS: dict[str, Any] = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "gru-reset-before": functools.partial(keras.layers.GRU, reset_after=False),
    "elman": keras.layers.SimpleRNN,
}


def build(problem: Problem, task: TaskName) -> Entrant:
    """`keras.layers.LSTM`, `GRU` with either `reset_after`, or `SimpleRNN`; they give the last output."""
    if keras.backend.backend() != "jax":
        raise RuntimeError(f"expected Keras on JAX, got on {keras.backend.backend()}: it was imported before")
    ours = RNN(problem.cell, problem.shape.hidden)
    layer = LAYERS[problem.name](problem.shape.hidden)
    layer.build(problem.inputs.shape)
    state = [variable.value for variable in layer.non_trainable_variables]

    def last(params: Any, inputs: jax.Array) -> jax.Array:
        return layer.stateless_call(params, state, inputs)[0]

    params = to_keras(ours, {"cell": problem.weights})
    adapted = JaxLayer(params, last, time_major=False, to_ours=lambda arrays: from_keras(ours, arrays)["cell"])
    return ready(adapted, problem, task)
