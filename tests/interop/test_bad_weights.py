"""Weights of another architecture, and layers that have no counterpart: what the errors say."""

import dataclasses
from typing import Any

import flax.linen as nn
import numpy as np
import pytest
from interop_cases import HIDDEN, SHAPES, random_params

from rnnjax import GRU, LSTM, RNN, Bidirectional, Elman, GRUResetBefore, SequenceClassifier, StackedRNN
from rnnjax.interop import from_flax, from_keras, from_torch, to_flax, to_keras, to_torch

LAYER = SHAPES["stacked_bidirectional"](LSTM())
PARAMS = random_params(LAYER)
GRU_LAYER = RNN(GRU(), HIDDEN)
GRU_PARAMS = random_params(GRU_LAYER)
MODEL = SequenceClassifier(11, 3, RNN(LSTM(), HIDDEN), dense=(5,))
MODEL_PARAMS = random_params(MODEL, np.zeros((2, 6), np.int32))


def floats(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("key", "array", "message"),
    [
        (
            "weight_ih_l1",
            floats(12, 8),
            r"^weight_ih_l1 \(layers_1, forward\): expected shape \(16, 8\), got \(12, 8\); "
            r"LSTM has 4 gates of 4, got 3 of 4$",
        ),
        (
            "weight_ih_l1",
            floats(16, 4),
            r"^weight_ih_l1 \(layers_1, forward\): expected shape \(16, 8\), got \(16, 4\)$",
        ),
        (
            "weight_ih_l0",
            floats(12, 3),
            r"^weight_ih_l0 \(layers_0, forward\): expected shape \(16, I\), got \(12, 3\); L",
        ),
        (
            "weight_ih_l0_reverse",
            floats(16, 9),
            r"l0_reverse \(layers_0, backward\): expected shape \(16, 3\), got \(16, 9",
        ),
        ("weight_hh_l1_reverse", floats(16, 4, 1), r"expected shape \(16, 4\), got \(16, 4, 1\)$"),
        (
            "bias_hh_l0",
            floats(4),
            r"^bias_hh_l0 \(layers_0, forward\): expected shape \(16,\), got \(4,\); .* got 1 of 4$",
        ),
        ("bias_hh_l0", np.float32(1), r"expected shape \(16,\), got \(\)$"),
        (
            "bias_ih_l0",
            np.ones(16, int),
            r"^bias_ih_l0 \(layers_0, forward\): expected floating-point numbers, got int64$",
        ),
        ("bias_ih_l0", np.array(["a"] * 16), "expected floating-point numbers, got <U1"),
        ("bias_ih_l0", None, "expected floating-point numbers, got object"),
        ("bias_ih_l0", [[1.0], [1.0, 2.0]], r"^bias_ih_l0 \(layers_0, forward\): expected an array, got list: "),
    ],
)
def test_a_pytorch_array_that_does_not_fit(key, array, message):
    weights = to_torch(LAYER, PARAMS)
    with pytest.raises(ValueError, match=message):
        from_torch(LAYER, weights | {key: array})


def test_pytorch_keys_that_do_not_fit():
    weights = to_torch(LAYER, PARAMS)
    del weights["weight_hh_l1"], weights["bias_ih_l0"]
    extra = {"weight_hr_l0": floats(2, 4), "head.weight": floats(1, 4)}
    with pytest.raises(
        ValueError,
        match=r"^expected 16 arrays, got 16: missing bias_ih_l0 \(layers_0, forward\), "
        r"weight_hh_l1 \(layers_1, forward\); unexpected weight_hr_l0, head.weight$",
    ):
        from_torch(LAYER, weights | extra)
    with pytest.raises(ValueError, match="unexpected weight_ih_l1, "):
        from_torch(LAYER.layers[0], to_torch(LAYER, PARAMS))
    with pytest.raises(TypeError, match="expected a mapping of arrays, got list"):
        from_torch(LAYER, [floats(3)])  # pyright: ignore[reportArgumentType]


def replaced(weights: list[np.ndarray], place: int, array: Any) -> list[Any]:
    return [*weights[:place], array, *weights[place + 1 :]]


@pytest.mark.parametrize(
    ("place", "array", "message"),
    [
        (0, floats(12, 3), r"^weights\[0\] \(embedding, embedding\): expected shape \(11, 3\), got \(12, 3\)$"),
        (
            1,
            floats(3, 12),
            r"^weights\[1\] \(recurrent, kernel\): expected shape \(3, 16\), got \(3, 12\); LSTM has 4 gates of 4",
        ),
        (1, floats(5, 16), r"^weights\[1\] \(recurrent, kernel\): expected shape \(3, 16\), got \(5, 16\)$"),
        (4, floats(8, 5), r"^weights\[4\] \(dense_0, kernel\): expected shape \(4, 5\), got \(8, 5\)$"),
        (6, floats(5, 2), r"^weights\[6\] \(head, kernel\): expected shape \(5, 1\), got \(5, 2\)$"),
        (7, np.ones(1, complex), r"^weights\[7\] \(head, bias\): expected floating-point numbers, got complex128$"),
    ],
)
def test_a_keras_array_that_does_not_fit(place, array, message):
    with pytest.raises(ValueError, match=message):
        from_keras(MODEL, replaced(to_keras(MODEL, MODEL_PARAMS), place, array))


def test_too_few_and_too_many_keras_arrays():
    weights = to_keras(MODEL, MODEL_PARAMS)
    with pytest.raises(ValueError, match=r"^expected 8 arrays, got 7: missing weights\[7\] \(head, bias\)$"):
        from_keras(MODEL, weights[:-1])
    with pytest.raises(ValueError, match=r"^expected 8 arrays, got 9: unexpected weights\[8\]$"):
        from_keras(MODEL, [*weights, floats(2)])


def test_a_keras_gru_of_reset_after_false():
    weights = to_keras(GRU_LAYER, GRU_PARAMS)
    with pytest.raises(
        ValueError,
        match=r"^weights\[2\] \(bias\): expected shape \(2, 12\), got \(12,\); "
        r"a Keras GRU has two biases if reset_after=True; if it is False, use the cell GRUResetBefore$",
    ):
        from_keras(GRU_LAYER, [*weights[:2], weights[2][0]])
    before = RNN(GRUResetBefore(), HIDDEN)
    with pytest.raises(
        ValueError,
        match=r"^weights\[2\] \(bias\): expected shape \(12,\), got \(2, 12\); "
        r"a Keras GRU has one bias if reset_after=False; if it is True, use the cell GRU$",
    ):
        from_keras(before, weights)
    with pytest.raises(ValueError, match=r"^layer: expected GRUResetBefore\(second_bias=False\), got True: the other"):
        to_keras(RNN(GRUResetBefore(second_bias=True), HIDDEN), {})
    with pytest.raises(TypeError, match=r"^layer: expected the cell Elman, LSTM, GRU or LSTMP, got GRUResetBefore$"):
        to_torch(before, {})


def test_flax_parameters_that_do_not_fit():
    params = to_flax(GRU_LAYER, GRU_PARAMS)
    with pytest.raises(ValueError, match=r"^cell/hn/kernel: expected shape \(4, 4\), got \(5, 4\)$"):
        from_flax(GRU_LAYER, {"cell": params["cell"] | {"hn": {"kernel": floats(5, 4), "bias": floats(4)}}})
    with pytest.raises(
        ValueError, match=r"^expected 10 arrays, got 12: missing cell/ir/kernel, .*; unexpected cell/ii/kernel"
    ):
        from_flax(GRU_LAYER, to_flax(RNN(LSTM(), HIDDEN), random_params(RNN(LSTM(), HIDDEN))))
    with pytest.raises(ValueError, match=r"missing cell/ir/kernel.*unexpected params/cell/ir/kernel"):
        from_flax(GRU_LAYER, {"params": params})


@pytest.mark.parametrize("convert", [to_keras, to_torch, to_flax])
def test_parameters_of_ours_that_do_not_fit(convert):
    cell = GRU_PARAMS["cell"]
    with pytest.raises(
        ValueError, match=r"^cell/input/kernel: expected shape \(I, 12\), got \(3, 16\); GRU has 3 gates of 4, got 4"
    ):
        convert(GRU_LAYER, {"cell": cell | {"input": cell["input"] | {"kernel": floats(3, 16)}}})
    with pytest.raises(ValueError, match=r"^expected 4 arrays, got 3: missing cell/recurrent/bias$"):
        convert(GRU_LAYER, {"cell": cell | {"recurrent": {"kernel": cell["recurrent"]["kernel"]}}})
    with pytest.raises(
        ValueError, match=r"^expected 12 arrays, got 4: missing layers_0/forward/cell/input/kernel, .*cell/input/kernel"
    ):
        convert(LAYER, GRU_PARAMS)
    with pytest.raises(TypeError, match="expected a mapping of arrays, got ndarray"):
        convert(GRU_LAYER, floats(3))


def test_one_gate_is_singular():
    with pytest.raises(ValueError, match="; Elman has 1 gate of 4, got 4 of 4"):
        from_keras(RNN(Elman(), HIDDEN), to_keras(LAYER.layers[0].forward, PARAMS["layers_0"]["forward"]))


def test_not_a_number_is_a_number():
    weights = to_torch(GRU_LAYER, GRU_PARAMS)
    weights["bias_ih_l0"][0] = np.nan
    assert np.isnan(from_torch(GRU_LAYER, weights)["cell"]["input"]["bias"][0])


@dataclasses.dataclass(frozen=True)
class OwnCell(LSTM):
    """A cell with the arrays of an LSTM, that may compute anything."""


@pytest.mark.parametrize("convert", [from_keras, to_keras, from_torch, to_torch, from_flax, to_flax])
def test_layers_that_have_no_counterpart(convert):
    shared = RNN(LSTM(), HIDDEN)
    for layer, error, message in [
        (nn.Dense(3), TypeError, "^layer: expected an RNN, Bidirectional or StackedRNN, got Dense$"),
        (StackedRNN([shared, nn.Dense(3)]), TypeError, "^layers_1: expected an RNN, .* got Dense$"),
        (RNN(OwnCell(), HIDDEN), TypeError, r"^layer: expected the cell Elman, .*LSTM.* or \w+, got OwnCell$"),
        (Bidirectional(shared, RNN(OwnCell(), 4)), TypeError, "^backward: expected the cell .* got OwnCell$"),
        (RNN(GRU(second_bias=False), 4), ValueError, r"^layer: expected GRU\(second_bias=True\), got False"),
    ]:
        with pytest.raises(error, match=message):
            convert(layer, {})


@pytest.mark.parametrize("convert", [from_torch, to_torch, from_flax, to_flax])
def test_whole_models_are_kerass(convert):
    with pytest.raises(TypeError, match="expected an RNN, Bidirectional or StackedRNN, got SequenceClassifier"):
        convert(MODEL, {})
