"""Keras layers and whole models, as the list of their weights and as the file that Keras writes."""

import functools
from typing import Any

import jax
import keras
import numpy as np
import pytest
from flax_modules import apply
from interop_cases import (
    CELLS,
    HIDDEN,
    INPUT,
    SHAPES,
    TIME,
    TOLERANCE,
    assert_agrees,
    assert_equal,
    is_bidirectional,
    layer_count,
    random_inputs,
    random_params,
)
from keras import layers
from reference import assert_close

from rnnjax import GRU, LSTM, RNN, Bidirectional, Elman, GRUResetBefore, Scan, SequenceClassifier, StackedRNN
from rnnjax.interop import from_keras, to_keras

# Keras 3.15's variables warn NumPy 2 of themselves when their weights are asked for.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.usefixtures("quick_compile"),
]

PEERS: dict[str, Any] = {
    "elman": layers.SimpleRNN,
    "lstm": layers.LSTM,
    "gru": layers.GRU,
    "gru_reset_before": functools.partial(layers.GRU, reset_after=False),
}
OURS = CELLS | {"gru_reset_before": GRUResetBefore()}

cells = pytest.mark.parametrize("name", OURS)
shapes = pytest.mark.parametrize("shape", SHAPES)


def randomize(model: Any) -> list[np.ndarray]:
    """The list of the layer's or model's weights, every number at random."""
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=array.shape).astype(np.float32) for array in model.get_weights()])
    return model.get_weights()


def run_keras(name: str, shape: str) -> tuple[list[np.ndarray], Any, Any]:
    """Weights, outputs and final states of layers that are called one on the other."""
    weights, outputs, final = [], random_inputs(), []
    for _ in range(layer_count(shape)):
        # Initialisers that compile nothing: what they give is replaced.
        zeros = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
        layer = PEERS[name](HIDDEN, return_sequences=True, return_state=True, **zeros)
        layer = layers.Bidirectional(layer) if is_bidirectional(shape) else layer
        layer.build(outputs.shape)
        weights += randomize(layer)
        outputs, *states = (np.asarray(array) for array in jax.jit(layer)(outputs))
        final += states
    return weights, outputs, final


@pytest.mark.quick("single-lstm", "stacked_bidirectional-gru", "bidirectional-elman", "stacked-gru_reset_before")
@cells
@shapes
def test_outputs_are_keras_and_the_weights_come_back(name, shape):
    weights, *want = run_keras(name, shape)
    layer = SHAPES[shape](OURS[name])
    params = from_keras(layer, weights)
    assert_agrees(layer, params, *want)
    assert_equal(to_keras(layer, params), weights)
    params = random_params(layer)
    assert_equal(from_keras(layer, to_keras(layer, params)), params)


@pytest.mark.parametrize("cell", [Elman(second_bias=True), LSTM(second_bias=True)])
def test_keras_one_bias_and_ours_two(cell):
    layer = RNN(cell, HIDDEN, Scan())
    params = random_params(layer)["cell"]
    weights = to_keras(layer, {"cell": params})
    np.testing.assert_array_equal(weights[2], params["input"]["bias"] + params["recurrent"]["bias"])
    back = from_keras(layer, weights)["cell"]
    np.testing.assert_array_equal(back["input"]["bias"], weights[2])
    assert not back["recurrent"]["bias"].any()


WORDS, EMBEDDING = 11, 3


def last_lstm() -> tuple[Any, SequenceClassifier]:
    """The tutorial's model: an LSTM's last output, one sigmoid unit."""
    model = keras.Sequential(
        [
            layers.Input((TIME,)),
            layers.Embedding(WORDS, EMBEDDING, mask_zero=True),
            layers.SpatialDropout1D(0.2),
            layers.LSTM(4),
            layers.Dropout(0.5),
            layers.Dense(1),
        ]
    )
    return model, SequenceClassifier(WORDS, EMBEDDING, RNN(LSTM(), 4, Scan()))


def pooled_both() -> tuple[Any, SequenceClassifier]:
    """Names of the user's, hidden dense layers and three classes, built with the functional API."""
    tokens = layers.Input((TIME,), name="words")
    hidden = layers.Embedding(WORDS, EMBEDDING, name="z_table")(tokens)
    hidden = layers.Bidirectional(layers.GRU(2, return_sequences=True, dropout=0.1), name="m_recurrent")(hidden)
    hidden = layers.Dropout(0.5)(layers.GlobalMaxPooling1D()(hidden))
    hidden = layers.Dense(5, activation="relu", name="b_dense")(hidden)
    hidden = layers.Dense(5, activation="relu", name="a_dense")(hidden)
    model = keras.Model(tokens, layers.Dense(3, name="0_head")(hidden))
    recurrent = Bidirectional(RNN(GRU(), 2, Scan()), RNN(GRU(), 2, Scan()))
    return model, SequenceClassifier(WORDS, EMBEDDING, recurrent, logits=3, pooling="max", dense=(5, 5), dropout=0.5)


def stack_of_five() -> tuple[Any, SequenceClassifier]:
    """Classes that come twice, in an order that is not the alphabet's, and an optimizer's own arrays."""
    model = keras.Sequential(
        [
            layers.Input((TIME,)),
            layers.Embedding(WORDS, EMBEDDING),
            layers.SimpleRNN(4, return_sequences=True),
            layers.LSTM(4, return_sequences=True),
            layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
            layers.LSTM(4, return_sequences=True),
            layers.Bidirectional(layers.GRU(2, return_sequences=True)),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    recurrent = StackedRNN(
        [
            RNN(Elman(), 4, Scan()),
            RNN(LSTM(), 4, Scan()),
            Bidirectional(RNN(LSTM(), 2, Scan()), RNN(LSTM(), 2, Scan())),
            RNN(LSTM(), 4, Scan()),
            Bidirectional(RNN(GRU(), 2, Scan()), RNN(GRU(), 2, Scan())),
        ]
    )
    return model, SequenceClassifier(WORDS, EMBEDDING, recurrent, pooling="mean")


@pytest.mark.slow
@pytest.mark.parametrize("build", [last_lstm, pooled_both, stack_of_five])
def test_whole_models(build, tmp_path):
    model, ours = build()
    weights = randomize(model)
    params = from_keras(ours, weights)
    assert_equal(to_keras(ours, params), weights)
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, random_params(ours, np.zeros((2, TIME), np.int32)))

    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    assert_equal(from_keras(ours, path), params)
    assert_equal(from_keras(ours, str(path)), params)

    lengths = np.array([TIME, 1, 3, TIME], np.int32)
    tokens = np.random.default_rng(1).integers(1, WORDS, (4, TIME)).astype(np.int32)
    if build is not last_lstm:
        lengths = None
    else:
        tokens = np.where(np.arange(TIME) < lengths[:, None], tokens, 0)
    want = np.asarray(model(tokens))
    got = apply(ours, {"params": params}, tokens, lengths)
    assert np.ptp(want, axis=0).max() > 0.01
    assert_close(got, want[:, 0] if ours.logits == 1 else want, "logits", tolerance=TOLERANCE, kind="interop")


def test_the_tenth_layer_of_a_class_comes_after_the_second(tmp_path):
    units = [layers.Dense(2) for _ in range(12)]
    model = keras.Sequential([layers.Input((TIME,)), layers.Embedding(WORDS, EMBEDDING), layers.SimpleRNN(2), *units])
    weights = randomize(model)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    ours = SequenceClassifier(WORDS, EMBEDDING, RNN(Elman(), 2), dense=(2,) * 11, logits=2)
    assert_equal(from_keras(ours, path), from_keras(ours, weights))


def test_further_inputs_of_a_classifier_are_refused():
    ours = SequenceClassifier(WORDS, EMBEDDING, RNN(Elman(), 2), features=3)
    for convert in (from_keras, to_keras):
        with pytest.raises(
            ValueError, match=r"^features: expected a classifier of tokens alone, got 3 further inputs$"
        ):
            convert(ours, [])


def test_a_file_without_a_head_is_a_recurrent_layers(tmp_path):
    model = keras.Sequential([layers.Input((TIME, INPUT)), layers.LSTM(4, return_sequences=True), layers.GRU(2)])
    weights = randomize(model)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    layer = StackedRNN([RNN(LSTM(), 4), RNN(GRU(), 2)])
    assert_equal(from_keras(layer, path), from_keras(layer, weights))
