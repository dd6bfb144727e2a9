"""Keras on JAX: its layers as pure functions (`stateless_call`), batch-major."""

import os

# Keras picks its backend when it is first imported.
os.environ["KERAS_BACKEND"] = "jax"

from typing import Any

import jax
import keras

from benchmarks.peers.jax_layer import JaxLayer, ready
from benchmarks.peers.peer import CELLS, Entrant, Problem, TaskName, as_params, as_weights
from rnnjax import RNN
from rnnjax.interop import from_keras, to_keras
from rnnjax.layers.parameters import as_dicts

LAYERS: dict[str, Any] = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "elman": keras.layers.SimpleRNN}


def build(problem: Problem, task: TaskName) -> Entrant:
    """`keras.layers.LSTM`, `GRU(reset_after=True)`, which is its default, or `SimpleRNN`; they give the last output."""
    if keras.backend.backend() != "jax":
        raise RuntimeError(f"expected Keras on JAX, got on {keras.backend.backend()}: it was imported before")
    ours = RNN(CELLS[problem.cell], problem.shape.hidden)
    layer = LAYERS[problem.cell](problem.shape.hidden)
    layer.build(problem.inputs.shape)
    state = [variable.value for variable in layer.non_trainable_variables]

    def last(params: Any, inputs: jax.Array) -> jax.Array:
        return layer.stateless_call(params, state, inputs)[0]

    params = to_keras(ours, {"cell": as_dicts(as_params(problem.weights))})
    return ready(
        JaxLayer(params, last, time_major=False, to_ours=lambda arrays: as_weights(**from_keras(ours, arrays)["cell"])),
        problem,
        task,
    )
