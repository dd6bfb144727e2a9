"""Flax Linen: `nn.RNN` over its own cells, batch-major."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from benchmarks.peers.jax_layer import JaxLayer, ready
from benchmarks.peers.peer import Entrant, Problem, TaskName
from rnnjax import RNN
from rnnjax.interop import from_flax, to_flax

FLAX_CELLS: dict[str, Callable[..., nn.RNNCellBase]] = {
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "elman": nn.SimpleCell,
}


def build(problem: Problem, task: TaskName) -> Entrant:
    """`nn.RNN` of LSTMCell, GRUCell or SimpleCell."""
    return ready(_layer(problem, FLAX_CELLS[problem.name]), problem, task)


def build_optimized(problem: Problem, task: TaskName) -> Entrant:
    """`nn.RNN` of OptimizedLSTMCell, which joins the gates' products."""
    return ready(_layer(problem, nn.OptimizedLSTMCell), problem, task)


def _layer(problem: Problem, cell: Callable[..., nn.RNNCellBase]) -> JaxLayer:
    ours = RNN(problem.cell, problem.shape.hidden)
    module = nn.RNN(cell(problem.shape.hidden), return_carry=True)

    def last(params: Any, inputs: jax.Array) -> Any:
        carry, _ = module.apply({"params": params}, inputs)
        return carry[1] if problem.name == "lstm" else carry

    params = to_flax(ours, {"cell": problem.weights})
    return JaxLayer(params, last, time_major=False, to_ours=lambda tree: from_flax(ours, tree)["cell"])
