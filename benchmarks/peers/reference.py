"""The numbers that every peer must give: one draw of weights and inputs, and their answers in float64."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.peer import CELLS, CellName, Problem, as_params, as_weights, gradient_answer, last_answer
from benchmarks.work import Shape, compute
from rnnjax import Scan

# Gradients over more steps than this are taken segment by segment, so that their float64 residuals fit in memory;
# the segments are few, since each one is compiled.
SEGMENT = 2000
MOST_SEGMENTS = 8
BIAS_SCALE = 0.1


def draw(cell: CellName, shape: Shape) -> Problem:
    """Random numbers for this work, the same ones each time; no bias is zero, so that each one's place is tested."""

    @jax.jit
    def numbers() -> Any:
        keys = iter(jax.random.split(jax.random.key(0), 5))
        params = CELLS[cell].init_params(next(keys), shape.input, shape.hidden)
        weights = as_weights(params.input._asdict(), params.recurrent._asdict())
        for name, leaf in weights.items():
            if name.endswith("bias"):
                weights[name] = leaf + BIAS_SCALE * jax.random.normal(next(keys), leaf.shape)
        inputs = jax.random.normal(next(keys), (shape.batch, shape.time, shape.input))
        return weights, inputs, jax.random.normal(next(keys), (shape.batch, shape.hidden))

    return Problem(cell, shape, *jax.tree.map(np.asarray, numbers()))


def reference_answers(problem: Problem) -> dict[str, np.ndarray]:
    """The last output and all gradients, by `Scan` in float64."""
    cell, hidden_size = CELLS[problem.cell], problem.shape.hidden
    steps = max(SEGMENT, -(-problem.shape.time // MOST_SEGMENTS))

    @jax.checkpoint
    def segment(params: Any, inputs: jax.Array, state: Any) -> Any:
        return Scan()(cell, params, inputs, state)[1]

    def last(weights: dict[str, jax.Array], inputs: jax.Array) -> jax.Array:
        params = as_params(weights)
        state = cell.init_state(inputs.shape[1], hidden_size, inputs.dtype)
        for start in range(0, inputs.shape[0], steps):
            state = segment(params, inputs[start : start + steps], state)
        return state.hidden

    with jax.enable_x64(True):
        weights = {name: jnp.asarray(array, jnp.float64) for name, array in problem.weights.items()}
        inputs = jnp.asarray(problem.inputs.swapaxes(0, 1), jnp.float64)
        target = jnp.asarray(problem.target, jnp.float64)
        forward, gradient = compute("forward", last), compute("gradient", last)
        both = jax.jit(lambda *arguments: (forward(*arguments), gradient(*arguments)))
        output, (d_weights, d_inputs) = both(weights, inputs, target)
        gradients = gradient_answer(problem, d_weights, np.asarray(d_inputs).swapaxes(0, 1))
        return {**last_answer(output), **gradients}


def deviation(answer: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> float:
    """The largest difference from the reference, relative to the largest number of each array.

    Infinite where an array is not of the reference's shape; NaN where a number is.
    """
    worst = 0.0
    for name, got in answer.items():
        want = reference[name]
        if got.shape != want.shape:
            return float("inf")
        worst = np.maximum(worst, np.abs(got.astype(np.float64) - want).max() / np.abs(want).max())
    return float(worst)
