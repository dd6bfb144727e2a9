"""Linear cells against the equations of their papers, and how they start."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear_cells import BATCH, HIDDEN, INPUT, LINEAR_CELLS, OPTIONS, ORACLES, inputs_of, linear_problem, parts
from reference import FLOAT64_TOLERANCE, assert_close
from tables import flat

from rnnjax import RNN, WeightNorm
from rnnjax.cells import LRU, RGLRU, S5, MinGRU, MinLSTM, step_jacobian
from rnnjax.cells.hippo import hippo_normal
from rnnjax.cells.rg_lru import bounded_sqrt
from rnnjax.maps import Dense
from rnnjax.recurrences import Associative, Scan
from rnnjax.testing import check_cell

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(7)
ALL = LINEAR_CELLS | OPTIONS
# Largest error measured: 2.2e-7.
FLOAT32_TOLERANCE = 1e-6


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ALL)
def test_a_run_is_the_papers_step_by_step(name, dtype):
    time, cell = 7, ALL[name]
    with jax.enable_x64(dtype == np.float64):
        problem = jax.tree.map(jnp.asarray, linear_problem(cell, time, dtype=dtype))
        params, inputs, start, again = problem.arrays
        run = jax.jit(functools.partial(Scan(), cell))
        outputs, final = run(params, inputs, start, lengths=problem.lengths, resets=problem.resets, reset_state=again)
    inputs, again, outputs, final, start = jax.device_get((inputs, again, outputs, final, start))
    problem = jax.device_get(problem)
    p = {field: np.asarray(leaf, np.float64) for field, leaf in flat(params).items()}
    want, last = np.zeros(outputs.shape), np.array(start.hidden)
    for b in range(BATCH):
        for t in range(problem.lengths[b]):
            before = again.hidden[b] if problem.resets[t, b] else last[b]
            last[b], want[t, b] = ORACLES[name](p, np.float64(inputs[t, b]), before)
    wide = dtype == np.float64
    options = {"tolerance": FLOAT64_TOLERANCE if wide else FLOAT32_TOLERANCE, "kind": np.dtype(dtype).name}
    assert_close(parts((outputs, final.hidden)), parts((want, last)), "values", **options)


def test_gates_far_from_zero_keep_their_small_numbers():
    # In float32, 1 - sigmoid(30) is 0, and sigmoid(-200) is 0 too, so that the LSTM's shares would be 0 / 0.
    state = jnp.array([[1e20]])
    params = MinGRU().init_params(KEY, 1, 1)
    params = params._replace(input=params.input._replace(kernel=jnp.zeros((1, 2)), bias=jnp.array([30.0, 0.0])))
    after = MinGRU().step(params, jnp.ones((1, 1)), MinGRU().init_state(1, 1)._replace(hidden=state)).hidden
    np.testing.assert_allclose(after, 1e20 * np.exp(-30.0), rtol=1e-6)
    params = MinLSTM().init_params(KEY, 1, 1)
    bias = jnp.array([-200.0, -201.0, 3.0])
    params = params._replace(input=params.input._replace(kernel=jnp.zeros((1, 3)), bias=bias))
    after = (
        MinLSTM().step(params, jnp.ones((1, 1)), MinLSTM().init_state(1, 1)._replace(hidden=jnp.ones((1, 1)))).hidden
    )
    share = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(after, [[share + 3 * (1 - share)]], rtol=1e-6)


def test_an_lru_starts_in_the_ring_with_a_density_that_grows_with_the_radius():
    r_min, r_max, angle = 0.4, 0.9, 0.5
    extras = LRU(r_min=r_min, r_max=r_max, max_angle=angle).init_params(KEY, 2, 20_000).extras
    radius = np.exp(-np.exp(np.float64(extras.log_rate)))
    assert r_min - 1e-6 <= radius.min()
    assert radius.max() <= r_max + 1e-6
    # The share of the ring's area within r; 20,000 draws are within 0.0096 of it with 95 percent probability.
    share = (np.sort(radius) ** 2 - r_min**2) / (r_max**2 - r_min**2)
    assert np.abs(share - (np.arange(20_000) + 0.5) / 20_000).max() < 0.012
    phase = np.exp(extras.log_angle)
    np.testing.assert_allclose([phase.min(), phase.mean(), phase.max()], [0, angle / 2, angle], atol=0.01)
    np.testing.assert_allclose(np.exp(extras.log_scale), np.sqrt(1 - radius**2), rtol=1e-4)


def test_an_rg_lru_starts_in_the_ring():
    cell = RGLRU(r_min=0.5, r_max=0.9)
    rate = np.float64(cell.init_params(KEY, 1000, 1000).extras.rate)
    radius = np.exp(-np.log1p(np.exp(rate)))
    np.testing.assert_allclose([radius.min(), radius.max()], [0.5, 0.9], atol=0.005)
    np.testing.assert_allclose((radius**2).mean(), (0.25 + 0.81) / 2, atol=0.02)


@functools.partial(jax.jit, static_argnums=0)
def states_of(cell, params, inputs):
    """All states of a run from zeros."""
    start = cell.init_state(inputs.shape[1], params.input.kernel.shape[-1] // 2, inputs.dtype)
    return Associative()(cell, params, inputs, start, all_states=True)[2]


@pytest.mark.parametrize("name", ["lru", "s5"])
def test_the_response_to_an_impulse_is_the_power_of_the_decay(name):
    cell, time = LINEAR_CELLS[name], 40
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, linear_problem(cell, 1).arrays[0])
        inputs = jnp.zeros((time, 1, INPUT)).at[0, 0, 1].set(1.0)
        decay, drive = cell.coefficients(params, inputs)
        states = states_of(cell, params, inputs)
        want = np.asarray(decay)[0, 0] ** np.arange(time)[:, None] * np.asarray(drive)[0, 0]
    assert_close(parts(states.hidden[:, 0]), parts(want), "values", tolerance=FLOAT64_TOLERANCE, kind="float64")


def test_the_scale_of_an_lru_keeps_the_size_of_its_inputs():
    cell, time, hidden = LRU(r_min=0.8, r_max=0.95), 1000, 64
    params = cell.init_params(KEY, 8, hidden)
    inputs = jax.random.normal(jax.random.key(1), (time, 4, 8))
    _, drive = cell.coefficients(params, inputs)
    given = drive / jnp.exp(params.extras.log_scale)
    states = states_of(cell, params, inputs).hidden[100:]
    # 1.00 here; without the scale the states would be 3 to 10 times as large in energy.
    ratio = (jnp.abs(states) ** 2).mean() / (jnp.abs(given) ** 2).mean()
    np.testing.assert_allclose(ratio, 1, atol=0.1)


def test_an_s5_starts_from_the_normal_part_of_hippo():
    size = 8
    root = np.sqrt(2 * np.arange(2 * size) + 1)
    hippo = -np.tril(np.outer(root, root), -1) - np.diag(np.arange(2 * size) + 1.0)
    normal = hippo + np.outer(root, root) / 2
    eigenvalues = np.linalg.eigvals(normal)
    np.testing.assert_allclose(eigenvalues.real, -0.5, atol=1e-10)
    extras = S5().init_params(KEY, 3, size).extras
    np.testing.assert_array_equal(extras.real, -0.5)
    np.testing.assert_allclose(np.sort(extras.imaginary), np.sort(eigenvalues.imag[eigenvalues.imag > 0]), rtol=1e-5)
    frequencies, vectors = hippo_normal(size)
    half = vectors * (-0.5 + 1j * frequencies) @ vectors.conj().T
    np.testing.assert_allclose(half + half.conj(), normal, atol=1e-10)
    steps = np.exp(S5().init_params(KEY, 3, 100).extras.log_step)
    np.testing.assert_allclose([steps.min(), steps.max()], [0.001, 0.1], rtol=0.1)


def test_s5_is_exact_for_inputs_that_are_constant_over_a_step():
    # The real system that 2 H = 2 states of one pair stand for, by many small Euler steps.
    cell, inputs = S5(), np.ones((1, 1, 1))
    with jax.enable_x64(True):
        params = linear_problem(cell, 1).arrays[0]
        params = jax.tree.map(lambda leaf: leaf[:1] if leaf.ndim == 1 else leaf, params)
        params = params._replace(
            input=params.input._replace(kernel=np.array([[1.0, 0.5]])),
            extras=params.extras._replace(output_kernel=np.ones((2, 1)), skip=np.ones(1)),
        )
        state = cell.init_state(1, 1, jnp.float64)
        got = Scan()(cell, params, jnp.asarray(inputs), state)[1].hidden
    rate = params.extras.real + 1j * params.extras.imaginary
    steps, h = 20_000, 0j
    for _ in range(steps):
        h = h + np.exp(params.extras.log_step) / steps * (rate * h + 1 + 0.5j)
    np.testing.assert_allclose(got[0], h, rtol=1e-4)


def test_the_slope_of_the_square_root_is_bounded():
    slopes = jax.vmap(jax.grad(bounded_sqrt))(jnp.array([0.0, 1e-12, 0.25]))
    np.testing.assert_allclose(slopes, [1000, 1000, 1], rtol=1e-5)
    np.testing.assert_array_equal(bounded_sqrt(jnp.array([0.0, 0.25])), [0, 0.5])


@pytest.mark.parametrize("name", LINEAR_CELLS)
def test_the_jacobian_of_a_step_is_the_decay(name):
    cell = LINEAR_CELLS[name]
    with jax.enable_x64(True):
        params, inputs, start, _ = jax.tree.map(jnp.asarray, linear_problem(cell, 1).arrays)
        got = step_jacobian(cell, params, inputs[0], start).hidden.hidden
        want = jax.jacfwd(
            lambda h: cell.step(params, inputs[0, :1], start._replace(hidden=h)).hidden[0],
            holomorphic=np.iscomplexobj(start.hidden),
        )(jnp.asarray(start.hidden[:1]))[:, 0]
    assert got.shape == (BATCH, HIDDEN, HIDDEN)
    assert_close(parts(got[0]), parts(want), "values", tolerance=FLOAT64_TOLERANCE, kind="float64")


def test_a_parametrized_kernel_is_computed():
    cell, plain = MinGRU(input_map=Dense(WeightNorm())), MinGRU()
    params = cell.init_params(KEY, INPUT, HIDDEN)
    settled, effective = cell.effective(params)
    assert settled.input_map == Dense()
    x, state = jnp.ones((2, INPUT)), cell.init_state(2, HIDDEN)
    np.testing.assert_array_equal(cell.step(params, x, state).hidden, plain.step(effective, x, state).hidden)
    # At the start the parametrized kernel is the one that was drawn.
    np.testing.assert_allclose(effective.input.kernel, plain.init_params(KEY, INPUT, HIDDEN).input.kernel, rtol=1e-6)


@pytest.mark.parametrize("name", LINEAR_CELLS)
def test_a_narrow_layer_keeps_a_wide_state_and_narrow_outputs(name):
    cell = LINEAR_CELLS[name]
    layer = RNN(cell, HIDDEN, Associative(), dtype=jnp.bfloat16)
    inputs = jnp.ones((2, 3, inputs_of(cell)))
    (outputs, final), _ = jax.eval_shape(lambda: layer.init_with_output(KEY, inputs))
    assert outputs.dtype == jnp.bfloat16
    assert final.hidden.dtype == (jnp.complex64 if cell.is_complex else jnp.float32)


WRONG = {
    "ring": (lambda: LRU(r_min=0.9, r_max=0.9), r"r_min, r_max: expected 0 <= r_min < r_max < 1, got 0.9 and 0.9"),
    "rg_ring": (lambda: RGLRU(r_max=1.0), r"r_min, r_max: expected 0 <= r_min < r_max < 1, got 0.9 and 1.0"),
    "angle": (lambda: LRU(max_angle=0.0), r"max_angle: expected a number above 0, got 0.0"),
    "sharpness": (lambda: RGLRU(sharpness=-1.0), r"sharpness: expected a number above 0, got -1.0"),
    "steps": (lambda: S5(step_min=0.2), r"step_min, step_max: expected 0 < step_min < step_max, got 0.2 and 0.1"),
    "sizes": (lambda: RGLRU().init_params(KEY, 3, 4), r"hidden_size: expected the size of the inputs, 3, got 4"),
    "axes": (lambda: LRU().init_params(KEY, 3, (4, 2)), r"hidden_size: expected one feature axis, .* got \(4, 2\)"),
    "s5_axes": (lambda: S5().init_params(KEY, 3, (4, 2)), r"hidden_size: expected one feature axis, .* got \(4, 2\)"),
    "no_size": (lambda: MinGRU().init_params(KEY, 3, 0), r"hidden_size: expected at least 1, got 0"),
}


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_and_sizes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAR_CELLS)
def test_linear_cells_pass_every_check(name):
    cell = LINEAR_CELLS[name]
    report = check_cell(cell, inputs_of(cell), HIDDEN, dtypes=["bfloat16"])
    assert "Associative()" in str(report)
    assert "Chunked(size=2, keep='boundaries')" in str(report)
