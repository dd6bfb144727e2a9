"""Haiku: `hk.dynamic_unroll` of `hk.LSTM`, time-major."""

from typing import Any

import haiku as hk
import jax
import numpy as np

from benchmarks.peers.peer import Entrant, JaxLayer, Problem, TaskName, ready

FORGET_BIAS = np.float32(1)  # Haiku adds it to the forget gate at every step; in rnnjax it is part of the bias
PLACE = "lstm/linear"


def build(problem: Problem, task: TaskName) -> Entrant:
    """An LSTM with one product at each step, of inputs and state side by side, and gates in the order i, g, f, o."""

    def unroll(inputs: jax.Array) -> jax.Array:
        core = hk.LSTM(problem.shape.hidden)
        _, state = hk.dynamic_unroll(core, inputs, core.initial_state(inputs.shape[1]))
        return state.hidden

    network = hk.without_apply_rng(hk.transform(unroll))
    own, recurrent = problem.weights["input"], problem.weights["recurrent"]
    i, f, g, o = np.split(own["bias"], 4)
    kernel = swap_gates(np.concatenate([own["kernel"], recurrent["kernel"]]))
    params = {PLACE: {"w": kernel, "b": np.concatenate([i, g, f - FORGET_BIAS, o])}}

    def to_ours(tree: Any) -> dict[str, Any]:
        kernel, recurrent_kernel = np.split(swap_gates(tree[PLACE]["w"]), [problem.shape.input])
        bias = swap_gates(tree[PLACE]["b"])
        return {"input": {"kernel": kernel, "bias": bias}, "recurrent": {"kernel": recurrent_kernel}}

    return ready(JaxLayer(params, network.apply, time_major=True, to_ours=to_ours), problem, task)


def swap_gates(array: np.ndarray) -> np.ndarray:
    """The blocks i, g, f, o from i, f, g, o, or back."""
    first, second, third, last = np.split(array, 4, axis=-1)
    return np.concatenate([first, third, second, last], axis=-1)
