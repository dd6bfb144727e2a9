"""Flax's own recurrent modules, converted both ways."""

from typing import Any

import flax.linen as nn
import jax
import pytest
from flax_modules import apply
from interop_cases import CELLS, HIDDEN, SHAPES, assert_agrees, assert_equal, random_inputs, random_params

from rnnjax import GRU, LSTM, RNN, Elman
from rnnjax.interop import from_flax, to_flax

pytestmark = pytest.mark.usefixtures("quick_compile")

PEERS: dict[str, tuple[str, Any]] = {
    "SimpleCell": ("elman", nn.SimpleCell),
    "LSTMCell": ("lstm", nn.LSTMCell),
    "OptimizedLSTMCell": ("lstm", nn.OptimizedLSTMCell),
    "GRUCell": ("gru", nn.GRUCell),
}


def flax_module(cell: Any, shape: str) -> Any:
    def one() -> Any:
        return nn.RNN(cell(HIDDEN))

    layer = (lambda: nn.Bidirectional(one(), one())) if "bidirectional" in shape else one
    return nn.Sequential([layer(), layer()]) if "stacked" in shape else layer()


def run_flax(module: Any, params: Any) -> tuple[Any, Any]:
    """Outputs and final states; a Sequential gives no states, so that its layers are run one by one."""
    outputs, final = random_inputs(), []
    layers: Any = module.layers if isinstance(module, nn.Sequential) else [module]
    for i, layer in enumerate(layers):
        own = params[f"layers_{i}"] if isinstance(module, nn.Sequential) else params
        carry, outputs = apply(layer.clone(return_carry=True), {"params": own}, outputs)
        for state in carry if isinstance(layer, nn.Bidirectional) else [carry]:
            final += [state[1], state[0]] if isinstance(state, tuple) else [state]
    return outputs, final


# The two LSTM cells have the same names: once is enough for one of them.
@pytest.mark.quick("*-single", "OptimizedLSTMCell-stacked_bidirectional")
@pytest.mark.parametrize(
    ("peer", "shape"),
    [(peer, shape) for peer in PEERS for shape in SHAPES if peer != "LSTMCell" or shape == "single"],
)
def test_outputs_are_flaxs_and_the_weights_come_back(peer, shape):
    name, cell = PEERS[peer]
    layer, module = SHAPES[shape](CELLS[name]), flax_module(cell, shape)
    weights = random_params(module)
    params = from_flax(layer, weights)
    assert_agrees(layer, params, *run_flax(module, weights))
    assert_equal(to_flax(layer, params), weights)


@pytest.mark.parametrize("cell", [Elman(), LSTM(), Elman(second_bias=True), LSTM(second_bias=True), GRU()])
def test_flax_given_our_weights_gives_our_outputs(cell):
    peer = {Elman: nn.SimpleCell, LSTM: nn.OptimizedLSTMCell, GRU: nn.GRUCell}[type(cell)]
    layer = SHAPES["single"](cell)
    params = random_params(layer)
    assert_agrees(layer, params, *run_flax(flax_module(peer, "single"), to_flax(layer, params)))
    if isinstance(cell, GRU):
        # Where Flax has one bias ours must be one too for the way back to be exact.
        params["cell"]["recurrent"]["bias"][: 2 * HIDDEN] = 0
    elif cell.second_bias:
        params["cell"]["recurrent"]["bias"][:] = 0
    assert_equal(from_flax(layer, to_flax(layer, params)), params)


def test_jax_arrays_go_in():
    layer = RNN(GRU(), HIDDEN)
    params = random_params(layer)
    assert_equal(to_flax(layer, jax.tree.map(jax.numpy.asarray, params)), to_flax(layer, params))
