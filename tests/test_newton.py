"""`Newton` against the oracles and `Scan`: the whole contract, how it went, and what follows if it does not converge.

The agreement with the loop and the size of the residual are two checks: a small residual is not a small error.
"""

import dataclasses
import functools
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from jax.experimental import checkify
from own_cells import Plain
from reference import assert_close, error
from tables import (
    CELLS,
    FAST_COMPILE,
    MODES,
    WIDE,
    Problem,
    assert_runs_close,
    flat,
    make_problem,
    replaced,
    run_inside,
    run_oracle,
    run_wide,
    widened,
)
from test_jacobians import Counter

from rnnjax import GRU, LSTM, Elman, GRUResetBefore, Newton, ParaGRU, PointwiseCell, Scan
from rnnjax.recurrences import Noise, Solution

pytestmark = pytest.mark.usefixtures("quick_compile")

# Largest residual measured in float64: 2.2e-16.
FLOAT64_RESIDUAL = 16 * 2.3e-16
# Largest error measured in float32, T = 100: values 1.7e-7, gradients 3.4e-7.
FLOAT32_TOLERANCE = 2e-6

DENSE, DIAGONAL = Newton(method="dense"), Newton(method="diagonal")
DAMPED = Newton(method="diagonal", damping=0.3, first_guess="initial", max_iterations=200)


def arrays(tree: Any) -> Any:
    """For calls outside of `jax.jit`."""
    return jax.tree.map(jnp.asarray, tree)


class Ran(NamedTuple):
    """What `run` of the tables gives, and how it went."""

    run: Any
    iterations: int
    residual: float
    converged: bool


@functools.partial(jax.jit, static_argnums=(0, 1), static_argnames=("reverse",), compiler_options=FAST_COMPILE)
def _solved(cell: Any, newton: Newton, problem: Problem, *, reverse: bool) -> Any:
    def values(params, inputs, state, reset_state):
        found = newton.solve(
            cell,
            params,
            inputs,
            state,
            lengths=problem.lengths,
            resets=problem.resets,
            reset_state=reset_state,
            reverse=reverse,
            noise=problem.noise,
        )
        return (found.outputs, found.final_state), found

    given = problem.params, problem.inputs, problem.state, problem.reset_state
    result, pullback, found = jax.vjp(values, *given, has_aux=True)
    return (result, pullback(problem.cotangents)), found


def solved(cell: Any, newton: Newton, problem: Problem, *, reverse: bool = False) -> Ran:
    """In float64."""
    with jax.enable_x64(True):
        run, found = _solved(cell, newton, widened(problem), reverse=reverse)
    return Ran(run, int(found.iterations), float(found.residual), bool(found.converged))


CASES = [
    *((name, DENSE, 17) for name in CELLS if name not in ("indrnn", "slstm")),
    *(
        (name, DIAGONAL, 17)
        for name, cell in CELLS.items()
        if isinstance(cell, PointwiseCell) and cell.elementwise and name != "slstm"
    ),
    *((name, DAMPED, 17) for name in ("gru", "para_lstm")),
    *((name, Newton(), time) for name in ("gru", "lstm", "para_lstm") for time in (1, 2, 3, 100)),
]
QUICK = [("gru", DENSE, 17), ("gru", DIAGONAL, 17), ("para_lstm", Newton(), 100)]


@pytest.mark.parametrize(
    ("name", "newton", "time"),
    [
        pytest.param(*case, id=f"{case[0]}-{case[1].method}-{case[1].damping}-{case[2]}", marks=marks)
        for case in CASES
        for marks in ([] if case in QUICK else [pytest.mark.slow],)
    ],
)
def test_values_and_gradients_are_the_oracles(name, newton, time):
    problem = make_problem(CELLS[name], "lengths_and_resets", time=time, batch=3)
    # Few resets, so that there is a recurrence to solve.
    resets = problem.resets & (np.arange(time) % 8 == 5)[:, None]
    problem, reverse = problem._replace(resets=resets), time % 2 == 1
    got = solved(CELLS[name], newton, problem, reverse=reverse)
    assert got.converged
    assert got.residual <= FLOAT64_RESIDUAL
    assert_runs_close(got.run, run_oracle(name, problem, reverse=reverse), **WIDE)


@pytest.mark.quick("lengths-False")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_and_direction(mode, reverse):
    problem = make_problem(CELLS["para_gru"], mode)
    got = solved(CELLS["para_gru"], Newton(), problem, reverse=reverse)
    assert got.converged
    assert_runs_close(got.run, run_oracle("para_gru", problem, reverse=reverse), **WIDE)


@pytest.mark.quick("True")
@pytest.mark.parametrize("reverse", [False, True])
def test_nan_in_the_padding_reaches_nothing(reverse):
    problem = make_problem(GRU(), "lengths_and_resets")
    padded = np.arange(len(problem.inputs))[:, None] >= problem.lengths
    poisoned = problem._replace(inputs=np.where(padded[..., None], np.float32(np.nan), problem.inputs))
    got = solved(GRU(), DIAGONAL, poisoned, reverse=reverse)
    assert got.converged
    ((outputs, final), gradients) = got.run
    assert not np.asarray(outputs)[padded].any()
    assert not np.asarray(gradients[1])[padded].any()
    np.testing.assert_array_equal(final.hidden[1], problem.state.hidden[1].astype(np.float64))
    assert_runs_close(got.run, run_oracle("gru", problem, reverse=reverse), **WIDE)


@pytest.mark.quick("diagonal")
@pytest.mark.parametrize("newton", [DENSE, DIAGONAL], ids=["dense", "diagonal"])
def test_zoneout_and_a_mask_of_the_state(newton):
    problem = make_problem(LSTM(), "lengths_and_resets")
    random = np.random.default_rng(3)
    mask: Any = 2 * (random.random(problem.state.hidden.shape) < 0.5).astype(np.float32)
    hold = {"hidden": np.float32(0.4), "cell": random.random((*problem.inputs.shape[:2], mask.shape[1])) < 0.5}
    noisy = problem._replace(noise=Noise(mask, hold))
    got = solved(LSTM(), newton, noisy, reverse=True)
    assert got.converged
    assert_runs_close(got.run, run_wide(LSTM(), Scan(), noisy, reverse=True), **WIDE)
    assert error(got.run, run_wide(LSTM(), Scan(), problem, reverse=True)) > 0.01


def test_a_cell_that_is_not_pointwise():
    problem = make_problem(Plain(), "lengths_and_resets")
    got = solved(Plain(), Newton(), problem)
    assert got.converged
    assert_runs_close(got.run, run_wide(Plain(), Scan(), problem), **WIDE)


@pytest.mark.parametrize("time", [0, 17])
def test_states_come_back_in_the_order_of_time(time):
    problem = arrays(make_problem(ParaGRU(), "lengths", time=time))
    given = ParaGRU(), problem.params, problem.inputs, problem.state
    options: Any = {"lengths": problem.lengths, "reverse": True}
    want = Scan()(*given, all_states=True, **options)
    assert_close(Newton()(*given, all_states=True, **options), want, "values")
    found = Newton().solve(*given, **options)
    assert isinstance(found, Solution)
    assert_close((found.outputs, found.final_state, found.states), want, "values")
    assert found.converged
    assert found.iterations <= 8


@pytest.mark.quick("gru")
@pytest.mark.parametrize("cell", [GRU(), ParaGRU()], ids=["gru", "para_gru"])
def test_float32_stays_close_to_float64(cell):
    problem = make_problem(cell, "lengths_and_resets", time=100)
    got = jax.jit(run_inside, static_argnums=(0, 1))(cell, DIAGONAL, problem)
    want = run_wide(cell, Scan(), problem)
    assert_runs_close(got, want, tolerance=FLOAT32_TOLERANCE, kind="float32 Newton")


def test_half_precision_is_solved_in_float32_and_keeps_its_dtypes():
    problem = make_problem(ParaGRU(), "lengths_and_resets")
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype == np.float32 else leaf, problem)
    got = jax.jit(run_inside, static_argnums=(0, 1))(ParaGRU(), Newton(), half)
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype(jnp.bfloat16)}
    # One rounding of inputs, parameters and results; largest error measured: 3.6e-3.
    assert_runs_close(got, run_wide(ParaGRU(), Scan(), problem), tolerance=2e-2, kind="bfloat16 Newton")


def test_second_derivatives_are_those_of_scan():
    problem = make_problem(GRU(), "lengths_and_resets", time=4, batch=2)

    @functools.partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
    def gradient_of_squared_gradients(recurrence, problem):
        def squares(params, inputs, state):
            _, gradients = run_inside(GRU(), recurrence, problem._replace(params=params, inputs=inputs, state=state))
            return sum((leaf**2).sum() for leaf in jax.tree.leaves(gradients))

        return jax.grad(squares, (0, 1, 2))(problem.params, problem.inputs, problem.state)

    with jax.enable_x64(True):
        got, want = (gradient_of_squared_gradients(each, widened(problem)) for each in (DENSE, Scan()))
    assert all(np.abs(leaf).max() > 0.1 for leaf in jax.tree.leaves(want))
    assert_close(got, want, "second derivatives", **WIDE)


def with_gain(gain: float, time: int) -> Problem:
    """An Elman network whose recurrent kernel is `gain` times an orthogonal matrix, and small inputs."""
    problem = make_problem(Elman(), time=time, batch=2, sizes=(3, 8), seed=1)
    kernel = np.linalg.qr(flat(problem.params)["recurrent_kernel"])[0]
    params = replaced(problem.params, recurrent_kernel=np.float32(gain * kernel), bias=np.zeros(8, np.float32))
    return problem._replace(params=params, inputs=0.1 * problem.inputs)


def test_a_contractive_recurrence_takes_few_iterations_at_any_length():
    counts = [solved(Elman(), DENSE, with_gain(0.5, time)).iterations for time in (17, 200)]
    assert counts[0] <= counts[1] <= 8
    # An approximate Jacobian has the same solution, and takes longer.
    problem = with_gain(0.5, 17)
    approximate = solved(Elman(), DIAGONAL, problem)
    assert counts[0] < approximate.iterations
    assert_runs_close(approximate.run, run_oracle("elman", problem), **WIDE)


def test_after_as_many_iterations_as_steps_every_method_is_there():
    problem, time = with_gain(3.0, 17), 17
    fixed_point = Newton(method="diagonal", damping=1.0, max_iterations=time)
    got = solved(Elman(), fixed_point, problem)
    assert got.converged
    assert 8 < got.iterations <= time
    assert_runs_close(got.run, run_oracle("elman", problem), tolerance=1e-9, kind="float64 chaotic")


CHAOTIC = Newton(method="diagonal", max_iterations=5)


def test_what_does_not_converge_falls_back_to_a_loop_and_says_so():
    problem = with_gain(4.0, 100)
    got = solved(Elman(), CHAOTIC, problem)
    assert not got.converged
    assert not got.residual <= FLOAT64_RESIDUAL
    assert got.iterations == 5
    # The loop's own numbers, though differences grow by 4 at each step: values bit for bit.
    want = run_wide(Elman(), Scan(), problem)
    assert_close(got.run[0], want[0], "values", **WIDE)
    # The gradients explode: relative to their size.
    assert_close(got.run[1], want[1], "gradients", **WIDE)


def test_an_iteration_that_overflows_falls_back_too():
    """Products of the Jacobians of a growing relu network are infinite, and the gradient of the first steps is not."""
    cell, time = Elman(activation="relu"), 40
    params = cell.init_params(jax.random.key(0), 1, 1)
    params = replaced(params, recurrent_kernel=jnp.array([[1000.0]]), bias=jnp.ones(1))
    inputs = jnp.zeros((time, 1, 1)).at[3].set(1e-3)
    start = cell.init_state(1, 1)

    def loss(recurrence, params):
        outputs, _ = recurrence(cell, params, inputs, start)
        return (outputs[:3] ** 2).sum()

    gradient = jax.jit(jax.grad(loss, 1), static_argnums=0, compiler_options=FAST_COMPILE)
    got, want = (gradient(each, params) for each in (DENSE, Scan()))
    # The states overflow, and with them the gradient of the kernel (0 times infinity), under a loop too.
    assert np.abs(want.input.bias).max() > 1
    assert_close(got.input.bias, want.input.bias, "gradients")


def test_what_does_not_converge_is_an_error_by_choice():
    problem = arrays(with_gain(4.0, 100))
    strict = dataclasses.replace(CHAOTIC, otherwise="error")
    given = problem.params, problem.inputs, problem.state
    message = r"Newton: expected a residual of at most 1.9e-06 after 5 iterations, got "
    with pytest.raises(ArithmeticError, match=message):
        strict(Elman(), *given)
    with pytest.raises(ArithmeticError, match=message):
        jax.grad(lambda params: strict(Elman(), params, *given[1:])[0].sum())(given[0])
    checked = jax.jit(checkify.checkify(lambda *given: strict(Elman(), *given)[0]))
    failed, _ = checked(*given)
    assert re.search(message, failed.get() or "")
    # Without checkify it does not compile: never a wrong number.
    with pytest.raises(ValueError, match="checkify"):
        jax.jit(lambda *given: strict(Elman(), *given)[0])(*given)
    fine = arrays(with_gain(0.1, 17))
    none, outputs = checked(fine.params, fine.inputs, fine.state)
    assert none.get() is None
    assert_close(outputs, strict(Elman(), fine.params, fine.inputs, fine.state)[0], "values")


def test_the_residual_is_that_of_the_equation():
    """With a coarse tolerance, the states are those of an iterate: their residual in NumPy is the reported one."""
    problem = make_problem(GRU(), time=17)
    coarse = Newton(method="diagonal", tolerance=1e-2)
    with jax.enable_x64(True):
        given = widened(problem)
        found = coarse.solve(GRU(), *arrays((given.params, given.inputs, given.state)))
    states = np.concatenate([given.state.hidden[None], found.states.hidden])
    params = flat(given.params)
    after = [
        [oracles.ORACLES["gru"].step(params, x, (h,))[0] for x, h in zip(*pair, strict=True)]
        for pair in zip(given.inputs, states[:-1], strict=True)
    ]
    want = (np.abs(states[1:] - after) / np.maximum(1, np.abs(states[1:]))).max()
    assert 1e-12 < want <= 1e-2
    np.testing.assert_allclose(found.residual, want, rtol=1e-6)


def test_forward_mode_is_refused():
    problem = arrays(make_problem(ParaGRU()))
    with pytest.raises(TypeError, match=r"recurrence Newton\(\): expected reverse-mode differentiation .* use .* Scan"):
        jax.jvp(
            lambda x: Newton()(ParaGRU(), problem.params, x, problem.state)[0], (problem.inputs,), (problem.inputs,)
        )


WRONG = {
    "method": ({"method": "elk"}, "method: expected one of ['dense', 'diagonal'], got 'elk'"),
    "damping": ({"damping": 1.5}, "damping: expected a number from 0 to 1, got 1.5"),
    "tolerance": ({"tolerance": -1.0}, "tolerance: expected at least 0, got -1.0"),
    "iterations": ({"max_iterations": 0}, "max_iterations: expected at least 1, got 0"),
    "guess": ({"first_guess": "zeros"}, "first_guess: expected one of ['step', 'initial'], got 'zeros'"),
    "otherwise": ({"otherwise": "nan"}, "otherwise: expected one of ['scan', 'error'], got 'nan'"),
}


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Newton(**options)


def test_cells_that_it_cannot_run_are_named():
    problem = arrays(make_problem(GRUResetBefore()))
    message = "method: expected 'dense' for a cell whose update is not elementwise, got 'diagonal' for GRUResetBefore"
    with pytest.raises(ValueError, match=message):
        DIAGONAL(GRUResetBefore(), problem.params, problem.inputs, problem.state)


def test_a_state_of_integers_is_refused():
    cell = Counter()
    params = cell.init_params(jax.random.key(0), 3, 4)
    with pytest.raises(ValueError, match="expected a state of real floating-point arrays, got int32; use Scan"):
        Newton()(cell, params, jnp.zeros((2, 5, 3)), cell.init_state(5, 4))
