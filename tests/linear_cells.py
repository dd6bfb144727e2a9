"""The linear cells with the equations of their papers, step by step in NumPy, and random problems for them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from oracle import logistic

from rnnjax.cells import LRU, RGLRU, S5, LinearCell, MinGRU, MinLSTM
from rnnjax.maps import BlockDiagonal

BATCH, INPUT, HIDDEN = 5, 3, 4
LINEAR_CELLS: dict[str, LinearCell] = {
    "min_gru": MinGRU(),
    "min_lstm": MinLSTM(),
    "lru": LRU(),
    "rg_lru": RGLRU(),
    "s5": S5(),
}
OPTIONS: dict[str, LinearCell] = {
    "min_gru_positive": MinGRU(positive=True),
    "min_lstm_positive": MinLSTM(positive=True),
    "rg_lru_heads": RGLRU(input_map=BlockDiagonal(2)),
}


def inputs_of(cell: LinearCell) -> int:
    """The input size that a cell is tested with."""
    return HIDDEN if isinstance(cell, RGLRU) else INPUT


def g(x):
    return np.where(x >= 0, x + 0.5, logistic(x))


def min_gru(p, x, h, candidate=lambda c: c):
    z, c = np.split(x @ p["kernel"] + p["bias"], 2)
    z = logistic(z)
    after = (1 - z) * h + z * candidate(c)
    return after, after


def min_lstm(p, x, h, candidate=lambda c: c):
    f, i, c = np.split(x @ p["kernel"] + p["bias"], 3)
    f, i = logistic(f), logistic(i)
    after = f / (f + i) * h + i / (f + i) * candidate(c)
    return after, after


def complex_matrix(kernel):
    """Columns of real and then of imaginary parts, as complex columns."""
    half = kernel.shape[1] // 2
    return kernel[:, :half] + 1j * kernel[:, half:]


def lru(p, x, h):
    decay = np.exp(-np.exp(p["log_rate"]) + 1j * np.exp(p["log_angle"]))
    after = decay * h + np.exp(p["log_scale"]) * (x @ complex_matrix(p["kernel"]))
    return after, (after @ complex_matrix(p["output_kernel"].T).T).real + p["skip"] * x


def s5(p, x, h):
    # exp(A t) and its integral over the step, for a diagonal A.
    rate, step = p["real"] + 1j * p["imaginary"], np.exp(p["log_step"])
    after = np.exp(rate * step) * h + (np.exp(rate * step) - 1) / rate * (x @ complex_matrix(p["kernel"]))
    return after, 2 * (after @ complex_matrix(p["output_kernel"].T).T).real + p["skip"] * x


def rg_lru(p, x, h):
    kernel = p["kernel"]
    if kernel.ndim == 3:  # a matrix for each head, whose columns are gate by gate
        blocks = [np.split(block, 2, axis=1) for block in kernel]
        kernel = np.zeros((len(x), 2 * len(x)))
        own = len(x) // len(blocks)
        for head, pair in enumerate(blocks):
            for gate, block in enumerate(pair):
                at = gate * len(x) + head * own
                kernel[head * own : (head + 1) * own, at : at + own] = block
    r, i = np.split(logistic(x @ kernel + p["bias"]), 2)
    a = np.exp(-8 * r * np.log1p(np.exp(p["rate"])))
    after = a * h + np.sqrt(1 - a**2) * (i * x)
    return after, after


ORACLES: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "min_gru": min_gru,
    "min_lstm": min_lstm,
    "lru": lru,
    "rg_lru": rg_lru,
    "s5": s5,
    "min_gru_positive": lambda p, x, h: min_gru(p, x, h, g),
    "min_lstm_positive": lambda p, x, h: min_lstm(p, x, h, g),
    "rg_lru_heads": rg_lru,
}


class LinearProblem(NamedTuple):
    """Arguments of a recurrence, and the weights of its results in a loss."""

    arrays: Any  # params, inputs, initial state, reset state
    lengths: np.ndarray
    resets: np.ndarray
    hold: np.ndarray | None
    weights: Any = None


def normal(random: np.random.Generator, like: Any) -> np.ndarray:
    """Random numbers of the shape and dtype of `like`."""
    numbers = random.normal(size=like.shape)
    if jnp.issubdtype(like.dtype, jnp.complexfloating):
        numbers = numbers + 1j * random.normal(size=like.shape)
    return numbers.astype(like.dtype)


def linear_problem(
    cell: LinearCell, time: int, *, dtype: Any = np.float64, hold: bool = False, seed: int = 0
) -> LinearProblem:
    """A random problem: no bias and no state is zero, lengths hold 0, 1 and T, resets fall anywhere."""
    with jax.enable_x64(np.dtype(dtype) == np.float64):
        return _linear_problem(cell, time, dtype, hold, np.random.default_rng(seed), jax.random.key(seed))


def _linear_problem(
    cell: LinearCell, time: int, dtype: Any, hold: bool, random: np.random.Generator, key: jax.Array
) -> LinearProblem:
    # Numbers that float32 has, so that a problem is the same in both dtypes.
    params = jax.tree.map(
        lambda leaf: np.asarray(leaf + 0.1 * normal(random, leaf), np.float32).astype(dtype),
        cell.init_params(key, inputs_of(cell), HIDDEN, jnp.float32),
    )
    like = jax.eval_shape(lambda: cell.init_state(BATCH, HIDDEN, dtype))
    start, again = (jax.tree.map(lambda leaf: normal(random, leaf), like) for _ in range(2))
    inputs = random.normal(size=(time, BATCH, inputs_of(cell))).astype(dtype)
    lengths = np.array([time, 0, 1, time, *random.integers(0, time + 1, size=BATCH)])[:BATCH].astype(np.int32)
    resets = random.random((time, BATCH)) < 0.1
    resets[time // 2 : time // 2 + 1, 0] = True
    held = random.random((time, BATCH, HIDDEN)).astype(dtype) if hold else None
    output = jax.eval_shape(cell.output, params, start, inputs[0] if time else np.zeros(inputs.shape[1:], dtype))
    over_time = jax.tree.map(lambda leaf: np.empty((time, *leaf.shape), leaf.dtype), (output, start))
    weights = jax.tree.map(lambda leaf: normal(random, leaf), (over_time[0], start, over_time[1]))
    return LinearProblem((params, inputs, start, again), np.minimum(lengths, time), resets, held, weights)


def parts(tree: Any) -> Any:
    """The tree as NumPy arrays, complex ones as pairs of real ones."""
    return jax.tree.map(lambda leaf: (leaf.real, leaf.imag) if np.iscomplexobj(leaf) else leaf, jax.device_get(tree))
