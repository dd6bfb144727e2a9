"""One step of every cell, and what its parameters start as."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import logistic
from reference import assert_close
from tables import (
    BATCH,
    CELLS,
    HIDDEN,
    INPUT,
    MATRIX_CELLS,
    RECURRENCES,
    both_ways,
    flat,
    make_problem,
    replaced,
    run_oracle,
)

from rnnjax import identity
from rnnjax.cells import GRU, LSTM, Elman, HiddenState, LSTMState
from rnnjax.cells.cell import sigmoid

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(3)
# Far enough for a sigmoid to be 0 or 1 in float32.
SHUT, OPEN = -200.0, 200.0

every_cell = pytest.mark.parametrize("cell", MATRIX_CELLS.values(), ids=MATRIX_CELLS.keys())
WITH_RECURRENT_KERNEL = {name: cell for name, cell in MATRIX_CELLS.items() if name != "indrnn"}


@pytest.mark.parametrize("name", CELLS)
def test_one_step_is_the_equation(name):
    problem = make_problem(CELLS[name], time=1)
    params, x, state = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))
    (_, want), _ = run_oracle(name, problem)
    assert_close(CELLS[name].step(params, x, state), want, "values")


def test_a_sigmoid_elman_unit_is_the_logistic_function():
    problem = make_problem(Elman(activation="sigmoid"), time=1)
    params = problem.params
    z = problem.inputs[0] @ params.input.kernel + problem.state.hidden @ params.recurrent.kernel + params.input.bias
    got = Elman(activation="sigmoid").step(*jax.tree.map(jnp.asarray, (params, problem.inputs[0], problem.state)))
    assert_close(got.hidden, logistic(z), "values")


@both_ways
@pytest.mark.parametrize("recurrence", ["scan", "chunked_with_tail"])
@pytest.mark.parametrize("name", ["elman", "lstm"])
def test_a_second_bias_adds_to_the_first_and_gets_its_gradient(name, recurrence, run, close):
    cell = {"elman": Elman, "lstm": LSTM}[name](second_bias=True)
    problem = make_problem(cell, "lengths_and_resets")
    assert np.abs(problem.params.recurrent.bias).min() > 1e-4
    both = np.float64(problem.params.input.bias) + problem.params.recurrent.bias
    one = replaced(problem.params, bias=both, recurrent_bias=None)
    got, (d_params, *others) = run(cell, RECURRENCES[recurrence], problem)
    want, (d_one, *other_wants) = run_oracle(name, problem._replace(params=one))
    assert_close(got, want, "values", **close)
    two = replaced(d_one, recurrent_bias=d_one.input.bias)
    assert_close((d_params, others), (two, other_wants), "gradients", **close)


def update(cell, state, *gates):
    """One update whose input pre-activations are these blocks, the recurrent ones zero."""
    blocks = jnp.concatenate([jnp.full((1, 2), gate) for gate in gates], axis=-1)
    return cell.update(None, blocks, jnp.zeros_like(blocks), state)


def test_lstm_gates_do_what_they_are_named_for():
    state = LSTMState(hidden=jnp.array([[0.1, 0.2]]), cell=jnp.array([[0.3, -0.8]]))
    held = update(LSTM(), state, SHUT, OPEN, 0.7, OPEN)
    assert_close(held.cell, state.cell, "values")
    assert_close(held.hidden, np.tanh(state.cell), "values")
    written = update(LSTM(), state, OPEN, SHUT, 0.7, OPEN)
    assert_close(written.cell, np.full((1, 2), np.tanh(0.7)), "values")
    silent = update(LSTM(), state, OPEN, OPEN, 0.7, SHUT)
    assert_close(silent.cell, state.cell + np.tanh(0.7), "values")
    assert_close(silent.hidden, np.zeros((1, 2)), "values")


def test_gru_gates_do_what_they_are_named_for():
    state = HiddenState(hidden=jnp.array([[0.1, -0.2]]))
    assert_close(update(GRU(), state, 0.0, OPEN, 0.7), state, "values")
    assert_close(update(GRU(), state, 0.0, SHUT, 0.7).hidden, np.full((1, 2), np.tanh(0.7)), "values")
    inputs = jnp.array([[OPEN, SHUT, SHUT, SHUT, 0.7, 0.7]])
    recurrent = jnp.array([[0.0, 0.0, 0.0, 0.0, 0.4, 0.4]])
    # Feature 0 lets the recurrent part in, feature 1 resets it.
    got = GRU().update(None, inputs, recurrent, state).hidden
    assert_close(got, np.tanh([[0.7 + 0.4, 0.7]]), "values")


def test_sigmoid_is_the_logistic_function_at_any_size():
    x = jnp.concatenate([jnp.linspace(-30, 30, 101), jnp.array([-1e30, 1e30])])
    with np.errstate(over="ignore"):
        want = 1 / (1 + np.exp(-np.float64(x)))
    assert_close(sigmoid(x), want, "values")
    assert_close(jax.vmap(jax.grad(sigmoid))(x), want * (1 - want), "gradients")


@pytest.mark.parametrize("cell", WITH_RECURRENT_KERNEL.values(), ids=WITH_RECURRENT_KERNEL.keys())
def test_recurrent_kernel_is_orthogonal_block_by_block(cell):
    kernel = cell.init_params(KEY, 7, 16).recurrent.kernel
    blocks = np.split(np.float64(kernel), cell.gates, axis=1)
    for block in blocks:
        assert_close(block.T @ block, np.eye(16), "orthogonality")
    for one, other in itertools.pairwise(blocks):
        assert np.abs(one - other).max() > 0.1


@every_cell
def test_kernel_is_glorot_uniform_over_its_whole_width(cell):
    inputs, hidden = 40, 60
    kernel = np.asarray(cell.init_params(KEY, inputs, hidden).input.kernel)
    width = cell.gates * hidden
    limit = np.sqrt(6 / (inputs + width))
    assert kernel.shape == (inputs, width)
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    # A uniform distribution's; of 2400 numbers and more the deviation is known to about 1%.
    np.testing.assert_allclose(kernel.std(), limit / np.sqrt(3), rtol=0.03)


def test_bias_starts_at_zero_but_for_the_forget_gate():
    for cell in (Elman(), GRU()):
        params = cell.init_params(KEY, INPUT, HIDDEN)
        np.testing.assert_array_equal(params.input.bias, np.zeros(cell.gates * HIDDEN))
    np.testing.assert_array_equal(GRU().init_params(KEY, INPUT, HIDDEN).recurrent.bias, np.zeros(3 * HIDDEN))
    for cell, forget in ((LSTM(), 1.0), (LSTM(forget_bias=-2.5), -2.5)):
        params = cell.init_params(KEY, INPUT, 2)
        np.testing.assert_array_equal(params.input.bias, [0, 0, forget, forget, 0, 0, 0, 0])
        assert params.recurrent.bias is None


@every_cell
def test_chosen_initialisers_are_used(cell):
    constant, normal = jax.nn.initializers.constant(0.25), jax.nn.initializers.normal(1.0)
    default = cell.init_params(KEY, INPUT, HIDDEN)
    params = dataclasses.replace(cell, kernel_init=constant).init_params(KEY, INPUT, HIDDEN)
    jax.tree.map(
        np.testing.assert_array_equal, params, replaced(default, kernel=np.full_like(default.input.kernel, 0.25))
    )
    if default.recurrent is not None:
        params = dataclasses.replace(cell, recurrent_init=identity(0.5)).init_params(KEY, INPUT, HIDDEN)
        halves = np.tile(0.5 * np.eye(HIDDEN, dtype=np.float32), (1, cell.gates))
        jax.tree.map(np.testing.assert_array_equal, params, replaced(default, recurrent_kernel=halves))
    params = dataclasses.replace(cell, bias_init=normal).init_params(KEY, INPUT, HIDDEN)
    bias = "shift" if default.input.bias is None else "bias"
    assert np.abs(flat(params)[bias] - flat(default)[bias]).min() > 1e-4
    if cell.second_bias:
        assert np.abs(params.recurrent.bias - params.input.bias).min() > 1e-4


def test_relu_elman_with_identity_remembers():
    cell = CELLS["irnn"]
    params = cell.init_params(KEY, INPUT, HIDDEN)
    state = cell.init_state(BATCH, HIDDEN)._replace(hidden=jnp.abs(jax.random.normal(KEY, (BATCH, HIDDEN))))
    after = cell.step(params, jnp.zeros((BATCH, INPUT)), state)
    np.testing.assert_array_equal(after.hidden, state.hidden)


@every_cell
def test_same_key_same_parameters_and_another_key_others(cell):
    one, again = (cell.init_params(KEY, INPUT, HIDDEN) for _ in range(2))
    other = cell.init_params(jax.random.key(4), INPUT, HIDDEN)
    jax.tree.map(np.testing.assert_array_equal, one, again)
    assert np.abs(one.input.kernel - other.input.kernel).max() > 0.1
    recurrent = "recurrent_weight" if one.recurrent is None else "recurrent_kernel"
    same = cell.recurrent_init == identity()  # whatever the key
    assert (np.abs(flat(one)[recurrent] - flat(other)[recurrent]).max() > 0.1) != same


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@every_cell
def test_dtype_is_that_of_every_array(cell, dtype):
    trees = cell.init_params(KEY, INPUT, HIDDEN, dtype), cell.init_state(BATCH, HIDDEN, dtype)
    assert {leaf.dtype for leaf in jax.tree.leaves(trees)} == {np.dtype(dtype)}
    state = cell.init_state(BATCH, HIDDEN, dtype)
    for leaf in state:
        np.testing.assert_array_equal(leaf, np.zeros((BATCH, HIDDEN)))
    after = jax.eval_shape(cell.step, trees[0], jnp.zeros((BATCH, INPUT), dtype), state)
    assert {leaf.dtype for leaf in after} == {np.dtype(dtype)}


@pytest.mark.usefixtures("without_annotation_checks")
def test_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"activation: expected one of \['relu', 'sigmoid', 'tanh'\], got 'gelu'"):
        Elman(activation="gelu")  # pyright: ignore[reportArgumentType]


@every_cell
def test_sizes_below_one_are_refused(cell):
    with pytest.raises(ValueError, match="input_size: expected at least 1, got 0"):
        cell.init_params(KEY, 0, HIDDEN)
    with pytest.raises(ValueError, match="hidden_size: expected at least 1, got -2"):
        cell.init_params(KEY, INPUT, -2)


def test_identity_wants_a_square_kernel():
    with pytest.raises(ValueError, match=r"expected a square kernel, got shape \(3, 4\)"):
        Elman(kernel_init=identity()).init_params(KEY, 3, 4)
