"""The numbers that a layer is measured on, and what it must give: `Scan` in float64."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.work import Shape, compute
from rnnjax import Cell, Recurrence, Scan
from rnnjax.layers.parameters import cast
from rnnjax.recurrences.noise import has_output

# Gradients over more steps than this are taken segment by segment, so that their float64 residuals fit in memory;
# the segments are few, since each one is compiled.
SEGMENT = 2000
MOST_SEGMENTS = 8
BIAS_SCALE = 0.1
# A cell amplifies roundings where one of the inputs moves its answers by more than this. All roundings of float32
# together may then move them this many times as much; measured: 34 times (layer-norm-lstm as it starts, T=200, H=64).
# What deviates by more than the largest share is wrong all the same.
AMPLIFIED, ROUNDINGS, LARGEST_ALLOWED = 1e-6, 100, 2e-2
ADAM_B1 = 0.9  # optax's default, which `benchmarks.work.optimizer` leaves as it is


class Numbers(NamedTuple):
    """What a layer runs on: float32 in NumPy or on devices, float64 in the reference."""

    params: Any
    inputs: Any  # (T, B, I)
    target: Any  # (B, O)


class Answers(NamedTuple):
    """What a layer gives, NumPy arrays."""

    last: Any  # the last output (B, O)
    gradients: Any  # of params and inputs
    rounding: float = 0.0  # how far both move, in float64, where the inputs are moved by one rounding of float32


def last_output(cell: Cell, recurrence: Recurrence, params: Any, inputs: jax.Array, hidden_size: int) -> jax.Array:
    """The output of the last step."""
    initial = cell.init_state(inputs.shape[1], hidden_size, inputs.dtype)
    return last_of(cell, *recurrence(cell, params, inputs, initial))


def last_of(cell: Cell, outputs: jax.Array, final: Any) -> jax.Array:
    """The output of the last step, read from the final state unless the cell has an output of its own."""
    return outputs[-1] if has_output(cell) else final.hidden


def draw(cell: Cell, shape: Shape) -> Numbers:
    """Random numbers for this work, the same ones each time. No parameter is all zeros: its loss would not be seen."""
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
    last = jax.eval_shape(
        lambda params: last_output(cell, Scan(), params, jnp.asarray(inputs[:1]), shape.hidden), params
    )
    return Numbers(params, inputs, normal(*last.shape))


def reference(cell: Cell, shape: Shape) -> Answers:
    """The last output and the gradients on the numbers that are drawn, by `Scan` in float64 on one device."""
    steps = max(SEGMENT, -(-shape.time // MOST_SEGMENTS))

    @jax.checkpoint
    def segment(params: Any, inputs: jax.Array, state: Any) -> Any:
        outputs, final = Scan()(cell, params, inputs, state)
        return last_of(cell, outputs, final), final

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


def first_gradient(optimizer_state: Any) -> Any:
    """The gradient of the first step, NumPy arrays: Adam's first moment is then (1 - b1) times that."""
    moments = jax.device_get(optax.tree.get(optimizer_state, "mu"))
    return jax.tree.map(lambda moment: np.asarray(moment) / np.float32(1 - ADAM_B1), moments)


def allowed(tolerance: float, answers: Answers) -> float:
    """The tolerance, widened for a cell that amplifies roundings over many steps."""
    if not answers.rounding > AMPLIFIED:
        return tolerance
    return max(tolerance, min(ROUNDINGS * answers.rounding, LARGEST_ALLOWED))


def deviation(answer: Any, reference: Any) -> float:
    """The largest difference from the reference, relative to the largest number of each array.

    NaN where a number is. Raises ValueError where arrays are not those of the reference.
    """
    worst = 0.0
    for leaf, want in zip(jax.tree.leaves(answer), jax.tree.leaves(reference), strict=True):
        got = np.asarray(leaf)
        if got.shape != want.shape:
            raise ValueError(f"expected shape {want.shape}, got {got.shape}")
        difference = np.abs(got.astype(want.dtype) - want).max(initial=0.0)
        worst = np.maximum(worst, difference / (np.abs(want).max(initial=0.0) or 1.0))  # which keeps a NaN
    return float(worst)
