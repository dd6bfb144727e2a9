"""What no array says: options of a layer that the other library must be given too, or has not."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from flax_modules import apply
from interop_cases import BATCH, CELLS, HIDDEN, TIME, TOLERANCE, random_inputs, random_params, single
from keras import layers
from reference import assert_close

from rnnjax import GRU, LSTM, RNN, Bidirectional, Elman, Scan, SequenceClassifier, StackedRNN
from rnnjax.interop import from_flax, from_keras, from_torch, to_flax, to_keras, to_torch

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.usefixtures("quick_compile"),
]

Layer = Any

torch_both_ways = pytest.mark.parametrize("convert", [from_torch, to_torch])
every_converter = pytest.mark.parametrize("convert", [from_torch, to_torch, from_keras, to_keras, from_flax, to_flax])


def backward(cell: Any) -> RNN:
    return RNN(cell, HIDDEN, Scan(), reverse=True)


def merged(merge: Any) -> Bidirectional:
    return Bidirectional(single(LSTM()), single(LSTM()), merge)


@torch_both_ways
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (backward(LSTM()), "^layer: expected reverse=False, got True: PyTorch has no layer that only runs in reverse$"),
        (StackedRNN([single(GRU()), backward(GRU())]), "^layers_1: expected reverse=False, got True: PyTorch has no"),
        (StackedRNN([backward(Elman()), single(Elman())]), "^layers_0: expected reverse=False, got True: PyTorch has"),
        (merged("sum"), "^layer: expected merge='concat', got 'sum': PyTorch has no other merge$"),
        (merged("mean"), "^layer: expected merge='concat', got 'mean': PyTorch has no other merge$"),
        (StackedRNN([merged("concat"), merged("product")]), "^layers_1: expected merge='concat', got 'product': "),
        (
            single(Elman(activation="sigmoid")),
            "^layer: expected activation 'tanh' or 'relu', got 'sigmoid': PyTorch has no other$",
        ),
        (
            Bidirectional(*(single(Elman(activation="sigmoid")) for _ in range(2))),
            "^forward: expected activation 'tanh' or 'relu', got 'sigmoid': ",
        ),
        (
            StackedRNN([single(Elman()), single(Elman(activation="relu"))]),
            r"^layer: expected layers that fit one PyTorch module \(the same cell, activation and hidden_size",
        ),
    ],
)
def test_what_pytorch_has_not_is_refused_by_name(convert, layer, message):
    with pytest.raises(ValueError, match=message):
        convert(layer, {})


@every_converter
@pytest.mark.parametrize("zoneout", [0.1, {"hidden": 0.1}])
def test_zoneout_is_refused_by_name(convert, zoneout):
    message = r"expected zoneout=0.0, got [\s\S]*0.1[\s\S]*: .*; layer.clone\(zoneout=0.0\) has the same parameters$"
    layer = RNN(GRU(), HIDDEN, zoneout=zoneout)
    for place, refused in [
        ("layer", layer),
        ("layers_1", StackedRNN([single(GRU()), layer])),
        ("backward", Bidirectional(single(GRU()), layer)),
    ]:
        with pytest.raises(ValueError, match=f"^{place}: {message}"):
            convert(refused, {})


@pytest.mark.parametrize(("there", "back"), [(to_torch, from_torch), (to_keras, from_keras), (to_flax, from_flax)])
def test_directions_of_a_bidirectional_are_its_own_and_dropout_and_zoneouts_of_0_say_nothing(there, back):
    rates: dict[str, Any] = {"input_dropout": 0.1, "output_dropout": 0.2, "state_dropout": 0.3, "weight_dropout": 0.4}
    plain = Bidirectional(single(LSTM()), single(LSTM()))
    other = Bidirectional(
        RNN(LSTM(), HIDDEN, Scan(), reverse=True, zoneout={"cell": 0.0}, **rates), RNN(LSTM(), HIDDEN, Scan(), **rates)
    )
    params = random_params(plain)
    jax.tree.map(np.testing.assert_array_equal, there(other, params), there(plain, params))
    jax.tree.map(np.testing.assert_array_equal, back(other, there(plain, params)), params)
    want = apply(plain, {"params": params}, random_inputs())
    assert_close(
        apply(other, {"params": params}, random_inputs()), want, "outputs", tolerance=TOLERANCE, kind="interop"
    )


def assert_outputs(layer: Layer, params: Any, outputs: Any, other: Layer, **options: Any) -> None:
    """Ours are these, and those of the layer without the option are not."""
    got, _ = apply(layer, {"params": params}, random_inputs(), **options)
    assert_close(got, outputs, "outputs", tolerance=TOLERANCE, kind="interop")
    plain, _ = apply(other, {"params": params}, random_inputs())
    assert np.abs(plain - got).max() > 0.05


def run_keras(layer: Any, weights: Any, inputs: Any, **options: Any) -> np.ndarray:
    layer.build(inputs.shape)
    layer.set_weights(weights)
    return layer(inputs, **options)


KERAS: dict[str, Any] = {"elman": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
FLAX: dict[str, Any] = {"elman": nn.SimpleCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}

cells = pytest.mark.parametrize("name", CELLS)


@cells
def test_a_backward_layer_in_keras(name):
    layer = backward(CELLS[name])
    params = random_params(layer)
    peer = KERAS[name](HIDDEN, return_sequences=True, go_backwards=True)
    outputs = run_keras(peer, to_keras(layer, params), random_inputs())
    assert_outputs(layer, params, keras.ops.flip(outputs, 1), single(CELLS[name]))
    jax.tree.map(np.testing.assert_array_equal, from_keras(layer, peer.get_weights()), params)


def test_a_backward_layer_below_another_in_keras():
    layer = StackedRNN([backward(LSTM()), single(GRU())])
    params = random_params(layer)
    low, high = layers.LSTM(HIDDEN, return_sequences=True, go_backwards=True), layers.GRU(HIDDEN, return_sequences=True)
    weights = to_keras(layer, params)
    outputs = run_keras(high, weights[3:], keras.ops.flip(run_keras(low, weights[:3], random_inputs()), 1))
    assert_outputs(layer, params, outputs, StackedRNN([single(LSTM()), single(GRU())]))


def test_a_classifier_that_reads_backwards_in_keras():
    model = keras.Sequential([layers.Input((TIME,)), layers.Embedding(11, 3), layers.LSTM(4, go_backwards=True)])
    model.add(layers.Dense(1))
    ours = SequenceClassifier(11, 3, backward(LSTM()))
    tokens = np.random.default_rng(1).integers(1, 11, (BATCH, TIME)).astype(np.int32)
    params = random_params(ours, tokens)
    model.set_weights(to_keras(ours, params))
    got = apply(ours, {"params": params}, tokens)
    assert_close(got, model(tokens)[:, 0], "logits", tolerance=TOLERANCE, kind="interop")
    forward = apply(SequenceClassifier(11, 3, single(LSTM())), {"params": params}, tokens)
    assert np.abs(got - forward).max() > 0.01


@cells
def test_a_backward_layer_in_flax(name):
    layer = backward(CELLS[name])
    params = random_params(layer)
    peer = nn.RNN(FLAX[name](HIDDEN), reverse=True, keep_order=True)
    weights = to_flax(layer, params)
    assert_outputs(layer, params, apply(peer, {"params": weights}, random_inputs()), single(CELLS[name]))
    below = StackedRNN([layer, single(LSTM())])
    params = random_params(below)
    peers = nn.Sequential([peer, nn.RNN(nn.LSTMCell(HIDDEN))])
    outputs = peers.apply({"params": to_flax(below, params)}, random_inputs())
    assert_outputs(below, params, outputs, StackedRNN([single(CELLS[name]), single(LSTM())]))


MERGES: dict[Any, tuple[str, Callable[[Any, Any], Any]]] = {
    "concat": ("concat", lambda forward, backward: jnp.concatenate([forward, backward], axis=-1)),
    "sum": ("sum", jnp.add),
    "mean": ("ave", lambda forward, backward: (forward + backward) / 2),
    "product": ("mul", jnp.multiply),
}


@pytest.mark.parametrize("merge", MERGES)
def test_merges(merge):
    layer, (keras_name, function) = merged(merge), MERGES[merge]
    params = random_params(layer)
    got, _ = apply(layer, {"params": params}, random_inputs())
    peer = layers.Bidirectional(layers.LSTM(HIDDEN, return_sequences=True), merge_mode=keras_name)
    outputs = run_keras(peer, to_keras(layer, params), random_inputs())
    assert_close(got, outputs, "outputs", tolerance=TOLERANCE, kind="interop")
    module = nn.Bidirectional(*(nn.RNN(nn.LSTMCell(HIDDEN)) for _ in range(2)), merge_fn=function)
    outputs = module.apply({"params": to_flax(layer, params)}, random_inputs())
    assert_close(got, outputs, "outputs", tolerance=TOLERANCE, kind="interop")


@pytest.mark.parametrize(("activation", "function"), [("relu", nn.relu), ("sigmoid", nn.sigmoid)])
def test_activations(activation, function):
    layer = single(Elman(activation=activation))
    params = random_params(layer)
    peer = layers.SimpleRNN(HIDDEN, return_sequences=True, activation=activation)
    assert_outputs(layer, params, run_keras(peer, to_keras(layer, params), random_inputs()), single(Elman()))
    module = nn.RNN(nn.SimpleCell(HIDDEN, activation_fn=function))
    outputs = apply(module, {"params": to_flax(layer, params)}, random_inputs())
    assert_outputs(layer, params, outputs, single(Elman()))


@pytest.mark.quick("lstm")
@cells
def test_initial_states(name):
    layer = single(CELLS[name])
    params = random_params(layer)
    state = CELLS[name].init_state(BATCH, HIDDEN)
    random = np.random.default_rng(2)
    state = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(np.float32), state)
    peer = KERAS[name](HIDDEN, return_sequences=True)
    outputs = run_keras(peer, to_keras(layer, params), random_inputs(), initial_state=list(map(jnp.asarray, state)))
    assert_outputs(layer, params, outputs, layer, initial_state=state)
    carry = (state.cell, state.hidden) if name == "lstm" else state.hidden
    module, variables = nn.RNN(FLAX[name](HIDDEN)), {"params": to_flax(layer, params)}
    run = functools.partial(apply, module, variables, random_inputs())
    assert_outputs(layer, params, run(initial_carry=carry), layer, initial_state=state)
