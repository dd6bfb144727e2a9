"""How a module is run: training where a "dropout" rng is given, static flags, causal layers, one layer in one place."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import random_variables
from reference import assert_close

from rnnjax import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Chunked,
    Forecaster,
    LanguageModel,
    Scan,
    SequenceClassifier,
    StackedRNN,
)
from rnnjax.dropout import Dropout
from rnnjax.forecasting import Point

pytestmark = pytest.mark.usefixtures("quick_compile")

BATCH, TIME, INPUT, HIDDEN = 4, 5, 3, 4
INPUTS = jax.random.normal(jax.random.key(0), (BATCH, TIME, INPUT))
TOKENS = jax.random.randint(jax.random.key(1), (BATCH, TIME), 0, 9)
RNGS = {"dropout": jax.random.key(2)}


def noisy(layer: Any = RNN, cell: Any = None) -> Any:
    return layer(cell or LSTM(), HIDDEN, Chunked(3), state_dropout=0.4, zoneout=0.3, input_dropout=0.3)


def both(layer: Any = RNN) -> Bidirectional:
    return Bidirectional(noisy(layer), noisy(layer, GRU()))


MODULES: dict[str, tuple[Any, Any]] = {
    "dropout": (Dropout(0.5), INPUTS),
    "rnn": (noisy(), INPUTS),
    "bidirectional": (both(), INPUTS),
    "stack": (StackedRNN([noisy(), noisy(cell=GRU())]), INPUTS),
    "classifier": (SequenceClassifier(9, INPUT, noisy(), dropout=0.3), TOKENS),
    "language_model": (LanguageModel(9, INPUT, noisy(), dropout=0.3), TOKENS),
    "forecaster": (Forecaster(noisy(), Point(), 2), INPUTS),
}
every_module = pytest.mark.parametrize("name", MODULES)


def first(values: Any) -> np.ndarray:
    return np.asarray(jax.tree.leaves(values)[0])


@pytest.mark.quick("dropout", "rnn", "classifier")
@every_module
def test_a_dropout_rng_means_training_unless_the_caller_says_otherwise(name):
    module, inputs = MODULES[name]
    variables = random_variables(module, inputs)
    plain = first(module.apply(variables, inputs))
    trained = first(module.apply(variables, inputs, rngs=RNGS))
    assert np.abs(plain - trained).max() > 1e-3
    np.testing.assert_array_equal(first(module.apply(variables, inputs, deterministic=False, rngs=RNGS)), trained)
    np.testing.assert_array_equal(first(module.apply(variables, inputs, deterministic=True, rngs=RNGS)), plain)
    np.testing.assert_array_equal(first(module.apply(variables, inputs, deterministic=True)), plain)
    with pytest.raises(Exception, match='needs PRNG for "dropout"'):
        module.apply(variables, inputs, deterministic=False)


@pytest.mark.quick("dropout")
@every_module
def test_a_batch_in_parts_drops_what_the_whole_batch_drops_whatever_kind_the_key_is(name):
    module, inputs = MODULES[name]
    variables = random_variables(module, inputs)
    rbg = jax.random.key(3, impl="rbg")
    others = (jax.random.key(3), jax.random.key(3, impl="unsafe_rbg"), jax.random.PRNGKey(3))
    for key in (rbg, *(others if name == "rnn" else ())):

        def run(part, key=key):
            rows = jnp.arange(BATCH)[part]
            return first(module.apply(variables, inputs[part], rows=rows, rngs={"dropout": key}))

        whole = run(slice(None))
        # The parts' shapes and places differ from the whole's.
        parts = np.concatenate([run(slice(0, 1)), run(slice(1, None))])
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
        assert np.abs(whole - first(module.apply(variables, inputs))).max() > 1e-3


def test_rows_are_one_number_a_row():
    with pytest.raises(ValueError, match=r"rows: expected shape \(4,\), one number per row of the batch, got \(3,\)"):
        Dropout(0.5).apply({}, INPUTS, jnp.arange(3), rngs=RNGS)


Remat: Any = nn.remat(RNN)
REMAT: dict[str, tuple[Any, Any, Any]] = {
    "rnn": (noisy(Remat), noisy(), INPUTS),
    "bidirectional": (both(Remat), both(), INPUTS),
    "stack": (StackedRNN([noisy(Remat), noisy(Remat, GRU())]), StackedRNN([noisy(), noisy(cell=GRU())]), INPUTS),
    "stack_of_both": (
        StackedRNN([nn.remat(Bidirectional)(noisy(), noisy(Remat))]),
        StackedRNN([Bidirectional(noisy(), noisy())]),
        INPUTS,
    ),
    "classifier": (SequenceClassifier(9, INPUT, both(Remat)), SequenceClassifier(9, INPUT, both()), TOKENS),
    "language_model": (LanguageModel(9, INPUT, noisy(Remat)), LanguageModel(9, INPUT, noisy()), TOKENS),
    "forecaster": (Forecaster(noisy(Remat), Point()), Forecaster(noisy(), Point()), INPUTS),
}


# In a quick run each in one mode, and a layer alone in all.
@pytest.mark.quick("training-rnn", "deterministic-stack", "plain-forecaster")
@pytest.mark.parametrize("name", REMAT)
@pytest.mark.parametrize("mode", ["plain", "deterministic", "training"])
def test_layers_in_remat_are_the_layers(name, mode):
    rematerialised, module, inputs = REMAT[name]
    variables = random_variables(rematerialised, inputs)
    options: dict[str, Any] = {
        "plain": {},
        "deterministic": {"deterministic": True} if name != "rnn" else {},
        "training": {"rngs": RNGS} if name == "rnn" else {"rngs": RNGS, "deterministic": False},
    }[mode]

    def run(module: Any) -> Any:
        def loss(variables: Any) -> Any:
            return (jax.tree.leaves(module.apply(variables, inputs, **options))[0] ** 2).sum()

        return jax.jit(jax.value_and_grad(loss))(variables)

    got, want = run(rematerialised), run(module)
    assert float(want[0]) > 1e-3
    assert_close(got, want, "values")


def test_a_flag_is_no_text():
    text: Any = "no"
    with pytest.raises(ValueError, match="deterministic: expected True, False or None, got 'no'"):
        RNN(LSTM(), HIDDEN).init(jax.random.key(0), INPUTS, deterministic=text)


@pytest.mark.parametrize("flag", ["deterministic", "reverse"])
def test_a_flag_that_is_traced_is_named(flag):
    layer = Remat(LSTM(), HIDDEN)
    options = {flag: True}
    instead = {"deterministic": "omit it and pass a", "reverse": "set it in the constructor"}[flag]
    with pytest.raises(ValueError, match=f"{flag}: expected True, False or None, got a traced value, .*: {instead}"):
        layer.init(jax.random.key(0), INPUTS, **options)


NOT_CAUSAL: dict[str, Any] = {
    "reverse": RNN(LSTM(), HIDDEN, reverse=True),
    "bidirectional": Bidirectional(RNN(LSTM(), HIDDEN), RNN(LSTM(), HIDDEN)),
    "stack": StackedRNN([RNN(LSTM(), HIDDEN), RNN(LSTM(), HIDDEN, reverse=True)]),
    "stack_of_both": StackedRNN([Bidirectional(RNN(LSTM(), HIDDEN), RNN(LSTM(), HIDDEN))]),
    "remat": Remat(LSTM(), HIDDEN, reverse=True),
}


@pytest.mark.parametrize("layer", NOT_CAUSAL.values(), ids=NOT_CAUSAL)
def test_models_of_what_comes_next_refuse_layers_that_read_it(layer):
    for make in (lambda: LanguageModel(9, INPUT, layer), lambda: Forecaster(layer, Point())):
        with pytest.raises(ValueError, match=r"causal layers, got one that depends on later steps \(\w+\)$"):
            make()
    SequenceClassifier(9, INPUT, layer)


@pytest.mark.slow
def test_causal_is_what_outputs_read():
    stack = StackedRNN([RNN(LSTM(), HIDDEN, Scan()), RNN(GRU(), HIDDEN, Scan())])
    for layer, causal in ((stack, True), *((layer, False) for layer in NOT_CAUSAL.values())):
        assert layer.causal == causal
        variables = random_variables(layer, INPUTS)
        changed = INPUTS.at[:, -1].add(1.0)
        before, after = (layer.apply(variables, inputs)[0][:, :-1] for inputs in (INPUTS, changed))
        assert bool((before == after).all()) == causal


SHARED: dict[str, Any] = {
    "stack": (lambda one: StackedRNN([one] * 3), "layers: expected different layer objects, .* places 0 and 1"),
    "both": (lambda one: Bidirectional(one, one), "forward, backward: expected different layer objects"),
    "nested": (
        lambda one: StackedRNN([Bidirectional(RNN(GRU(), 2), one), RNN(GRU(), 2), one]),
        "layers: expected different layer objects, .* places 0 and 2",
    ),
}


@pytest.mark.parametrize(("make", "message"), SHARED.values(), ids=SHARED)
def test_one_layer_in_two_places_is_refused(make, message):
    for layer in (RNN(LSTM(), HIDDEN), Remat(LSTM(), HIDDEN)):
        with pytest.raises(ValueError, match=message):
            make(layer)


def test_equal_layers_are_two_with_weights_of_their_own():
    stack = StackedRNN([RNN(LSTM(), INPUT) for _ in range(2)])
    params: Any = stack.init(jax.random.key(0), INPUTS)["params"]
    assert set(params) == {"layers_0", "layers_1"}
    first, second = (params[name]["cell"]["input"]["kernel"] for name in ("layers_0", "layers_1"))
    assert np.abs(first - second).max() > 0.1


def test_lengths_beyond_the_steps_are_the_steps_and_below_zero_none():
    for pooling in ("last", "mean", "max"):
        model = SequenceClassifier(9, INPUT, RNN(LSTM(), HIDDEN), 2, pooling)
        variables = random_variables(model, TOKENS)
        far, near = jnp.array([TIME + 3, 2, 10 * TIME, -4]), jnp.array([TIME, 2, TIME, 0])
        assert_close(model.apply(variables, TOKENS, far), model.apply(variables, TOKENS, near), "values")


@pytest.mark.parametrize("option", ["input_dropout", "output_dropout", "state_dropout", "weight_dropout", "zoneout"])
def test_a_forecaster_hands_on_what_regularises(option):
    plain = Forecaster(StackedRNN([RNN(LSTM(), HIDDEN)]), Point(), 2, projection=3)
    options: dict[str, Any] = {option: 0.5}
    model = plain.clone(recurrent=StackedRNN([RNN(LSTM(), HIDDEN, **options)]))
    variables = random_variables(plain, INPUTS)
    want, got = (first(each.apply(variables, INPUTS, rngs=RNGS)) for each in (plain, model))
    assert np.abs(want - got).max() > 1e-3
