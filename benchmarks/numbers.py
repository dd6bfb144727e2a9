"""The random numbers of every benchmark, and the reference: `Scan` in float64."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.work import Numbers, Shape, compute
from rnnjax import Cell, Recurrence, Scan
from rnnjax.layers.parameters import cast
from rnnjax.recurrences.noise import has_output

# Longer sequences are computed in segments, so that their float64 residuals fit in memory. Each segment is compiled:
# there are only a few.
SEGMENT = 2000
MOST_SEGMENTS = 8
BIAS_SCALE = 0.1
# A cell amplifies roundings if rounding the inputs moves its answers by more than AMPLIFIED. All roundings of float32
# may then move them ROUNDINGS times as much; measured: 34 times (layer-norm-lstm at its start, T=200, H=64). A
# deviation above LARGEST_ALLOWED is always wrong.
AMPLIFIED, ROUNDINGS, LARGEST_ALLOWED = 1e-6, 100, 2e-2


class Answers(NamedTuple):
    """The results of a layer, NumPy arrays."""

    last: Any  # the last output (B, O)
    gradients: Any  # of params and inputs
    rounding: float = 0.0  # the deviation of both, in float64, after one float32 rounding of the inputs


def last_output(cell: Cell, recurrence: Recurrence, params: Any, inputs: jax.Array, state: Any) -> tuple[Any, Any]:
    """The output of the last step, and the final state. Most cells have no output of their own: it is in the state."""
    outputs, final = recurrence(cell, params, inputs, state)
    return outputs[-1] if has_output(cell) else final.hidden, final


def draw(cell: Cell, shape: Shape) -> Numbers:
    """Random numbers, the same in every call. No parameter is all zeros: an error there would not show."""
    random = np.random.default_rng(0)

    def normal(*sizes: int) -> np.ndarray:
        return random.standard_normal(sizes, np.float32)

    def moved(path: Any, leaf: jax.Array) -> np.ndarray:
        drawn = np.asarray(leaf)
        real = np.issubdtype(drawn.dtype, np.floating)
        still = not real or (drawn.any() and "bias" not in jax.tree_util.keystr(path))
        return drawn if still else drawn + BIAS_SCALE * normal(*drawn.shape)

    params = cell.init_params(jax.random.key(0), shape.input, shape.hidden)
    params = jax.tree_util.tree_map_with_path(moved, params)
    inputs = normal(shape.time, shape.batch, shape.input)
    state = cell.init_state(shape.batch, shape.hidden, inputs.dtype)
    last, _ = jax.eval_shape(functools.partial(last_output, cell, Scan()), params, inputs[:1], state)
    return Numbers(params, inputs, normal(*last.shape))


def reference(cell: Cell, shape: Shape) -> Answers:
    """The last output and the gradients for the numbers of `draw`, by `Scan` in float64 on one device."""
    steps = max(SEGMENT, -(-shape.time // MOST_SEGMENTS))
    segment = jax.checkpoint(functools.partial(last_output, cell, Scan()))

    def last(params: Any, inputs: jax.Array) -> jax.Array:
        output, state = inputs, cell.init_state(inputs.shape[1], shape.hidden, inputs.dtype)
        for start in range(0, inputs.shape[0], steps):
            output, state = segment(params, inputs[start : start + steps], state)
        return output

    given = draw(cell, shape)
    with jax.enable_x64(True):
        wide = cast(given, jnp.float64)
        forward, gradient = (compute(task, last, batch_axis=1) for task in ("forward", "gradient"))
        both = jax.jit(lambda *numbers: (forward(*numbers), gradient(*numbers)))
        answers = jax.device_get(both(*wide))
        signs = np.random.default_rng(1).choice([-1, 1], wide.inputs.shape)
        moved = both(wide.params, wide.inputs * (1 + signs * np.finfo(np.float32).eps / 2), wide.target)
        return Answers(*answers, rounding=deviation(moved, answers))


def allowed(tolerance: float, answers: Answers) -> float:
    """The tolerance, widened for a cell that amplifies roundings over many steps."""
    if not answers.rounding > AMPLIFIED:
        return tolerance
    return max(tolerance, min(ROUNDINGS * answers.rounding, LARGEST_ALLOWED))


def deviation(answer: Any, reference: Any) -> float:
    """The largest difference from the reference, relative to the largest number of each array; NaN if any is NaN.

    Raises ValueError for shapes other than those of the reference.
    """
    worst = 0.0
    for leaf, want in zip(jax.tree.leaves(answer), jax.tree.leaves(reference), strict=True):
        got = np.asarray(leaf)
        if got.shape != want.shape:
            raise ValueError(f"expected shape {want.shape}, got {got.shape}")
        difference = np.abs(got.astype(want.dtype) - want).max(initial=0.0)
        worst = np.maximum(worst, difference / (np.abs(want).max(initial=0.0) or 1.0))  # keeps a NaN
    return float(worst)
