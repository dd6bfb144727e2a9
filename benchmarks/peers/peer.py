"""What all peers share: problem, timed call and checked answer; those in JAX also share loss, Adam and jit."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from benchmarks.numbers import Answers, draw
from benchmarks.work import Last, Numbers, Shape, Task, Work
from rnnjax import Cell
from rnnjax.cells.names import cell_by_name
from rnnjax.layers.parameters import as_dicts

TaskName = Literal["train", "inference"]
MEMORY_SHARE = 0.75
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
    first call, `deviation` its deviation from the reference. `compile_seconds` include tracing, `temp_bytes` is the
    temporary memory of the compiled function on all its devices; both are None if nothing is compiled. `own_threads`:
    its threads are not those of JAX.
    """

    call: Callable[[], Any]
    answer: Answer
    devices: int = 1
    compile_seconds: float | None = None
    temp_bytes: int | None = None
    own_threads: bool = False
    deviation: float = 0.0


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


class JaxLayer(NamedTuple):
    """The layer of a library.

    `last(params, inputs)` is the last output (B, O); the inputs have the library's own layout. `to_ours` turns a tree
    like `params` into weights like those of a problem.
    """

    params: Any
    last: Last
    time_major: bool
    to_ours: Callable[[Any], Mapping[str, Any]]

    def swapped(self, array: np.ndarray) -> np.ndarray:
        """From (B, T, I) to the layer's layout, or back."""
        return array.swapaxes(0, 1) if self.time_major else array


def ready(layer: JaxLayer, problem: Problem, task: TaskName, mesh: Mesh | None = None) -> Entrant:
    """The compiled task on the default device, or with the batch split over a mesh.

    Raises MemoryError if the compiled function needs too much memory for this machine.
    """
    work = Work(WORK[task], layer.last, 1 if layer.time_major else 0, mesh)
    inputs = np.ascontiguousarray(layer.swapped(problem.inputs))
    given = work.arguments(Numbers(layer.params, inputs, problem.target))
    compiled, lowering, compiling, temp_bytes = work.build(given)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # Other devices raise the error themselves.
    if jax.default_backend() == "cpu" and (temp_bytes or 0) > MEMORY_SHARE * machine:
        raise MemoryError(
            f"expected at most {MEMORY_SHARE:.0%} of this machine's {machine / 1e9:.1f} GB of memory, "
            f"got {(temp_bytes or 0) / 1e9:.1f} GB of temporary memory"
        )
    result = compiled(*given)
    answer = work.answer(result)
    if task == "train":
        d_params, d_inputs = answer
        found = gradient_answer(problem, layer.to_ours(d_params), layer.swapped(d_inputs))
        given = (result[0], *given[1:])
    else:
        found = {"last": answer}
    devices = 1 if mesh is None else mesh.size
    return Entrant(work.stepper(compiled, given), found, devices, lowering + compiling, temp_bytes)
