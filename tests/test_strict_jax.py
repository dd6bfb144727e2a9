"""Cells under JAX's checks of what NumPy does unasked: axes in front, and promotion of dtypes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import CELLS, LSTM_VARIANTS, make_problem, sizes_of, slow_unless

from rnnjax import uniform
from rnnjax.cells import LSTM, Cell, Elman, IndRNN, PeepholeLSTM
from rnnjax.dtypes import cast_like
from rnnjax.initializers import glorot_uniform, identity, orthogonal, small_normal, zeros

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(3)

ALL: dict[str, Cell] = CELLS | LSTM_VARIANTS
ALL |= {
    "lstm_of_two_biases": LSTM(second_bias=True, bias_init=uniform(-1.0, 1.0)),
    "sigmoid_elman": Elman(activation="sigmoid"),
    "long_memory": IndRNN(recurrent_init=uniform(0.9, 2 ** (1 / 10))),
    "no_gate": PeepholeLSTM(input_gate=False, forget_gate=False, output_gate=False),
}

CHECKS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "rank": lambda: jax.numpy_rank_promotion("raise"),
    "dtype": lambda: jax.numpy_dtype_promotion("strict"),
}

every_check = pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
every_dtype = pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64])


@pytest.fixture(autouse=True)
def wide_numbers():
    """There is float64 here."""
    with jax.enable_x64(True):
        yield


def step_and_gradients(cell: Cell, problem: Any) -> Any:
    """One step, and its gradients for parameters, inputs and state."""
    after, pullback = jax.vjp(cell.step, problem.params, problem.inputs[0], problem.state)
    return after, pullback(cast_like(problem.cotangents[1], after))


def start(cell: Cell, dtype: Any) -> Any:
    """New parameters and a state."""
    inputs, hidden = sizes_of(cell)
    return cell.init_params(KEY, inputs, hidden, dtype), cell.init_state(2, hidden, dtype)


def assert_equal(got: Any, want: Any) -> None:
    """Equal trees of equal arrays, dtypes included."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for left, right in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


# That a quick run can do without: where the computation is equal, values are.
@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_values_are_those_of_plain_jax(name):
    problem = jax.tree.map(jnp.asarray, make_problem(ALL[name]))
    want = step_and_gradients(ALL[name], problem), start(ALL[name], jnp.float32)
    with CHECKS["rank"](), CHECKS["dtype"]():
        got = step_and_gradients(ALL[name], problem), start(ALL[name], jnp.float32)
    assert_equal(got, want)


@pytest.mark.parametrize(
    ("name", "dtype", "check"),
    slow_unless(
        lambda name, dtype, check: (
            (dtype, check) == ("bfloat16", "dtype") or ((dtype, check) == ("float32", "rank") and name in CELLS)
        ),
        product(ALL, ("bfloat16", "float16", "float32", "float64"), CHECKS),
    ),
)
def test_the_computation_is_that_of_plain_jax_in_every_dtype(name, dtype, check):
    problem = jax.tree.map(jnp.asarray, make_problem(ALL[name], dtype=jnp.dtype(dtype)))

    def computation() -> Any:
        step, shapes = jax.make_jaxpr(lambda each: step_and_gradients(ALL[name], each), return_shape=True)(problem)
        # Some arrays of a state may be wider than all others.
        kinds = {leaf.dtype for leaf in jax.tree.leaves((problem.params, problem.state))}
        assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == kinds
        return str(step), str(jax.make_jaxpr(lambda: start(ALL[name], jnp.dtype(dtype)))())

    want = computation()
    with CHECKS[check]():
        got = computation()
    assert got == want


@every_check
@every_dtype
@pytest.mark.parametrize(
    "init",
    [glorot_uniform, orthogonal, small_normal, zeros, uniform(0.0, 2.0), identity(), identity(0.5)],
    ids=repr,
)
def test_initialisers_promote_nothing(init, dtype, check):
    want = init(KEY, (4, 4), dtype)
    with check():
        got = init(KEY, (4, 4), dtype)
    assert_equal(got, want)
