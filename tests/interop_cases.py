"""What the tests of `rnnjax.interop` share: the layers to convert, random numbers in them, and our outputs."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax_modules import apply, random_variables
from reference import assert_close

from rnnjax import GRU, LSTM, RNN, Bidirectional, Elman, Scan, StackedRNN

TIME, BATCH, INPUT, HIDDEN = 6, 5, 3, 4

# Largest error measured on a CPU: outputs and final states 8.4e-7, logits 1.3e-7.
TOLERANCE = 2e-6

CELLS: dict[str, Any] = {"elman": Elman(), "lstm": LSTM(), "gru": GRU()}


def single(cell: Any) -> Any:
    return RNN(cell, HIDDEN, Scan())


def both(cell: Any) -> Any:
    return Bidirectional(single(cell), single(cell))


def stack(layer: Callable[[Any], Any], cell: Any) -> Any:
    return StackedRNN([layer(cell), layer(cell)])


SHAPES: dict[str, Callable[[Any], Any]] = {
    "single": single,
    "bidirectional": both,
    "stacked": functools.partial(stack, single),
    "stacked_bidirectional": functools.partial(stack, both),
}


def is_bidirectional(shape: str) -> bool:
    return "bidirectional" in shape


def layer_count(shape: str) -> int:
    return 2 if "stacked" in shape else 1


def random_inputs(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, INPUT)).astype(np.float32)


def random_params(layer: Any, *args: Any, seed: int = 0) -> Any:
    """Parameters as `init` lays them out, every number at random, as NumPy arrays."""
    return jax.tree.map(np.array, random_variables(layer, *(args or (random_inputs(),)), seed=seed)["params"])


def assert_agrees(layer: Any, params: Any, outputs: Any, final: Any) -> None:
    """Our outputs and final states are these; `final` has the states in our order: hidden before cell."""
    ours, states = apply(layer, {"params": params}, random_inputs())
    assert np.abs(outputs).max() > 0.1
    assert_close([ours, *jax.tree.leaves(states)], [outputs, *final], "outputs", tolerance=TOLERANCE, kind="interop")


def assert_equal(got: Any, want: Any) -> None:
    """Equal trees of equal arrays, dtypes included."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for left, right in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
