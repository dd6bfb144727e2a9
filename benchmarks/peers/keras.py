"""Keras on JAX: its layers as pure functions (`stateless_call`), batch-major."""

import os
from typing import Any

import jax

from benchmarks.peers.peer import Entrant, JaxLayer, Problem, TaskName, ready
from rnnjax import RNN
from rnnjax.extras import extra
from rnnjax.interop import from_keras, to_keras

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "gru": ("GRU", {}),
    "gru-reset-before": ("GRU", {"reset_after": False}),
    "elman": ("SimpleRNN", {}),
}


def load_keras() -> Any:
    """The package. Raises ModuleNotFoundError if it is missing, ImportError if it already has another backend."""
    os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is first imported
    with extra("peers"):
        import keras

    if keras.backend.backend() != "jax":
        raise ImportError(f"expected Keras on JAX, got Keras on {keras.backend.backend()}")
    return keras


def build(problem: Problem, task: TaskName) -> Entrant:
    """`keras.layers.LSTM`, `GRU` with either `reset_after`, or `SimpleRNN`; they return the last output."""
    ours = RNN(problem.cell, problem.shape.hidden)
    name, options = LAYERS[problem.name]
    layer = getattr(load_keras().layers, name)(problem.shape.hidden, **options)
    layer.build(problem.inputs.shape)
    state = [variable.value for variable in layer.non_trainable_variables]

    def last(params: Any, inputs: jax.Array) -> jax.Array:
        return layer.stateless_call(params, state, inputs)[0]

    params = to_keras(ours, {"cell": problem.weights})
    adapted = JaxLayer(params, last, time_major=False, to_ours=lambda arrays: from_keras(ours, arrays)["cell"])
    return ready(adapted, problem, task)
