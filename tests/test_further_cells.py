"""What the further cells have and do that the classics do not: parts taken out, gains, no recurrent kernel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import assert_close
from tables import BATCH, CELLS, HIDDEN, INPUT, LSTM_VARIANTS, make_problem, replaced

from rnnjax import uniform
from rnnjax.cells import LSTM, IndRNN, LayerNormLSTM, ParaGRU, ParaLSTM, PeepholeLSTM
from rnnjax.recurrences import Scan

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(3)
BLOCK = (INPUT + HIDDEN + 1) * HIDDEN


def size(cell):
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(lambda: cell.init_params(KEY, INPUT, HIDDEN))))


SIZES = {
    "no_input_gate": 3 * BLOCK + 2 * HIDDEN,
    "no_forget_gate": 3 * BLOCK + 2 * HIDDEN,
    "no_output_gate": 3 * BLOCK + 2 * HIDDEN,
    "no_input_activation": 4 * BLOCK + 3 * HIDDEN,
    "no_output_activation": 4 * BLOCK + 3 * HIDDEN,
    "coupled": 3 * BLOCK + 2 * HIDDEN,
    "no_peepholes": 4 * BLOCK,
}


def test_a_variant_has_the_parameters_that_it_reads():
    assert {name: size(cell) for name, cell in LSTM_VARIANTS.items()} == SIZES
    assert size(PeepholeLSTM()) == 4 * BLOCK + 3 * HIDDEN
    assert size(PeepholeLSTM(coupled=True, peepholes=False, output_gate=False)) == 2 * BLOCK
    assert size(PeepholeLSTM(input_gate=False, forget_gate=False, output_gate=False)) == BLOCK
    assert size(IndRNN()) == INPUT * HIDDEN + 2 * HIDDEN
    assert size(ParaGRU()) == 3 * (INPUT * HIDDEN + 2 * HIDDEN)
    assert size(ParaLSTM()) == 3 * (INPUT * HIDDEN + 2 * HIDDEN) + 2 * HIDDEN


@pytest.mark.quick("coupled", "no_input_gate")
@pytest.mark.parametrize("name", LSTM_VARIANTS)
def test_every_parameter_of_a_variant_is_read(name):
    cell, problem = LSTM_VARIANTS[name], make_problem(LSTM_VARIANTS[name])
    state = jax.tree.map(jnp.asarray, problem.state)

    def loss(params):
        return sum((leaf**2).sum() for leaf in cell.step(params, jnp.asarray(problem.inputs[0]), state))

    gradients = jax.grad(loss)(jax.tree.map(jnp.asarray, problem.params))
    assert all(np.abs(leaf).min() > 1e-5 for leaf in jax.tree.leaves(gradients))


def test_without_peepholes_it_is_the_lstm_from_the_same_start():
    cell = LSTM_VARIANTS["no_peepholes"]
    params, own = LSTM().init_params(KEY, INPUT, HIDDEN), cell.init_params(KEY, INPUT, HIDDEN)
    assert not jax.tree.leaves(own.extras)
    jax.tree.map(np.testing.assert_array_equal, own._replace(extras=None), params)
    problem = make_problem(LSTM())
    x, state = jnp.asarray(problem.inputs[0]), jax.tree.map(jnp.asarray, problem.state)
    assert_close(cell.step(own, x, state), LSTM().step(params, x, state), "values")
    # With peepholes it is another one, from the same maps.
    seeing = PeepholeLSTM().init_params(KEY, INPUT, HIDDEN)
    np.testing.assert_array_equal(seeing.input.kernel, params.input.kernel)
    assert np.abs(PeepholeLSTM().step(seeing, x, state).hidden - LSTM().step(params, x, state).hidden).max() > 1e-3
    blind = seeing._replace(extras=jax.tree.map(jnp.zeros_like, seeing.extras))
    assert_close(PeepholeLSTM().step(blind, x, state), LSTM().step(params, x, state), "values")


def test_peepholes_start_small_and_each_for_itself():
    params = PeepholeLSTM().init_params(KEY, INPUT, 100)
    peepholes = np.stack(params.extras)
    np.testing.assert_allclose(peepholes.std(axis=1), 0.1, rtol=0.25)
    assert np.abs(np.corrcoef(peepholes) - np.eye(3)).max() < 0.3


def test_the_forget_bias_is_where_forgetting_is():
    def bias(**options):
        return PeepholeLSTM(forget_bias=2.0, **options).init_params(KEY, INPUT, 1).input.bias

    np.testing.assert_array_equal(bias(), [0, 2, 0, 0])
    np.testing.assert_array_equal(bias(input_gate=False), [2, 0, 0])
    np.testing.assert_array_equal(bias(forget_gate=False), [0, 0, 0])
    # 1 - sigmoid(-2) is sigmoid(2).
    np.testing.assert_array_equal(bias(coupled=True), [-2, 0, 0])
    np.testing.assert_array_equal(ParaLSTM(forget_bias=2.0).init_params(KEY, INPUT, 1).input.bias, [2, 0, 0])


def test_a_coupling_wants_both_gates():
    with pytest.raises(ValueError, match="coupled: expected both gates, got input_gate=False and forget_gate=True"):
        PeepholeLSTM(coupled=True, input_gate=False)
    with pytest.raises(ValueError, match="coupled: expected both gates, got input_gate=True and forget_gate=False"):
        PeepholeLSTM(coupled=True, forget_gate=False)


def test_layer_norm_mixes_features_and_no_rows():
    problem = make_problem(LayerNormLSTM())
    params, x, state = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))
    moved = x.at[2, 0].add(0.5)
    before, after = (LayerNormLSTM().step(params, each, state).hidden for each in (x, moved))
    assert np.abs(before - after)[2].min() > 1e-3
    np.testing.assert_array_equal(np.delete(before, 2, axis=0), np.delete(after, 2, axis=0))


def test_layer_norm_makes_the_scale_of_the_maps_nothing():
    problem = make_problem(LayerNormLSTM())
    params, x, state = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))
    scaled = replaced(params, kernel=3 * params.input.kernel, recurrent_kernel=5 * params.recurrent.kernel)
    # But for what is added to the variance.
    after, same = (LayerNormLSTM().step(each, x, state).hidden for each in (params, scaled))
    np.testing.assert_allclose(after, same, atol=1e-4)


def test_a_layer_norm_lstm_starts_as_an_lstm_does():
    cells = LayerNormLSTM(forget_bias=2.0), LSTM(forget_bias=2.0)
    params, lstm = (cell.init_params(KEY, INPUT, HIDDEN) for cell in cells)
    for leaf, same in ((params.input.kernel, lstm.input.kernel), (params.extras.shift, lstm.input.bias)):
        np.testing.assert_array_equal(leaf, same)
    np.testing.assert_array_equal(params.recurrent.kernel, lstm.recurrent.kernel)
    for gain, width in ((params.extras.input_gain, 4), (params.extras.recurrent_gain, 4), (params.extras.cell_gain, 1)):
        np.testing.assert_array_equal(gain, np.ones(width * HIDDEN))
    np.testing.assert_array_equal(params.extras.cell_shift, np.zeros(HIDDEN))


@pytest.mark.parametrize("name", ["para_gru", "para_lstm"])
def test_units_of_a_cell_of_vectors_see_themselves_only(name):
    problem = make_problem(CELLS[name])
    params, x, state = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))
    jacobian = jax.jacobian(lambda before: CELLS[name].step(params, x, before))(state)
    blocks = np.stack(jax.tree.leaves(jacobian))[:, 0, :, 0]
    others = ~np.eye(HIDDEN, dtype=bool)
    assert (blocks[:, others] == 0).all()
    assert (np.abs(blocks[:, ~others]) > 1e-3).all()


@pytest.mark.parametrize("cell", [IndRNN, LayerNormLSTM, ParaGRU, ParaLSTM])
def test_a_second_bias_that_could_do_nothing_is_refused(cell):
    with pytest.raises(ValueError, match=r"second_bias.*False.*, got (second_bias=)?True"):
        cell(second_bias=True)


def test_an_indrnns_units_draw_their_weights_and_see_themselves_only():
    weights = np.asarray(IndRNN().init_params(KEY, INPUT, 1000).extras.recurrent_weight)
    np.testing.assert_allclose([weights.min(), weights.mean(), weights.max()], [0, 0.5, 1], atol=0.03)
    params = IndRNN(recurrent_init=uniform(0.9, 2 ** (1 / 10))).init_params(KEY, INPUT, 1000)
    weights = np.asarray(params.extras.recurrent_weight)
    assert 0.9 <= weights.min() < 0.902
    assert 1.07 < weights.max() <= 2 ** (1 / 10)
    problem = make_problem(IndRNN())
    params, x, state = jax.tree.map(jnp.asarray, (problem.params, problem.inputs[0], problem.state))
    jacobian = jax.jacobian(lambda hidden: IndRNN().step(params, x, state._replace(hidden=hidden)).hidden[0])
    jacobian = jacobian(state.hidden)[:, 0]
    alive = np.diag(jacobian) != 0
    assert alive.any()
    np.testing.assert_array_equal(jacobian, np.diag(alive * problem.params.extras.recurrent_weight))


def test_uniform_wants_a_range():
    with pytest.raises(ValueError, match=r"expected low < high, got 1.0 and 1.0"):
        uniform(1.0, 1.0)
    assert IndRNN(recurrent_init=uniform(0.0, 1.5)) == IndRNN(recurrent_init=uniform(0.0, 1.5))


@pytest.mark.usefixtures("without_annotation_checks")
def test_a_state_of_another_size_is_named_where_there_is_no_recurrent_kernel():
    problem = make_problem(CELLS["indrnn"])
    state = IndRNN().init_state(BATCH, HIDDEN + 2)
    with pytest.raises(ValueError, match=r"input.kernel: expected shape \(3, 6\) .*, got \(3, 4\)"):
        Scan()(IndRNN(), problem.params, problem.inputs, state)
