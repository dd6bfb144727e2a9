"""The interface of a peer: from a problem and a task to a call that is timed and an answer that is checked."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from benchmarks.numbers import Answers, draw
from benchmarks.work import Shape, Task
from rnnjax import Cell
from rnnjax.cells.names import cell_by_name
from rnnjax.layers.parameters import as_dicts

TaskName = Literal["train", "inference"]
WORK: dict[TaskName, Task] = {"train": "train", "inference": "forward"}
# The arrays of an answer: "last" (B, O), or "weights", a tree like that of the problem, and "inputs" (B, T, I).
Answer = dict[str, Any]


class Problem(NamedTuple):
    """The work of every peer, float32 NumPy arrays.

    `weights` are rnnjax's parameters as nested dicts, in its gate order: "input" with kernel (I, G) and bias (G,),
    "recurrent" with kernel (H, G) and, for a GRU, bias (G,), and those that only some cells have. Inputs are (B, T, I),
    the target of the last output is (B, O).
    """

    name: str
    cell: Cell
    shape: Shape
    weights: dict[str, Any]
    inputs: np.ndarray
    target: np.ndarray


class Entrant(NamedTuple):
    """A peer that is ready for one task.

    `call` does the task once; it returns when the task is done, or returns JAX arrays. `answer` is the result of the
    first call. `compile_seconds` include tracing, `temp_bytes` is the temporary memory of the compiled function on all
    its devices; both are None if nothing is compiled. `own_threads`: its threads are not those of JAX.
    """

    call: Callable[[], Any]
    answer: Answer
    devices: int = 1
    compile_seconds: float | None = None
    temp_bytes: int | None = None
    own_threads: bool = False


Build = Callable[[Problem, TaskName], Entrant]


def make_problem(name: str, shape: Shape) -> Problem:
    """The problem of a cell, with the numbers of every benchmark."""
    cell = cell_by_name(name)
    params, inputs, target = draw(cell, shape)
    return Problem(name, cell, shape, as_dicts(params), np.ascontiguousarray(inputs.swapaxes(0, 1)), target)


def gradient_answer(problem: Problem, weights: Mapping[str, Any], inputs: Any) -> Answer:
    """The answer of a train step, from the gradients of the weights and of the inputs (B, T, I).

    Of a GRU's second bias only the candidate's part is used. The others equal those of the first bias, and some
    libraries do not have them.
    """

    def like(template: Any, tree: Any) -> Any:
        if isinstance(template, dict):
            return {name: like(value, tree[name]) for name, value in template.items()}
        return np.asarray(tree)

    arrays = like(problem.weights, weights)
    if problem.name == "gru":
        arrays["recurrent"]["bias"] = np.split(arrays["recurrent"]["bias"], 3)[2]
    return {"weights": arrays, "inputs": np.asarray(inputs)}


def expected_answer(problem: Problem, answers: Answers) -> Answer:
    """Both answers of the reference."""
    d_params, d_inputs = answers.gradients
    return {"last": answers.last, **gradient_answer(problem, as_dicts(d_params), d_inputs.swapaxes(0, 1))}
