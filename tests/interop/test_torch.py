"""PyTorch's weights under its own names, against its documented equations in NumPy and against PyTorch itself."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax_modules import apply
from interop_cases import (
    BATCH,
    CELLS,
    HIDDEN,
    INPUT,
    SHAPES,
    TOLERANCE,
    assert_agrees,
    assert_equal,
    is_bidirectional,
    layer_count,
    random_inputs,
    random_params,
)
from oracles import logistic
from reference import assert_close

from rnnjax import GRU, LSTM, LSTMP, RNN, Bidirectional, Elman, StackedRNN
from rnnjax.interop import from_torch, to_torch

pytestmark = pytest.mark.usefixtures("quick_compile")

# Cells that keep both of PyTorch's biases.
EXACT: dict[str, Any] = {
    "elman": Elman(second_bias=True),
    "lstm": LSTM(second_bias=True),
    "gru": GRU(),
    "lstmp": LSTMP(projection=2, second_bias=True),
}
OURS = CELLS | {"lstmp": LSTMP(projection=2)}
GATES = {"elman": 1, "lstm": 4, "gru": 3, "lstmp": 4}
SIZES = {"lstmp": 2}  # of the hidden state, where it is not HIDDEN

cells = pytest.mark.parametrize("name", OURS)
shapes = pytest.mark.parametrize("shape", SHAPES)


def random_state_dict(name: str, shape: str, prefix: str = "", dtype: Any = np.float32) -> dict[str, np.ndarray]:
    """The `state_dict` of `nn.RNN`, `nn.LSTM` or `nn.GRU`, in its order, every number at random."""
    random = np.random.default_rng(0)
    gates, suffixes = GATES[name] * HIDDEN, ["", "_reverse"] if is_bidirectional(shape) else [""]
    read = SIZES.get(name, HIDDEN)
    weights = {}
    for level in range(layer_count(shape)):
        inputs = len(suffixes) * read if level else INPUT
        for suffix in suffixes:
            sizes = {"weight_ih": (gates, inputs), "weight_hh": (gates, read), "bias_ih": (gates,), "bias_hh": (gates,)}
            for key, size in (sizes | ({"weight_hr": (read, HIDDEN)} if name == "lstmp" else {})).items():
                weights[f"{prefix}{key}_l{level}{suffix}"] = 0.5 * random.normal(size=size)
    return {key: array.astype(dtype) for key, array in weights.items()}


def run_torch_equations(
    name: str, weights: dict[str, np.ndarray], shape: str, states: Any = None, nonlinearity: Any = np.tanh
) -> tuple[Any, Any]:
    """Outputs and final states in float64, by the equations in PyTorch's documentation of the three modules.

    `states` are h_0, and c_0 for an LSTM, each `(layers * directions, B, H)`.
    """
    if states is None:
        states = zero_states(name)
    weights = {key: array.astype(np.float64) for key, array in weights.items()}
    outputs, final = random_inputs().astype(np.float64), []
    for level in range(layer_count(shape)):
        directions = []
        for suffix in ["", "_reverse"] if is_bidirectional(shape) else [""]:
            keys = "weight_ih", "weight_hh", "bias_ih", "bias_hh", *(["weight_hr"] if name == "lstmp" else [])
            own = {key: weights[f"{key}_l{level}{suffix}"] for key in keys}
            place = len(final) // len(states)
            hidden = [state[place] for state in states]
            steps = {}
            for t in range(outputs.shape[1])[:: -1 if suffix else 1]:
                hidden = torch_step(name, own, nonlinearity, outputs[:, t], *hidden)
                steps[t] = hidden[0]
            directions.append(np.stack([steps[t] for t in sorted(steps)], axis=1))
            final += hidden
        outputs = np.concatenate(directions, axis=-1)
    return outputs, final


def zero_states(name: str) -> list[np.ndarray]:
    """h_0, and c_0 for an LSTM, of four layers and directions."""
    hidden = np.zeros((4, BATCH, SIZES.get(name, HIDDEN)))
    return [hidden, np.zeros((4, BATCH, HIDDEN))] if name in ("lstm", "lstmp") else [hidden]


def torch_step(name: str, own: dict[str, np.ndarray], nonlinearity: Any, x: Any, h: Any, c: Any = None) -> list[Any]:
    a, r = x @ own["weight_ih"].T + own["bias_ih"], h @ own["weight_hh"].T + own["bias_hh"]
    if name == "elman":
        return [nonlinearity(a + r)]
    if name in ("lstm", "lstmp"):
        i, f, g, o = np.split(a + r, 4, axis=-1)
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        h = logistic(o) * np.tanh(c)
        return [h @ own["weight_hr"].T if name == "lstmp" else h, c]
    (a_r, a_z, a_n), (r_r, r_z, r_n) = np.split(a, 3, axis=-1), np.split(r, 3, axis=-1)
    reset, update = logistic(a_r + r_r), logistic(a_z + r_z)
    return [(1 - update) * np.tanh(a_n + reset * r_n) + update * h]


@cells
@shapes
def test_outputs_are_those_of_pytorchs_equations(name, shape):
    layer, weights = SHAPES[shape](OURS[name]), random_state_dict(name, shape)
    assert_agrees(layer, from_torch(layer, weights), *run_torch_equations(name, weights, shape))


def test_a_relu_net_is_pytorchs():
    layer, weights = SHAPES["stacked"](Elman(activation="relu")), random_state_dict("elman", "stacked")
    want = run_torch_equations("elman", weights, "stacked", nonlinearity=lambda z: np.maximum(z, 0))
    assert_agrees(layer, from_torch(layer, weights), *want)


@cells
def test_initial_states_are_one_a_layer_and_direction(name):
    layer, weights = SHAPES["stacked_bidirectional"](OURS[name]), random_state_dict(name, "stacked_bidirectional")
    random, kind = np.random.default_rng(2), type(OURS[name].init_state(1, 1))
    states = [random.normal(size=zeros.shape).astype(np.float32) for zeros in zero_states(name)]
    below, above = ([kind(*(state[place] for state in states)) for place in pair] for pair in ((0, 1), (2, 3)))
    outputs, _ = run_torch_equations(name, weights, "stacked_bidirectional", states)
    params = {"params": from_torch(layer, weights)}
    got, _ = apply(layer, params, random_inputs(), (tuple(below), tuple(above)))
    assert_close(got, outputs, "outputs", tolerance=TOLERANCE, kind="interop")
    assert np.abs(got - apply(layer, params, random_inputs())[0]).max() > 0.05


# PyTorch says that its fastest kernels have no projection.
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@cells
@pytest.mark.parametrize("shape", ["single", "stacked_bidirectional"])
def test_outputs_are_those_of_pytorch(name, shape):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; its equations are tested in NumPy")
    modules = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "lstmp": torch.nn.LSTM}
    options: dict[str, Any] = {"bidirectional": is_bidirectional(shape), "batch_first": True}
    if name == "lstmp":
        options["proj_size"] = SIZES[name]
    module = modules[name](INPUT, HIDDEN, layer_count(shape), **options)
    weights = random_state_dict(name, shape)
    assert list(module.state_dict()) == list(weights)
    module.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()})
    with torch.no_grad():
        outputs, final = module(torch.from_numpy(random_inputs()))
    states = final if name in ("lstm", "lstmp") else (final,)
    final = [np.asarray(state[i]) for i in range(len(states[0])) for state in states]
    layer = SHAPES[shape](EXACT[name])
    params = from_torch(layer, module.state_dict())
    assert_agrees(layer, params, np.asarray(outputs), final)
    module.load_state_dict({key: torch.from_numpy(array) for key, array in to_torch(layer, params).items()})


@cells
@shapes
def test_there_and_back(name, shape):
    weights = random_state_dict(name, shape)
    layer = SHAPES[shape](EXACT[name])
    back = to_torch(layer, from_torch(layer, weights))
    assert list(back) == list(weights)
    assert_equal(back, weights)
    for cell in (OURS[name], EXACT[name]):
        layer = SHAPES[shape](cell)
        params = random_params(layer)
        assert_equal(from_torch(layer, to_torch(layer, params)), params)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, jnp.bfloat16])
def test_dtypes_stay(dtype):
    layer, weights = RNN(LSTM(second_bias=True), HIDDEN), random_state_dict("lstm", "single", dtype=dtype)
    params = from_torch(layer, weights)
    assert {array.dtype for array in jax.tree.leaves(params["cell"])} == {np.dtype(dtype)}
    assert_equal(to_torch(layer, params), weights)


def test_the_biases_of_a_cell_with_one_are_their_sum():
    weights = random_state_dict("lstm", "single")
    params = from_torch(RNN(LSTM(), HIDDEN), weights)
    np.testing.assert_array_equal(params["cell"]["input"]["bias"], weights["bias_ih_l0"] + weights["bias_hh_l0"])
    assert not to_torch(RNN(LSTM(), HIDDEN), params)["bias_hh_l0"].any()


def test_a_prefix_picks_one_module():
    layer, weights = RNN(LSTM(second_bias=True), HIDDEN), random_state_dict("lstm", "single", prefix="lstm.")
    others = {"embedding.weight": np.zeros((2, 3), np.float32), "batches": np.zeros((), np.int64)}
    params = from_torch(layer, weights | others, prefix="lstm.")
    assert_equal(to_torch(layer, params, prefix="lstm."), weights)
    with pytest.raises(ValueError, match=r"prefix: expected the beginning of one of \['lstm.bias_hh_l0', .*got 'gru.'"):
        from_torch(layer, weights, prefix="gru.")


def test_a_safetensors_file_is_its_state_dict(tmp_path):
    layer, weights = SHAPES["stacked_bidirectional"](GRU()), random_state_dict("gru", "stacked_bidirectional")
    path = tmp_path / "gru.safetensors"
    safetensors.numpy.save_file(weights, path)
    assert_equal(from_torch(layer, path), from_torch(layer, weights))
    assert_equal(from_torch(layer, str(path)), from_torch(layer, weights))


def test_params_share_no_memory_with_the_weights():
    layer, weights = RNN(GRU(), HIDDEN), random_state_dict("gru", "single")
    params = from_torch(layer, weights)
    before = params["cell"]["input"]["kernel"].copy()
    weights["weight_ih_l0"][:] = 0
    np.testing.assert_array_equal(params["cell"]["input"]["kernel"], before)
    taken = to_torch(layer, params)["bias_ih_l0"]
    taken[:] = 0
    assert params["cell"]["input"]["bias"].any()


@pytest.mark.parametrize(
    "layer",
    [
        StackedRNN([RNN(LSTM(), 4), RNN(LSTM(), 5)]),
        StackedRNN([RNN(LSTM(), 4), RNN(GRU(), 4)]),
        StackedRNN([RNN(LSTM(), 4), Bidirectional(RNN(LSTM(), 4), RNN(LSTM(), 4))]),
        StackedRNN([Bidirectional(RNN(LSTM(), 4), RNN(LSTM(), 4), merge) for merge in ("sum", "concat")]),
    ],
    ids=["sizes", "cells", "directions", "merge"],
)
def test_a_layer_that_no_one_module_is(layer):
    with pytest.raises(ValueError, match="expected layers that fit one PyTorch module"):
        from_torch(layer, {})
    with pytest.raises(ValueError, match="expected layers that fit one PyTorch module"):
        to_torch(layer, {})
