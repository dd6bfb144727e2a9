"""Regularisation as options of a layer: what is drawn, and that recurrences and parts of a batch get the same."""

import functools
import re
from collections import Counter
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE, apply, make_problem, swap, variables_of
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from reference import assert_close
from tables import BATCH, HIDDEN, INPUT, TIME
from test_noise import NO_MAP
from test_recurrences import Mixing

from rnnjax.cells import GRU, LSTM, Elman
from rnnjax.layers import RNN, Bidirectional, StackedRNN, cell_params
from rnnjax.models import LanguageModel, SequenceClassifier
from rnnjax.recurrences import Chunked, Recurrence, Scan

pytestmark = pytest.mark.usefixtures("quick_compile")

DROPOUTS = ("input_dropout", "output_dropout", "state_dropout", "weight_dropout")
OPTIONS = (*DROPOUTS, "zoneout")
ALL: dict[str, Any] = dict.fromkeys(DROPOUTS, 0.4) | {"zoneout": {"hidden": 0.2, "cell": 0.5}}
# Standard deviations of a mean of independent draws that are taken for chance.
CHANCE = 5


class Recorder(Recurrence):
    """A recurrence that keeps what it was called with, and runs nothing."""

    def run(self, cell, problem, reverse, all_states):
        raise AssertionError("not called")

    def __call__(self, cell, params, inputs, state, **options):
        self.params, self.inputs, self.noise = params, inputs, options["noise"]
        return jnp.zeros((*inputs.shape[:2], state.hidden.shape[-1])), state


def training(seed=0) -> dict[str, Any]:
    return {"deterministic": False, "rngs": {"dropout": jax.random.key(seed)}}


def train(layer, variables, *args, seed=0, **options) -> Any:
    return apply(layer, variables, *args, **training(seed), **options)


def recorded(batch=64, time=20, hidden=30, *, seed=0, deterministic=False, **options) -> Any:
    """What an LSTM layer with options gave its recurrence, from inputs of ones, and its variables."""
    recorder = Recorder()
    layer = RNN(LSTM(), hidden, recorder, **options)
    inputs = jnp.ones((batch, time, INPUT))
    variables = layer.init(jax.random.key(0), inputs)
    layer.apply(variables, inputs, **({} if deterministic else training(seed)))
    return recorder, variables["params"]["cell"]


def lstm_arguments():
    problem = make_problem(LSTM(), "lengths_and_resets")
    return variables_of(problem), (swap(problem.inputs), problem.state, problem.lengths, swap(problem.resets))


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_acts_in_training_drawn_anew_from_every_key(option):
    variables, arguments = lstm_arguments()
    plain = RNN(LSTM(), HIDDEN, Scan())
    layer = plain.clone(**{option: ALL[option]})
    outputs, final = train(layer, variables, *arguments)
    np.testing.assert_array_equal(train(layer, variables, *arguments)[0], outputs)
    assert np.abs(train(layer, variables, *arguments, seed=1)[0] - outputs).max() > 0.1
    want, want_final = apply(plain, variables, *arguments)
    assert np.abs(want - outputs).max() > 0.1
    same = apply(layer, variables, *arguments)[0] == want
    assert bool(same.all()) == (option != "zoneout")
    # Dropped outputs are not dropped from the state that is carried on.
    assert bool((final.hidden == want_final.hidden).all()) == (option == "output_dropout")


@pytest.mark.slow
def test_another_recurrence_gets_the_same_from_the_same_key():
    variables, arguments = lstm_arguments()

    @functools.partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
    def run(recurrence: Recurrence, variables, inputs):
        layer = RNN(LSTM(), HIDDEN, recurrence, **ALL)
        values, pullback = jax.vjp(
            lambda *moved: layer.apply(*moved, *arguments[1:], reverse=True, **training()), variables, inputs
        )
        return values, pullback(jax.tree.map(jnp.cos, values))

    want = run(Scan(), variables, arguments[0])
    got = run(Chunked(3, "boundaries"), variables, arguments[0])
    assert_close(got[0], want[0], "values")
    assert_close(got[1], want[1], "gradients")


def shares_are(dropped, rate):
    """Whether as many are dropped as the rate says."""
    return abs(np.mean(dropped) - rate) < CHANCE * np.sqrt(rate * (1 - rate) / np.size(dropped))


def test_the_state_mask_is_one_for_every_row():
    recorder, _ = recorded(state_dropout=0.3)
    mask = np.asarray(recorder.noise.hidden_mask)
    assert mask.shape == (64, 30)
    np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.7], rtol=1e-6)
    assert shares_are(mask == 0, 0.3)
    assert (mask[0] != mask[1]).any()
    assert recorded(state_dropout=0.3, deterministic=True)[0].noise.hidden_mask is None


def test_zoneout_masks_are_new_at_every_step_of_every_row_and_field():
    hold = recorded(zoneout={"hidden": 0.2, "cell": 0.5})[0].noise.hold
    for name, rate in (("hidden", 0.2), ("cell", 0.5)):
        kept = np.asarray(hold[name])
        assert kept.shape == (20, 64, 30)
        assert shares_are(kept, rate)
        for axis in range(3):
            assert 0.3 < (kept.take(0, axis) == kept.take(1, axis)).mean() < 0.9
    assert (hold["hidden"] != hold["cell"]).any()
    assert set(recorded(zoneout={"cell": 0.5, "hidden": 0.0})[0].noise.hold) == {"cell"}
    assert set(recorded(zoneout=0.1)[0].noise.hold) == {"hidden", "cell"}


def test_weights_of_the_recurrent_kernel_are_dropped_and_nothing_else():
    recorder, cell = recorded(weight_dropout=0.3)
    got, kernel = np.asarray(recorder.params.recurrent.kernel), cell["recurrent"]["kernel"]
    assert shares_are(got == 0, 0.3)
    np.testing.assert_allclose(got[got != 0], kernel[got != 0] / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(recorder.params.input.kernel, cell["input"]["kernel"])
    np.testing.assert_array_equal(recorded(weight_dropout=0.3, deterministic=True)[0].params.recurrent.kernel, kernel)


def test_inputs_and_outputs_lose_the_same_features_at_every_step():
    inputs = np.asarray(recorded(input_dropout=0.3)[0].inputs)
    np.testing.assert_array_equal(inputs, np.broadcast_to(inputs[:1], inputs.shape))
    assert set(np.unique(inputs)) == {0, np.float32(1 / 0.7)}
    variables, arguments = lstm_arguments()
    layer = RNN(LSTM(), HIDDEN, Scan())
    want, _ = apply(layer, variables, *arguments)
    got, _ = train(layer.clone(output_dropout=0.5), variables, *arguments)
    kept = (got != 0).any(axis=1, keepdims=True)
    assert 0 < kept.mean() < 1
    assert_close(got, np.where(kept, 2 * want, 0), "values")


def test_zoneout_at_evaluation_is_a_mean_with_the_step_before():
    problem = make_problem(Elman())
    layer, rate = RNN(Elman(), HIDDEN, Scan(), zoneout=0.3), 0.3
    got, _ = layer.apply(variables_of(problem), swap(problem.inputs), problem.state)
    kernel, bias, recurrent_kernel = jax.tree.leaves(problem.params)
    hidden, want = np.asarray(problem.state.hidden, np.float64), []
    for x in np.asarray(problem.inputs):
        hidden = rate * hidden + (1 - rate) * np.tanh(x @ kernel + hidden @ recurrent_kernel + bias)
        want.append(hidden)
    assert_close(got, swap(np.stack(want)), "values")


@pytest.mark.slow
def test_the_mean_of_many_draws_of_one_step_is_its_evaluation():
    """Zoneout's expectation is exact for one step, and so is that of masks that multiply what goes into a sum."""
    cell, draws = Elman(activation="relu", bias_init=nn.initializers.constant(50.0)), 20_000  # linear there
    options: dict[str, Any] = {"zoneout": 0.3, "state_dropout": 0.4, "weight_dropout": 0.2, "input_dropout": 0.1}
    layer = RNN(cell, HIDDEN, Scan(), **options)
    inputs = jnp.asarray(np.random.default_rng(0).normal(size=(1, 1, INPUT)), jnp.float32)
    state = make_problem(cell, batch=1).state
    variables = layer.init(jax.random.key(0), inputs)
    keys = jax.random.split(jax.random.key(1), draws)
    values = jax.vmap(lambda key: layer.apply(variables, inputs, state, **{**training(), "rngs": {"dropout": key}})[0])(
        keys
    )
    want, _ = layer.apply(variables, inputs, state)
    deviation = values.std(axis=0) / np.sqrt(draws)
    assert (np.abs(values.mean(axis=0) - want) < CHANCE * deviation).all()
    assert (deviation > 0).all()


def test_every_layer_draws_masks_of_its_own():
    recorders = [Recorder() for _ in range(3)]
    forward, backward, top = (RNN(LSTM(), HIDDEN, recorder, **ALL) for recorder in recorders)
    layer, inputs = StackedRNN([Bidirectional(forward, backward), top]), jnp.ones((8, TIME, INPUT))
    variables = layer.init(jax.random.key(0), inputs)
    layer.apply(variables, inputs, **training())
    masks = [np.asarray(recorder.noise.hidden_mask) for recorder in recorders]
    assert {mask.shape for mask in masks} == {(8, HIDDEN)}
    assert all((masks[i] != masks[j]).any() for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.slow
def test_two_devices_draw_what_one_draws_and_gradients_agree():
    model = SequenceClassifier(11, INPUT, RNN(LSTM(), HIDDEN, **ALL))
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 11, (6, TIME)), jnp.int32)
    lengths, rows = jnp.array([TIME, 0, 1, 3, 5, 2]), jnp.arange(6)
    variables = model.init(jax.random.key(0), tokens)

    def run(variables, tokens, lengths, rows):
        def loss(variables):
            logits: Any = model.apply(variables, tokens, lengths, rows=rows, **training())
            return jnp.sin(logits).sum(), logits

        return jax.grad(loss, has_aux=True)(variables)

    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))

    @functools.partial(jax.shard_map, mesh=mesh, in_specs=(P(), *(P("batch"),) * 3), out_specs=(P(), P("batch")))
    def split(variables, *batch):
        gradients, logits = run(jax.lax.pcast(variables, "batch", to="varying"), *batch)
        return jax.lax.psum(gradients, "batch"), logits

    d_want, want = jax.jit(run, compiler_options=FAST_COMPILE)(variables, tokens, lengths, rows)
    d_got, got = jax.jit(split, compiler_options=FAST_COMPILE)(variables, tokens, lengths, rows)
    assert len(got.sharding.device_set) == 2
    assert_close(got, want, "values")
    assert_close(d_got, d_want, "gradients")
    # Without their numbers, the second half's rows would be taken for the first's.
    assert np.abs(train(model, variables, tokens[3:], lengths[3:]) - want[3:]).max() > 1e-3


def test_a_language_model_regularises_its_layers_in_training_only():
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 11, (2, TIME)), jnp.int32)
    plain, noisy = (
        LanguageModel(11, INPUT, StackedRNN([RNN(LSTM(), HIDDEN, Scan(), weight_dropout=rate)])) for rate in (0, 0.5)
    )
    variables = plain.init(jax.random.key(0), tokens)
    want, _ = apply(plain, variables, tokens)
    np.testing.assert_array_equal(apply(noisy, variables, tokens)[0], want)
    np.testing.assert_array_equal(train(plain, variables, tokens)[0], want)
    assert np.abs(train(noisy, variables, tokens)[0] - want).max() > 1e-3


@pytest.mark.parametrize("recurrence", [Scan(), Chunked(3, "boundaries"), Chunked(3, "gates")], ids=str)
def test_without_options_the_program_is_that_without_noise(recurrence):
    variables, (inputs, state, lengths, resets) = lstm_arguments()
    layer = RNN(LSTM(), HIDDEN, recurrence, zoneout={"cell": 0.0})

    def by_layer(params, inputs):
        variables = {"params": {"cell": params}}
        return layer.apply(variables, inputs, state, lengths, resets, rows=jnp.arange(BATCH), **training())

    def by_hand(params, inputs):
        params = cell_params(layer.cell, params, INPUT, HIDDEN)
        inputs = jnp.swapaxes(inputs, 0, 1)
        outputs, final = recurrence(LSTM(), params, inputs, state, lengths=lengths, resets=jnp.swapaxes(resets, 0, 1))
        return jnp.swapaxes(outputs, 0, 1), final

    def program(function):
        def gradient(*moved):
            values, pullback = jax.vjp(function, *moved)
            return pullback(values)

        text = jax.jit(gradient).lower(variables["params"]["cell"], inputs).as_text()
        return Counter(re.findall(r"stablehlo\.\w+", text))

    # Names may differ; the operations do not.
    assert program(by_layer) == program(by_hand)


def test_bfloat16_stays_bfloat16():
    layer = RNN(LSTM(), HIDDEN, Chunked(3), dtype=jnp.bfloat16, **ALL)
    inputs = jnp.ones((BATCH, TIME, INPUT))
    variables = layer.init(jax.random.key(0), inputs)
    for values in (train(layer, variables, inputs), layer.apply(variables, inputs)):
        assert {leaf.dtype for leaf in jax.tree.leaves(values)} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
@pytest.mark.parametrize("option", OPTIONS)
def test_a_rate_outside_its_range_is_an_error(option, rate):
    options: dict[str, Any] = {option: rate}
    with pytest.raises(ValueError, match=rf"{option}: expected 0 <= rate < 1, got {rate}"):
        RNN(LSTM(), HIDDEN, **options)


def test_zoneout_is_of_the_states_own_fields_and_in_range():
    with pytest.raises(ValueError, match=r"zoneout: expected state fields of \('hidden',\), got 'cell'"):
        RNN(GRU(), HIDDEN, zoneout={"cell": 0.1}).init(jax.random.key(0), jnp.ones((BATCH, TIME, INPUT)))
    with pytest.raises(ValueError, match=r"zoneout: expected 0 <= rate < 1, got 2"):
        RNN(LSTM(), HIDDEN, zoneout={"hidden": 2})
    assert hash(RNN(LSTM(), HIDDEN, **ALL)) == hash(RNN(LSTM(), HIDDEN, **ALL))


REFUSED = {
    "weights": (
        NO_MAP,
        "weight_dropout",
        ValueError,
        "weight_dropout: expected a cell with a recurrent map, got GRU",
    ),
    "state": (NO_MAP, "state_dropout", ValueError, "expected a cell with a recurrent map, got GRU"),
    "general": (Mixing(), "state_dropout", TypeError, "state_dropout: expected a PointwiseCell, got Mixing"),
}


@pytest.mark.parametrize(("cell", "option", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_a_cell_without_what_is_to_be_dropped_is_refused_before_training(cell, option, error, message):
    options: dict[str, Any] = {option: 0.1}
    layer = RNN(cell, HIDDEN, Scan(), **options)
    with pytest.raises(error, match=message):
        layer.init(jax.random.key(0), jnp.ones((BATCH, TIME, INPUT)))
