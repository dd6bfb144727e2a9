"""The cells with a further product in `update`: what they have, draw and refuse, and what a layer does with them."""

import copy
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import FLOAT64_TOLERANCE, assert_close
from tables import BATCH, HIDDEN, INPUT, WIDE, assert_runs_close, make_problem, run_wide

from rnnjax import LSTMP, RNN, Chunked, Conv, CoRNN, Dense, FullGateLSTM, GRUResetBefore, MultiplicativeLSTM, Scan
from rnnjax.cells import GRU, LSTM, HiddenState, PeepholeLSTM
from rnnjax.dropout import drop_weights
from rnnjax.layers import FlaxCell
from rnnjax.parametrizations import Orthogonal, WeightNorm
from rnnjax.recurrences import Noise

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(7)
CELLS = [GRUResetBefore(), FullGateLSTM(), MultiplicativeLSTM(), LSTMP(projection=2)]
cells = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: type(cell).__name__)


def run_layer(layer, variables, *given) -> Any:
    return layer.apply(variables, *given)


def fields(extras):
    """The extras by name."""
    return extras if isinstance(extras, dict) else extras._asdict()


def shapes(cell):
    return jax.tree.map(lambda leaf: leaf.shape, cell.init_params(KEY, INPUT, HIDDEN))


def arrays(cell, **options):
    problem = make_problem(cell, time=1, **options)
    return jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))


def test_the_kernels_have_the_blocks_that_they_make():
    i, h = INPUT, HIDDEN
    own = {type(cell): shapes(cell) for cell in CELLS}
    kernels = {
        cell: (each.input.kernel, each.recurrent.kernel, list(fields(each.extras).values())[-1])
        for cell, each in own.items()
    }
    assert kernels == {
        GRUResetBefore: ((i, 3 * h), (h, 2 * h), (h, h)),
        FullGateLSTM: ((i, 4 * h), (h, 4 * h), (3 * h, 3 * h)),
        MultiplicativeLSTM: ((i, 5 * h), (h, h), (h, 4 * h)),
        LSTMP: ((i, 4 * h), (2, 4 * h), (h, 2)),
    }


@pytest.mark.parametrize(
    ("cell", "name"),
    [(GRUResetBefore(), "candidate_kernel"), (FullGateLSTM(), "gate_kernel"), (MultiplicativeLSTM(), "gate_kernel")],
)
def test_each_block_of_a_further_recurrent_kernel_is_orthogonal(cell, name):
    kernel = np.asarray(fields(cell.init_params(KEY, INPUT, HIDDEN).extras)[name])
    for rows in np.split(kernel, kernel.shape[0] // HIDDEN):
        for block in np.split(rows, kernel.shape[1] // HIDDEN, axis=1):
            np.testing.assert_allclose(block @ block.T, np.eye(HIDDEN), atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "bias"),
    [(FullGateLSTM(forget_bias=2.0), [0, 2, 0, 0]), (MultiplicativeLSTM(forget_bias=2.0), [0, 0, 2, 0, 0])],
)
def test_the_forget_bias_is_in_its_block(cell, bias):
    np.testing.assert_array_equal(cell.init_params(KEY, INPUT, 1).input.bias, bias)


@cells
def test_a_cell_is_a_value(cell):
    assert copy.deepcopy(cell) == cell
    assert dataclasses.replace(cell) == cell
    assert not cell.elementwise


def test_full_gates_that_read_nothing_are_the_peephole_lstm():
    cell = FullGateLSTM()
    params, x, state = arrays(cell)
    blind = params._replace(extras=params.extras._replace(gate_kernel=jnp.zeros((3 * HIDDEN, 3 * HIDDEN))))
    own = PeepholeLSTM().init_params(KEY, INPUT, HIDDEN)
    peephole = own._replace(input=params.input, recurrent=params.recurrent, extras=type(own.extras)(*params.extras[:3]))
    want = PeepholeLSTM().step(peephole, x, PeepholeLSTM().state_type(*state[:2]))
    assert_close(cell.step(blind, x, state)[:2], tuple(want), "values")
    assert np.abs(cell.step(params, x, state).hidden - want.hidden).max() > 1e-2


def test_a_projection_that_changes_nothing_is_the_lstm():
    cell = LSTMP(projection=HIDDEN)
    params, x, state = arrays(cell)
    same = params._replace(extras=params.extras._replace(projection=jnp.eye(HIDDEN)))
    assert_close(cell.step(same, x, state), LSTM().step(params._replace(extras=None), x, state), "values")
    assert LSTMP(projection=7).init_state(2, 5).hidden.shape == (2, 7)


@pytest.mark.slow
@pytest.mark.parametrize("parametrization", [WeightNorm(), Orthogonal()])
@pytest.mark.parametrize("kind", [GRUResetBefore, MultiplicativeLSTM])
def test_a_parametrization_holds_for_the_further_kernel_too(kind, parametrization):
    cell, plain = kind(recurrent_map=Dense(parametrization)), kind()
    params, x, state = arrays(cell, dtype=np.float64)
    (name,) = cell.further_kernels
    with jax.enable_x64(True):
        kernels = plain.init_params(KEY, INPUT, HIDDEN)
        kernels = kernels._replace(
            input=params.input,
            recurrent=params.recurrent._replace(kernel=parametrization.kernel(params.recurrent.kernel)),
            extras={name: parametrization.kernel(params.extras[name])},
        )
        got, want = cell.step(params, x, state), plain.step(kernels, x, state)
    assert_close(got, want, "values", tolerance=FLOAT64_TOLERANCE, kind="float64")
    if parametrization == Orthogonal():  # whose exponential takes long to compile
        return
    problem = make_problem(cell, "lengths_and_resets")
    got, want = (run_wide(cell, recurrence, problem) for recurrence in (Chunked(3, "gates"), Scan()))
    assert_runs_close(got, want, **WIDE)


def test_a_further_kernel_of_another_size_is_named():
    params, x, state = arrays(GRUResetBefore())
    wrong = params._replace(extras={"candidate_kernel": jnp.zeros((2, HIDDEN))})
    with pytest.raises(ValueError, match=r"params\.extras\['candidate_kernel'\]: expected shape .*, got \(2, 4\)"):
        Scan()(GRUResetBefore(), wrong, x[None], state)


def test_convolutions_make_it_the_convolutional_gru():
    cell = GRUResetBefore(input_map=Conv((3,)), recurrent_map=Conv((3,)))
    sizes = (5, 2), (5, 3)
    params = cell.init_params(KEY, *sizes)
    assert params.extras["candidate_kernel"].shape == (3, 3, 3)
    x = jax.random.normal(KEY, (2, 5, 2))
    state = cell.init_state(2, sizes[1])._replace(hidden=jax.random.normal(KEY, (2, 5, 3)))
    moved = state._replace(hidden=state.hidden.at[:, 0].add(1.0))
    changed = np.abs(cell.step(params, x, state).hidden - cell.step(params, x, moved).hidden).max(axis=(0, 2))
    # The reset gate sees one place away, and what it gates is seen another one away.
    assert (changed[:3] > 1e-5).all()
    np.testing.assert_array_equal(changed[3:], [0, 0])


@pytest.mark.parametrize(
    "cell", [GRUResetBefore(), MultiplicativeLSTM(), CoRNN()], ids=lambda cell: type(cell).__name__
)
def test_weight_dropout_reaches_the_further_kernel_too(cell):
    (name,) = cell.further_kernels
    params, *_ = arrays(cell)
    dropped = drop_weights(KEY, cell, params, 0.5)
    pairs = (params.recurrent.kernel, dropped.recurrent.kernel), (params.extras[name], dropped.extras[name])
    for before, after in pairs:
        kept = np.asarray(after) != 0
        assert 0 < kept.mean() < 1
        np.testing.assert_array_equal(after, np.where(kept, 2 * np.asarray(before), 0))
    np.testing.assert_array_equal(dropped.input.kernel, params.input.kernel)


@pytest.mark.quick("LSTMP")
@cells
def test_a_layer_gives_the_same_under_both_recurrences_with_all_that_it_has(cell):
    inputs = jax.random.normal(KEY, (BATCH, 6, INPUT))
    options = {"lengths": np.array([6, 0, 1, 4, 5]), "resets": np.arange(30).reshape(BATCH, 6) % 4 == 3}

    def outputs(recurrence):
        layer = RNN(
            cell,
            HIDDEN,
            recurrence,
            learn_initial_state=True,
            state_dropout=0.3,
            weight_dropout=0.3,
            output_dropout=0.2,
            zoneout={"cell": 0.3} if "cell" in cell.state_type._fields else 0.3,
        )
        variables = layer.init(jax.random.key(1), inputs)
        variables = jax.tree.map(lambda leaf: leaf + 0.1, variables)
        return jax.jit(layer.apply)(variables, inputs, rngs={"dropout": jax.random.key(2)}, **options)

    got, want = outputs(Chunked(4, "boundaries")), outputs(Scan())
    assert want[0].shape == (BATCH, 6, 2 if isinstance(cell, LSTMP) else HIDDEN)
    assert np.abs(want[0]).max() > 0.1
    assert_close(got, want, "values")


@cells
def test_states_and_outputs_stay_in_bfloat16(cell):
    layer = RNN(cell, HIDDEN, dtype=jnp.bfloat16)
    inputs = jax.random.normal(KEY, (BATCH, 6, INPUT))
    variables = layer.init(KEY, inputs)
    outputs, final = run_layer(layer, variables, inputs)
    assert {leaf.dtype for leaf in (outputs, *final)} == {jnp.dtype(jnp.bfloat16)}
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    wide, _ = run_layer(layer.clone(dtype=None), variables, inputs)
    np.testing.assert_allclose(outputs.astype(jnp.float32), wide, atol=0.05)


def test_a_projected_state_under_noise_and_from_flax():
    cell = LSTMP(projection=2)
    problem = make_problem(cell)
    random = np.random.default_rng(0)
    noise = Noise(
        jnp.asarray((random.random((BATCH, 2)) < 0.5) * 2.0), {"hidden": 0.3, "cell": random.random((8, BATCH, HIDDEN))}
    )
    got, want = (
        jax.jit(each, static_argnums=0)(cell, problem.params, problem.inputs, problem.state, noise=noise)
        for each in (Chunked(3), Scan())
    )
    assert_close(got, want, "values")
    flax_cell = FlaxCell(cell, HIDDEN)
    x = jnp.asarray(problem.inputs[0])
    carry = flax_cell.initialize_carry(KEY, (BATCH, INPUT))
    assert [leaf.shape for leaf in carry] == [(BATCH, 2), (BATCH, HIDDEN)]
    variables = flax_cell.init(KEY, carry, x)
    _, outputs = run_layer(flax_cell, variables, carry, x)
    assert outputs.shape == (BATCH, 2)


def test_what_they_cannot_be_is_named():
    with pytest.raises(ValueError, match="projection: expected at least 1, got 0"):
        LSTMP(projection=0)
    for cell in (FullGateLSTM(input_map=Conv((3,)), recurrent_map=Conv((3,))), LSTMP(projection=2)):
        with pytest.raises(ValueError, match=r"hidden_size: expected one feature axis, .*, got \(4, 2\)"):
            cell.init_params(KEY, (4, 1), (4, 2))
    with pytest.raises(ValueError, match="hidden_size: expected at least 1, got 0"):
        LSTMP(projection=2).init_params(KEY, INPUT, 0)


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize("kind", [GRUResetBefore, MultiplicativeLSTM])
def test_without_a_recurrent_map_they_are_refused(kind):
    with pytest.raises(ValueError, match=r"recurrent_map: expected a map, since .*, got None"):
        kind(recurrent_map=None)


@pytest.mark.usefixtures("without_annotation_checks")
def test_a_projected_state_of_another_size_is_named():
    cell = LSTMP(projection=2)
    problem = make_problem(cell)
    with pytest.raises(ValueError, match=r"params.input.kernel: expected shape \(3, 20\) .*, got \(3, 16\)"):
        Scan()(cell, problem.params, problem.inputs, cell.init_state(BATCH, HIDDEN + 1))
    with pytest.raises(ValueError, match=r"initial_state.hidden: expected shape \(5, 2\), got \(5, 3\)"):
        Scan()(cell, problem.params, problem.inputs, LSTMP(projection=3).init_state(BATCH, HIDDEN))


class Twice(GRUResetBefore):
    """One further kernel, read under another name."""

    def update(self, extras, inputs, recurrent, state):
        return HiddenState(self.further_product(extras, "another", state.hidden))


class Lost(GRUResetBefore):
    """Extras of its own in place of those that it has."""

    def init_extras(self, key, inputs, hidden, dtype):
        return {"gain": jnp.ones(hidden, dtype)}


def test_further_kernels_that_do_not_fit_are_named():
    cell = Twice()
    with pytest.raises(ValueError, match=r"further_product: expected one of .*\['candidate_kernel'\], got 'another'"):
        cell.step(*arrays(cell))
    with pytest.raises(
        ValueError, match=r"extras: expected 'candidate_kernel', which is one of further_kernels; an init"
    ):
        Lost().step(Lost().init_params(KEY, INPUT, HIDDEN), jnp.ones((2, INPUT)), Lost().init_state(2, HIDDEN))
    for wrong in ({"candidate_kernel": 0}, ("candidate_kernel",)):
        kind = type("Wrong", (GRUResetBefore,), {"further_kernels": wrong})
        with pytest.raises(ValueError, match="further_kernels: expected names with the number of blocks of each, got"):
            kind()


def test_pre_activations_are_of_the_kernels_that_are_meant():
    cell = GRU(recurrent_map=Dense(WeightNorm()))
    params, x, state = arrays(cell)
    params = params._replace(
        recurrent=params.recurrent._replace(
            kernel=params.recurrent.kernel._replace(gain=2 * params.recurrent.kernel.gain)
        )
    )
    plain, meant = cell.effective(params)
    assert_close(cell.pre_activations(params, x, state.hidden), plain.pre_activations(meant, x, state.hidden), "values")
    _, recurrent = cell.pre_activations(params, x, state.hidden)
    assert np.abs(recurrent - state.hidden @ params.recurrent.kernel.direction).max() > 0.01
