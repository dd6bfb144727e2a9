"""Flax Linen: `nn.RNN` over its own cells, batch-major."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from benchmarks.peers.peer import Entrant, JaxLayer, Problem, TaskName, ready
from rnnjax import RNN
from rnnjax.interop import from_flax, to_flax

# Flax's names of the cells; its optimized cell joins the products of the gates.
CELLS = {"lstm": "LSTMCell", "gru": "GRUCell", "elman": "SimpleCell"}
OPTIMIZED_CELLS = {"lstm": "OptimizedLSTMCell"}


def build(cells: Mapping[str, str], problem: Problem, task: TaskName) -> Entrant:
    """`nn.RNN` of the Flax cell that `cells` names."""
    ours = RNN(problem.cell, problem.shape.hidden)
    module = nn.RNN(getattr(nn, cells[problem.name])(problem.shape.hidden), return_carry=True)

    def last(params: Any, inputs: jax.Array) -> Any:
        carry, _ = module.apply({"params": params}, inputs)
        # The carry of an LSTM is its cell state and its hidden state.
        return carry[1] if problem.name == "lstm" else carry

    params = to_flax(ours, {"cell": problem.weights})
    layer = JaxLayer(params, last, time_major=False, to_ours=lambda tree: from_flax(ours, tree)["cell"])
    return ready(layer, problem, task)
