"""The sLSTM: its first step, its numbers far out and over many steps, and what it starts from."""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import assert_close
from tables import BATCH, HIDDEN, INPUT, RECURRENCES, WIDE, assert_runs_close, make_problem, run_oracle, run_wide

from rnnjax import RNN, SLSTM, BlockDiagonal, Chunked, Scan
from rnnjax.cells import SLSTMState
from rnnjax.initializers import orthogonal

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(5)
# Over 3,000 steps against float64. Largest error measured: 2.6e-7.
LONG_TOLERANCE = 1e-6


def run_layer(layer, variables, inputs) -> Any:
    return layer.apply(variables, inputs)


def initial(cell, hidden) -> Any:
    return cell.init_params(KEY, INPUT, hidden)


@pytest.mark.quick("chunked_gates")
@pytest.mark.parametrize("recurrence", ["scan", "chunked_gates", "chunked_with_tail"])
def test_zeros_at_the_start_and_after_a_reset_are_a_first_step(recurrence):
    problem = make_problem(SLSTM(heads=2), "lengths_and_resets", dtype=np.float64, seed=3)
    nothing = jax.tree.map(np.zeros_like, problem.state)
    problem = problem._replace(state=nothing, reset_state=nothing)
    got = run_wide(SLSTM(heads=2), RECURRENCES[recurrence], problem)
    assert_runs_close(got, run_oracle("slstm", problem), **WIDE)


def test_the_first_step_hangs_on_no_stabiliser():
    problem = make_problem(SLSTM(heads=2), time=1)
    params, x = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0]))
    cell = SLSTM(heads=2)
    hidden = jnp.asarray(problem.state.hidden)
    states = [SLSTMState(hidden, 0 * hidden, 0 * hidden, 0 * hidden + m) for m in (0.0, 50.0, -50.0)]
    after = [cell.step(params, x, state) for state in states]
    for other in after[1:]:
        np.testing.assert_array_equal(other, after[0])
    np.testing.assert_array_equal(after[0].normaliser, np.ones((BATCH, HIDDEN)))
    own, recurrent = cell.pre_activations(params, x, hidden)
    np.testing.assert_array_equal(after[0].stabiliser, (own + recurrent)[:, :HIDDEN])


def test_the_stabiliser_does_not_show():
    """Cell and normaliser times any number, with its logarithm taken from the stabiliser, are the same state."""
    cell, problem = SLSTM(heads=2), make_problem(SLSTM(heads=2), time=1)
    params, x, state = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))
    moved = state._replace(
        cell=state.cell * jnp.exp(3), normaliser=state.normaliser * jnp.exp(3), stabiliser=state.stabiliser - 3
    )
    np.testing.assert_allclose(cell.step(params, x, state).hidden, cell.step(params, x, moved).hidden, rtol=1e-5)


@pytest.mark.quick("chunked-*")
@pytest.mark.parametrize("exponential", [False, True])
@pytest.mark.parametrize("recurrence", [Scan(), Chunked(16, "boundaries")], ids=["scan", "chunked"])
def test_gates_at_a_thousand_either_way_leave_all_finite(recurrence, exponential):
    cell = SLSTM(exponential_forget=exponential)
    corners = np.array(list(itertools.product([-1000.0, 1000.0], repeat=4)), np.float32)
    random = np.random.default_rng(0)
    # The gates of a unit are the inputs themselves; every corner after every other one, at random.
    inputs = random.permuted(np.tile(corners, (4, 3, 1, 1)).reshape(64, 3, 4), axis=0)
    params = cell.init_params(KEY, 4, 1)
    params = params._replace(input=params.input._replace(kernel=jnp.eye(4), bias=jnp.zeros(4)))

    @jax.jit
    def values(params, inputs):
        outputs, final = recurrence(cell, params, inputs, cell.init_state(3, 1))
        return (outputs**2).sum(), (outputs, final)

    (_, (outputs, final)), gradients = jax.value_and_grad(values, (0, 1), has_aux=True)(params, jnp.asarray(inputs))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((outputs, final, gradients)))
    # A mean of numbers between -1 and 1, and as such never above.
    assert np.abs(outputs).max() <= 1
    assert np.abs(outputs).max() > 0.9
    assert (final.normaliser >= 1).all()


@pytest.mark.slow
def test_many_steps_are_those_of_float64():
    cell = SLSTM(heads=2, recurrent_init=orthogonal)
    random = np.random.default_rng(1)
    inputs = random.normal(size=(3000, 2, INPUT))

    def outputs(dtype):
        params = jax.tree.map(lambda leaf: leaf.astype(dtype), cell.init_params(KEY, INPUT, HIDDEN))
        out, final = jax.jit(Scan(), static_argnums=0)(
            cell, params, inputs.astype(dtype), cell.init_state(2, HIDDEN, dtype)
        )
        return out, final.normaliser

    narrow, normaliser = outputs(np.float32)
    with jax.enable_x64(True):
        wide, _ = outputs(np.float64)
    assert_close(narrow, wide, "3,000 steps", tolerance=LONG_TOLERANCE)
    assert (normaliser >= 1).all()
    # A mean over ever more steps: the first units forget next to nothing.
    assert normaliser.max() > 10


def test_bfloat16_keeps_what_sums_up_wide():
    layer = RNN(SLSTM(), HIDDEN, dtype=jnp.bfloat16)
    inputs = jax.random.normal(KEY, (BATCH, 400, INPUT))
    variables = layer.init(KEY, inputs)
    outputs, final = run_layer(layer, variables, inputs)
    assert outputs.dtype == final.hidden.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in final[1:]} == {jnp.dtype("float32")}
    # In bfloat16 a sum of ones stands still at 256. Its unit forgets nothing here, and every input gate is 1.
    bias = jnp.concatenate([jnp.zeros(HIDDEN), jnp.full(HIDDEN, 30.0), jnp.zeros(2 * HIDDEN)])
    cell = {name: jax.tree.map(jnp.zeros_like, part) for name, part in variables["params"]["cell"].items()}
    cell["input"]["bias"] = bias
    _, final = run_layer(layer, {"params": {"cell": cell}}, inputs)
    np.testing.assert_array_equal(final.normaliser, np.full((BATCH, HIDDEN), 400))


def test_several_dtypes_of_a_state_need_no_promotion():
    layer = RNN(SLSTM(), HIDDEN, dtype=jnp.bfloat16)
    inputs = jax.random.normal(KEY, (BATCH, 4, INPUT))
    with jax.numpy_dtype_promotion("strict"):
        variables = layer.init(KEY, inputs)
        outputs, _ = run_layer(layer, variables, inputs)
    assert outputs.dtype == jnp.bfloat16


def test_it_starts_from_no_recurrence_and_memories_of_all_lengths():
    params = initial(SLSTM(heads=2), 8)
    assert params.recurrent.kernel.shape == (2, 4, 16)
    np.testing.assert_array_equal(params.recurrent.kernel, np.zeros((2, 4, 16)))
    bias = np.asarray(params.input.bias).reshape(4, 2, 4)
    np.testing.assert_array_equal(bias[[0, 2, 3]], np.zeros((3, 2, 4)))
    for head in bias[1]:
        np.testing.assert_allclose(head, 5 - 12 * np.array([0, 1 / 3, 2 / 3, 1]) ** 0.3, rtol=1e-5)
    last = initial(SLSTM(depth=1.0), 4).input.bias[4:8]
    np.testing.assert_allclose(last, 5 - 12 * np.array([0, 1 / 3, 2 / 3, 1]) ** 1.6, rtol=1e-5)
    np.testing.assert_array_equal(initial(SLSTM(), 1).input.bias, [0, 5, 0, 0])
    np.testing.assert_array_equal(initial(SLSTM(forget_bias=2.0), 1).input.bias, [0, 2, 0, 0])
    drawn = initial(SLSTM(heads=2, recurrent_init=orthogonal), 8).recurrent.kernel
    block = drawn[1, :, 4:8]
    np.testing.assert_allclose(block @ block.T, np.eye(4), atol=1e-6)


def test_heads_do_not_mix_and_are_one_with_the_map():
    cell = SLSTM(heads=2)
    assert dataclasses.replace(cell, heads=4) == SLSTM(heads=4)
    assert dataclasses.replace(cell, heads=4).recurrent_map == BlockDiagonal(4)
    problem = make_problem(cell, time=1)
    params, x, state = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))
    moved = state._replace(hidden=state.hidden.at[:, 3].add(1.0))
    before, after = (cell.step(params, x, each).hidden for each in (state, moved))
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert (np.abs(before - after)[:, 2:] > 1e-4).all()


def test_what_it_cannot_be_is_named():
    with pytest.raises(ValueError, match="heads: expected at least 1, got 0"):
        SLSTM(heads=0)
    with pytest.raises(ValueError, match=r"depth: expected 0 <= depth <= 1, got 1\.5"):
        SLSTM(depth=1.5)
    with pytest.raises(ValueError, match=r"expected one feature axis divisible by 3 heads, got \(4,\) to \(4,\)"):
        SLSTM(heads=3).init_params(KEY, INPUT, HIDDEN)
