"""Haiku: `hk.dynamic_unroll` of `hk.LSTM`, time-major as it comes."""

from typing import Any

import haiku as hk
import jax
import numpy as np

from benchmarks.peers.jax_layer import JaxLayer, ready
from benchmarks.peers.peer import Entrant, Problem, TaskName

# Haiku adds this to the forget gate at every step, where rnnjax has it in the bias.
FORGET_BIAS = np.float32(1)
PLACE = "lstm/linear"


def build(problem: Problem, task: TaskName) -> Entrant:
    """An LSTM: one product of inputs and state side by side at each step, gates in the order i, g, f, o."""
    input_size, hidden_size = problem.shape.input, problem.shape.hidden

    def unroll(inputs: jax.Array) -> jax.Array:
        core = hk.LSTM(hidden_size)
        _, state = hk.dynamic_unroll(core, inputs, core.initial_state(inputs.shape[1]))
        return state.hidden

    network = hk.without_apply_rng(hk.transform(unroll))
    own, recurrent = problem.weights["input"], problem.weights["recurrent"]
    i, f, g, o = np.split(own["bias"], 4)
    params = {
        PLACE: {
            "w": swap_gates(np.concatenate([own["kernel"], recurrent["kernel"]])),
            "b": np.concatenate([i, g, f - FORGET_BIAS, o]),
        }
    }

    def to_ours(tree: Any) -> dict[str, Any]:
        kernel, recurrent_kernel = np.split(swap_gates(tree[PLACE]["w"]), [input_size])
        return {
            "input": {"kernel": kernel, "bias": swap_gates(tree[PLACE]["b"])},
            "recurrent": {"kernel": recurrent_kernel},
        }

    return ready(JaxLayer(params, network.apply, time_major=True, to_ours=to_ours), problem, task)


def swap_gates(array: np.ndarray) -> np.ndarray:
    """The blocks i, g, f, o from i, f, g, o, or the other way."""
    first, second, third, last = np.split(array, 4, axis=-1)
    return np.concatenate([first, third, second, last], axis=-1)
