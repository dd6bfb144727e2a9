"""The contract of a peer: one layer's work goes in, a call to be timed and the numbers to be checked come out."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from benchmarks.work import Shape
from rnnjax import GRU, LSTM, CellParams, Elman, MapParams, PointwiseCell

CellName = Literal["lstm", "gru", "elman"]
TaskName = Literal["train", "inference"]
CELLS: dict[CellName, PointwiseCell] = {"lstm": LSTM(), "gru": GRU(), "elman": Elman()}


class Problem(NamedTuple):
    """A layer's work, float32 NumPy arrays: what every peer computes.

    `weights` are the arrays of rnnjax's `CellParams` (`as_params`), in its gate order: kernel (I, G),
    recurrent_kernel (H, G), bias (G,) and, for a GRU, recurrent_bias (G,). Inputs are (B, T, I), the target of the
    last output is (B, H).
    """

    cell: CellName
    shape: Shape
    weights: dict[str, np.ndarray]
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
    answer: dict[str, np.ndarray]
    devices: int = 1
    compile_seconds: float | None = None
    temp_bytes: int | None = None
    own_threads: bool = False


def as_params(weights: Mapping[str, Any]) -> CellParams:
    """A problem's weights as rnnjax's parameters."""
    return CellParams(
        MapParams(weights["kernel"], weights["bias"]),
        MapParams(weights["recurrent_kernel"], weights.get("recurrent_bias")),
    )


def as_weights(input: Any, recurrent: Any) -> dict[str, Any]:
    """A problem's weights, from the fields of rnnjax's two maps."""
    arrays = {"kernel": input["kernel"], "recurrent_kernel": recurrent["kernel"], "bias": input["bias"]}
    second = recurrent.get("bias")
    return arrays if second is None else {**arrays, "recurrent_bias": second}


Build = Callable[[Problem, TaskName], Entrant]


def last_answer(last: Any) -> dict[str, np.ndarray]:
    """The answer of inference: the last output, (B, H)."""
    return {"last": np.asarray(last)}


def gradient_answer(problem: Problem, weights: dict[str, Any], inputs: Any) -> dict[str, np.ndarray]:
    """The answer of a train step: the gradients of the weights, under the problem's names, and of the inputs (B, T, I).

    Of a GRU's second bias only the candidate's part is kept: the gates' parts are numerically those of the first
    bias, and some libraries do not have them.
    """
    arrays = {name: np.asarray(weights[name]) for name in problem.weights}
    if problem.cell == "gru":
        arrays["recurrent_bias"] = np.split(arrays["recurrent_bias"], 3)[2]
    return {**arrays, "inputs": np.asarray(inputs)}
