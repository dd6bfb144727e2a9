"""The table of `rnnjax/README.md` on other libraries: each call there beside its call here, on the same weights."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from nnx_layers import assert_equal

from rnnjax import LSTM, RNN, Bidirectional, LSTMState, Scan, StackedRNN
from rnnjax import nnx as ours_nnx

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.usefixtures("quick_compile"),
]

BATCH, TIME, INPUT, HIDDEN = 4, 6, 3, 5
RANDOM = np.random.default_rng(0)
INPUTS, BEFORE, CELL = (
    jnp.asarray(RANDOM.normal(size=shape), jnp.float32)
    for shape in ((BATCH, TIME, INPUT), (BATCH, HIDDEN), (BATCH, HIDDEN))
)
STATE = LSTMState(BEFORE, CELL)
LENGTHS = jnp.array([TIME, 1, 3, 2])
VALID = jnp.arange(TIME)[None] < LENGTHS[:, None]


def weights(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    shapes = {"kernel": (INPUT, 4 * HIDDEN), "recurrent": (HIDDEN, 4 * HIDDEN), "bias": (4 * HIDDEN,)}
    return {name: jnp.asarray(0.5 * random.normal(size=shape), jnp.float32) for name, shape in shapes.items()}


UP, DOWN = weights(1), weights(2)


def ours(own: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell": {"input": {"kernel": own["kernel"], "bias": own["bias"]}, "recurrent": {"kernel": own["recurrent"]}}
    }


def run(layer: Any, params: Any, *args: Any, **options: Any) -> Any:
    return jax.jit(lambda params: layer.apply({"params": params}, *args, **options))(params)


def close(got: Any, want: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), got, want)


class Linen:
    """`flax.linen.RNN`: parameters are one kernel a gate."""

    def params(self, own: dict[str, Any]) -> Any:
        split = {name: jnp.split(array, 4, axis=-1) for name, array in own.items()}
        gates = {}
        for i, gate in enumerate("ifgo"):
            gates[f"i{gate}"] = {"kernel": split["kernel"][i]}
            gates[f"h{gate}"] = {"kernel": split["recurrent"][i], "bias": split["bias"][i]}
        return {"cell": gates}

    def one(self, inputs: Any, **options: Any) -> Any:
        return run(nn.RNN(nn.LSTMCell(HIDDEN), return_carry=True), self.params(UP), inputs, **options)

    def both(self, inputs: Any, function: Any) -> Any:
        layer = nn.Bidirectional(*(nn.RNN(nn.LSTMCell(HIDDEN)) for _ in range(2)), merge_fn=function, return_carry=True)
        return run(layer, {"forward_rnn": self.params(UP), "backward_rnn": self.params(DOWN)}, inputs)


class Nnx:
    """`flax.nnx.RNN`: `OptimizedLSTMCell` has the gates side by side, as here."""

    def layer(self, own: dict[str, Any]) -> Any:
        cell = nnx.OptimizedLSTMCell(INPUT, HIDDEN, rngs=nnx.Rngs(0))
        cell.dense_i.kernel[...] = own["kernel"]
        cell.dense_h.kernel[...] = own["recurrent"]
        bias: Any = cell.dense_h.bias
        bias[...] = own["bias"]
        return nnx.RNN(cell, return_carry=True)

    def one(self, inputs: Any, **options: Any) -> Any:
        return self.layer(UP)(inputs, **options)

    def both(self, inputs: Any, function: Any) -> Any:
        rngs = nnx.Rngs(0)
        layer = nnx.Bidirectional(self.layer(UP), self.layer(DOWN), merge_fn=function, return_carry=True, rngs=rngs)
        return layer(inputs)


FLAX = {"linen": Linen(), "nnx": Nnx()}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLAX)
def test_flaxs_calls_have_their_calls_here(name):
    flax = FLAX[name]
    layer = RNN(LSTM(), HIDDEN, Scan())

    def swapped(carry: Any) -> LSTMState:
        return LSTMState(hidden=carry[1], cell=carry[0])  # (cell, hidden) there

    # Final and initial state.
    carry, outputs = flax.one(INPUTS, initial_carry=(CELL, BEFORE))
    close((outputs, swapped(carry)), run(layer, ours(UP), INPUTS, STATE))
    assert np.abs(outputs - flax.one(INPUTS)[1]).max() > 1e-2
    # Time-major.
    _, turned = flax.one(jnp.swapaxes(INPUTS, 0, 1), time_major=True, initial_carry=(CELL, BEFORE))
    close(jnp.swapaxes(turned, 0, 1), outputs)
    # Lengths: the outputs past them are zero here, and are what the cell gives there.
    carry, outputs = flax.one(INPUTS, seq_lengths=LENGTHS)
    cut, final = run(layer, ours(UP), INPUTS, lengths=LENGTHS)
    close((jnp.where(VALID[..., None], outputs, 0), swapped(carry)), (cut, final))
    assert np.abs(np.where(VALID[..., None], 0, outputs)).max() > 1e-2
    # Reverse: outputs in the order of time here, and there with keep_order=True.
    carry, outputs = flax.one(INPUTS, reverse=True, keep_order=True)
    close((outputs, swapped(carry)), run(RNN(LSTM(), HIDDEN, Scan(), reverse=True), ours(UP), INPUTS))
    assert np.abs(flax.one(INPUTS, reverse=True)[1] - outputs).max() > 1e-2
    # Both directions.
    both = {"forward": ours(UP), "backward": ours(DOWN)}
    for merge, function in (("concat", lambda a, b: jnp.concatenate([a, b], -1)), ("sum", jnp.add)):
        carry, outputs = flax.both(INPUTS, function)
        merged: Any = merge
        layers = Bidirectional(RNN(LSTM(), HIDDEN, Scan()), RNN(LSTM(), HIDDEN, Scan()), merged)
        close((outputs, tuple(swapped(each) for each in carry)), run(layers, both, INPUTS))


def test_nnx_weights_are_moved_by_name():
    cell = Nnx().layer(UP).cell
    layer = ours_nnx.RNN(LSTM(), INPUT, HIDDEN, rngs=nnx.Rngs(0))
    layer.cell.input.kernel[...] = cell.dense_i.kernel[...]
    layer.cell.input.bias[...] = cell.dense_h.bias[...]
    layer.cell.recurrent.kernel[...] = cell.dense_h.kernel[...]
    assert_equal(ours_nnx.to_linen(layer), ours(UP))


def keras_lstm(own: dict[str, Any], **options: Any) -> Any:
    layer = keras.layers.LSTM(HIDDEN, return_sequences=True, return_state=True, **options)
    layer.build(INPUTS.shape)
    layer.set_weights([np.asarray(own[name]) for name in ("kernel", "recurrent", "bias")])
    return layer


def arrays(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


@pytest.mark.slow
def test_keras_calls_have_their_calls_here():
    layer, params = RNN(LSTM(), HIDDEN, Scan()), ours(UP)
    # Final and initial state: hidden, cell, as here.
    outputs, *state = arrays(keras_lstm(UP)(INPUTS, initial_state=[BEFORE, CELL]))
    close((outputs, LSTMState(*state)), run(layer, params, INPUTS, STATE))
    # Without return_sequences: the output at the last step.
    last = keras.layers.LSTM(HIDDEN)
    last.build(INPUTS.shape)
    last.set_weights(keras_lstm(UP).get_weights())
    _, final = run(layer, params, INPUTS, lengths=LENGTHS)
    close(np.asarray(last(INPUTS, mask=VALID)), layer.last(final))
    # Masks: past its length the last output is told again there, and zero with zero_output_for_mask.
    repeated = np.asarray(keras_lstm(UP)(INPUTS, mask=VALID)[0])
    outputs, *state = arrays(keras_lstm(UP, zero_output_for_mask=True)(INPUTS, mask=VALID))
    close((outputs, LSTMState(*state)), run(layer, params, INPUTS, lengths=LENGTHS))
    np.testing.assert_array_equal(repeated[1], np.repeat(repeated[1, :1], TIME, 0))
    # go_backwards gives the outputs in the order in which they are made.
    outputs, *state = arrays(keras_lstm(UP, go_backwards=True)(INPUTS))
    close((outputs[:, ::-1], LSTMState(*state)), run(RNN(LSTM(), HIDDEN, Scan(), reverse=True), params, INPUTS))
    # stateful hands the state on.
    stateful = keras_lstm(UP, stateful=True)
    first, second = (np.asarray(stateful(part)[0]) for part in (INPUTS[:, :2], INPUTS[:, 2:]))
    _, between = run(layer, params, INPUTS[:, :2])
    close(second, run(layer, params, INPUTS[:, 2:], between)[0])
    close(np.concatenate([first, second], 1), run(layer, params, INPUTS)[0])


@pytest.mark.parametrize(
    ("theirs", "merge"), [("concat", "concat"), ("sum", "sum"), ("ave", "mean"), ("mul", "product")]
)
def test_keras_merges_have_their_merges_here(theirs, merge):
    both = keras.layers.Bidirectional(
        keras_lstm(UP), merge_mode=theirs, backward_layer=keras_lstm(DOWN, go_backwards=True)
    )
    both.build(INPUTS.shape)
    both.set_weights([*keras_lstm(UP).get_weights(), *keras_lstm(DOWN).get_weights()])
    outputs, *states = arrays(both(INPUTS))
    layer = Bidirectional(RNN(LSTM(), HIDDEN, Scan()), RNN(LSTM(), HIDDEN, Scan()), merge)
    want = run(layer, {"forward": ours(UP), "backward": ours(DOWN)}, INPUTS)
    close((outputs, (LSTMState(*states[:2]), LSTMState(*states[2:]))), want)


def test_keras_dropouts_act_in_training_only():
    keras.utils.set_random_seed(0)
    for option in ({"dropout": 0.5}, {"recurrent_dropout": 0.5}):
        layer = keras_lstm(UP, **option)
        still, trained = (np.asarray(layer(INPUTS, training=training)[0]) for training in (False, True))
        assert np.abs(still - trained).max() > 1e-2
        close(still, run(RNN(LSTM(), HIDDEN, Scan()), ours(UP), INPUTS)[0])


def test_a_stack_is_lstm_layers_one_on_the_other():
    random = np.random.default_rng(3)
    shapes = {"kernel": (HIDDEN, 4 * HIDDEN), "recurrent": (HIDDEN, 4 * HIDDEN), "bias": (4 * HIDDEN,)}
    top = {name: jnp.asarray(0.5 * random.normal(size=shape), jnp.float32) for name, shape in shapes.items()}
    stack = StackedRNN([RNN(LSTM(), HIDDEN, Scan()) for _ in range(2)])
    outputs, final = run(stack, {"layers_0": ours(UP), "layers_1": ours(top)}, INPUTS)
    upper = keras.layers.LSTM(HIDDEN, return_sequences=True, return_state=True)
    upper.build((BATCH, TIME, HIDDEN))
    upper.set_weights([np.asarray(top[name]) for name in ("kernel", "recurrent", "bias")])
    below, *state = keras_lstm(UP)(INPUTS)
    want, *states = arrays(upper(below))
    close((outputs, final), (want, (LSTMState(*arrays(state)), LSTMState(*states))))
