"""The ConvLSTM: over one to three axes, with and without peepholes, as a value and in a layer."""

import copy
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from reference import FLOAT64_TOLERANCE, assert_close
from tables import flat

from rnnjax import LSTM, RNN, Chunked, Conv, ConvLSTM, Scan, StackedRNN

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(6)


def initial(cell, *sizes) -> Any:
    return cell.init_params(KEY, *sizes)


def random_tree(tree, seed=0):
    random = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: random.normal(size=leaf.shape), tree)


@pytest.mark.quick("window1*")
@pytest.mark.parametrize(
    ("window", "spatial"), [((3,), (5,)), ((2,), (4,)), ((3, 2), (4, 3)), ((5, 1), (2, 3)), ((2, 3, 1), (3, 2, 2))]
)
def test_a_step_over_any_number_of_axes_is_the_oracles(window, spatial):
    cell = ConvLSTM(window=window, peepholes=True)
    sizes = (*spatial, 2), (*spatial, 3)
    params = random_tree(cell.init_params(KEY, *sizes))
    x, state = np.ones((2, *sizes[0])), cell.init_state(2, sizes[1])
    x, state = random_tree((x, state), seed=1)
    with jax.enable_x64(True):
        got = cell.step(*jax.tree.map(jnp.asarray, (params, x, state)))
    want = [oracles.ORACLES["conv_lstm"].step(flat(params), x[b], tuple(leaf[b] for leaf in state)) for b in range(2)]
    want = type(state)(*(np.stack(rows) for rows in zip(*want, strict=True)))
    assert_close(got, want, "values", tolerance=FLOAT64_TOLERANCE, kind="float64")


def test_peepholes_belong_to_places_and_are_there_on_request():
    plain, peeping = (initial(ConvLSTM(peepholes=each), (4, 5, 2), (4, 5, 3)) for each in (False, True))
    assert plain.input.kernel.shape == (3, 3, 2, 12)
    assert plain.recurrent.kernel.shape == (3, 3, 3, 12)
    assert not jax.tree.leaves(plain.extras)
    assert [leaf.shape for leaf in peeping.extras] == [(4, 5, 3)] * 3
    # Without them the same weights take an image of any size.
    cell, x = ConvLSTM(), jax.random.normal(KEY, (1, 7, 6, 2))
    assert cell.step(plain, x, cell.init_state(1, (7, 6, 3))).hidden.shape == (1, 7, 6, 3)


def test_without_peepholes_it_is_an_lstm_with_convolutions():
    sizes = (4, 5, 2), (4, 5, 3)
    twin = LSTM(input_map=Conv((3, 3)), recurrent_map=Conv((3, 3)))
    params, same = (initial(cell, *sizes) for cell in (ConvLSTM(), twin))
    np.testing.assert_array_equal(params.input.bias.reshape(4, 3), [[0] * 3, [1] * 3, [0] * 3, [0] * 3])
    assert_close((params.input, params.recurrent), (same.input, same.recurrent), "values")
    x, state = (
        jax.random.normal(KEY, (2, 4, 5, 2)),
        jax.tree.map(jnp.asarray, random_tree(twin.init_state(2, sizes[1]))),
    )
    state = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), state)
    np.testing.assert_array_equal(ConvLSTM().step(params, x, state).hidden, twin.step(same, x, state).hidden)


@pytest.mark.usefixtures("without_annotation_checks")
def test_window_and_maps_are_one():
    sizes: Any = [3, 5]
    cell = ConvLSTM(window=sizes)
    assert cell.window == (3, 5)
    assert cell.input_map == cell.recurrent_map == Conv((3, 5))
    wider = dataclasses.replace(cell, window=(7, 7))
    assert wider == ConvLSTM(window=(7, 7))
    assert wider.input_map == Conv((7, 7))
    assert copy.deepcopy(wider) == wider
    assert hash(copy.deepcopy(wider)) == hash(wider) != hash(cell)
    options: Any = {"input_map": Conv((3, 3))}
    with pytest.raises(TypeError, match="input_map"):
        ConvLSTM(**options)


@pytest.mark.parametrize("window", [(), (3, 3, 3, 3), (3, 0)])
def test_a_window_that_cannot_be_is_named(window):
    with pytest.raises(ValueError, match=r"window: expected 1 to 3 sizes of at least 1, got \("):
        ConvLSTM(window=window)


def test_sizes_that_do_not_fit_are_named():
    message = r"Conv: expected inputs with the spatial axes \(4, 5\) of the state and channels, got \(4, 4, 2\)"
    with pytest.raises(ValueError, match=message):
        ConvLSTM().init_params(KEY, (4, 4, 2), (4, 5, 2))


@pytest.mark.slow
def test_layers_of_it_run_under_both_recurrences_with_all_that_a_layer_has():
    inputs = 3 * jax.random.normal(KEY, (3, 6, 4, 3, 1))
    lengths = np.array([6, 0, 1])

    def stack(recurrence, **options):
        layers = [
            RNN(ConvLSTM(), (4, 3, 2), recurrence, learn_initial_state=True, **options),
            RNN(ConvLSTM(window=(1, 3), peepholes=True), (4, 3, 2), recurrence, reverse=True),
        ]
        return StackedRNN(tuple(layers))

    options = {"state_dropout": 0.3, "weight_dropout": 0.3, "input_dropout": 0.2, "zoneout": {"cell": 0.4}}
    variables = stack(Scan(), **options).init(KEY, inputs)
    rngs = {"dropout": jax.random.key(1)}
    got, want = (
        jax.jit(stack(each, **options).apply)(variables, inputs, lengths=lengths, rngs=rngs)
        for each in (Chunked(4), Scan())
    )
    assert want[0].shape == (3, 6, 4, 3, 2)
    assert np.abs(want[0]).max() > 0.1
    np.testing.assert_array_equal(want[0][1], np.zeros((6, 4, 3, 2)))
    assert_close(got, want, "values")


def test_it_stays_in_bfloat16():
    layer = RNN(ConvLSTM(peepholes=True), (4, 3, 2), dtype=jnp.bfloat16)
    inputs = jax.random.normal(KEY, (2, 5, 4, 3, 1))
    run: Any = layer.apply
    outputs, final = run(layer.init(KEY, inputs), inputs)
    assert {leaf.dtype for leaf in (outputs, *final)} == {jnp.dtype(jnp.bfloat16)}
