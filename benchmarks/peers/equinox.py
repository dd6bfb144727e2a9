"""Equinox: its cells, mapped over the batch, under `lax.scan`, time-major."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.peer import Entrant, JaxLayer, Problem, TaskName, ready

EQUINOX_CELLS: dict[str, Any] = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}


def build(problem: Problem, task: TaskName) -> Entrant:
    """`eqx.nn.LSTMCell` or `GRUCell` for one sequence, under `jax.vmap`; gates in our order, kernels (G, I)."""
    shape, own, recurrent = problem.shape, problem.weights["input"], problem.weights["recurrent"]
    cell = EQUINOX_CELLS[problem.name](shape.input, shape.hidden, key=jax.random.key(0))
    arrays = {"weight_ih": own["kernel"].T, "weight_hh": recurrent["kernel"].T, "bias": own["bias"]}
    if problem.name == "gru":
        reset, update, candidate = np.split(recurrent["bias"], 3)
        # The gates have one bias; the candidate has a second one, which the reset gate multiplies.
        arrays["bias"] = own["bias"] + np.concatenate([reset, update, np.zeros_like(candidate)])
        arrays["bias_n"] = candidate
    params = eqx.tree_at(lambda cell: [getattr(cell, name) for name in arrays], cell, list(arrays.values()))

    def last(cell: Any, inputs: jax.Array) -> Any:
        zeros = jnp.zeros((inputs.shape[1], shape.hidden))

        def step(state: Any, inputs: jax.Array) -> tuple[Any, None]:
            return jax.vmap(cell)(inputs, state), None

        state, _ = jax.lax.scan(step, (zeros, zeros) if problem.name == "lstm" else zeros, inputs)
        return state[0] if problem.name == "lstm" else state

    def to_ours(cell: Any) -> dict[str, Any]:
        ours = {"input": {"kernel": cell.weight_ih.T, "bias": cell.bias}, "recurrent": {"kernel": cell.weight_hh.T}}
        if problem.name == "gru":
            ours["recurrent"]["bias"] = np.concatenate([cell.bias[: 2 * shape.hidden], cell.bias_n])
        return ours

    return ready(JaxLayer(params, last, time_major=True, to_ours=to_ours), problem, task)
