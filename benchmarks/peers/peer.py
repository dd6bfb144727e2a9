"""The contract of a peer: one layer's work goes in, a call to be timed and the numbers to be checked come out."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from benchmarks.numbers import Answers, draw
from benchmarks.work import Shape
from rnnjax import Cell
from rnnjax.cells.names import cell_by_name
from rnnjax.layers.parameters import as_dicts

TaskName = Literal["train", "inference"]
# An answer's arrays: "last" (B, O), or "weights", a tree as the problem's, and "inputs" (B, T, I).
Answer = dict[str, Any]


class Problem(NamedTuple):
    """A layer's work, float32 NumPy arrays: what every peer computes.

    `weights` are rnnjax's parameters as nested dicts, in its gate order: "input" with kernel (I, G) and bias (G,),
    "recurrent" with kernel (H, G) and, for a GRU, bias (G,), and what else a cell has. Inputs are (B, T, I), the
    target of the last output is (B, O).
    """

    name: str
    cell: Cell
    shape: Shape
    weights: dict[str, Any]
    inputs: np.ndarray
    target: np.ndarray


class Entrant(NamedTuple):
    """A peer that is ready for one task.

    `call` does the task once and returns when it is done, or returns arrays of JAX to be waited for. `answer` is
    what the very function that `call` runs gave at first, as `last_answer` or `gradient_answer`. Seconds of
    compilation include tracing; `temp_bytes` is the temporary memory of the compiled function on all its devices.
    Both are None where nothing is compiled. `own_threads` says that its threads are others than JAX's.
    """

    call: Callable[[], Any]
    answer: Answer
    devices: int = 1
    compile_seconds: float | None = None
    temp_bytes: int | None = None
    own_threads: bool = False


Build = Callable[[Problem, TaskName], Entrant]


def make_problem(name: str, shape: Shape) -> Problem:
    """The work of the cell of that name, on the numbers that every benchmark draws."""
    cell = cell_by_name(name)
    params, inputs, target = draw(cell, shape)
    return Problem(name, cell, shape, as_dicts(params), np.ascontiguousarray(inputs.swapaxes(0, 1)), target)


def last_answer(last: Any) -> Answer:
    """The answer of inference: the last output, (B, O)."""
    return {"last": np.asarray(last)}


def gradient_answer(problem: Problem, weights: Mapping[str, Any], inputs: Any) -> Answer:
    """The answer of a train step: the gradients of the weights, as the problem has them, and of the inputs (B, T, I).

    Of a GRU's second bias only the candidate's part is kept: the gates' parts are numerically those of the first
    bias, and some libraries do not have them.
    """
    arrays = _like(problem.weights, weights)
    if problem.name == "gru":
        arrays["recurrent"]["bias"] = np.split(arrays["recurrent"]["bias"], 3)[2]
    return {"weights": arrays, "inputs": np.asarray(inputs)}


def expected_answer(problem: Problem, answers: Answers) -> Answer:
    """Both answers of the reference."""
    d_params, d_inputs = answers.gradients
    gradients = gradient_answer(problem, as_dicts(d_params), d_inputs.swapaxes(0, 1))
    return {**last_answer(answers.last), **gradients}


def _like(template: Any, tree: Any) -> Any:
    """The arrays of the tree that the template has."""
    if isinstance(template, dict):
        return {name: _like(value, tree[name]) for name, value in template.items()}
    return np.asarray(tree)
