"""The NNX layers: masks from what a call is given, what is refused, and what surrounds a layer."""

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from nnx_layers import arguments, assert_equal, assert_same, differ, layer_of, randomised
from tables import BATCH, HIDDEN, INPUT

import rnnjax.layers as linen
from rnnjax import GRU, LSTM, Cell, Elman, LanguageModel, Scan, SequenceClassifier, SequenceTagger
from rnnjax.nnx import RNN, Bidirectional, StackedRNN

pytestmark = pytest.mark.usefixtures("quick_compile")


RATES: dict[str, dict[str, Any]] = {
    "input_dropout": {"input_dropout": 0.5},
    "output_dropout": {"output_dropout": 0.5},
    "state_dropout": {"state_dropout": 0.5},
    "weight_dropout": {"weight_dropout": 0.5},
    "zoneout": {"zoneout": {"hidden": 0.2, "cell": 0.5}},
}


@pytest.mark.quick("zoneout")
@pytest.mark.parametrize("name", RATES)
def test_masks_are_drawn_where_rngs_are_given(name):
    layer, plain = layer_of(LSTM(), **RATES[name]), layer_of(LSTM())
    inputs = arguments(LSTM())[0]
    still = layer(inputs)
    assert differ(still, plain(inputs)) == (name == "zoneout")  # zoneout's mean
    rngs = nnx.Rngs(dropout=0)
    first, second = layer(inputs, rngs=rngs), layer(inputs, rngs=rngs)
    assert differ(first, still)
    assert differ(first, second)
    for again in (nnx.Rngs(0), nnx.Rngs(dropout=0), jax.random.key(0), jax.random.PRNGKey(0)):
        assert_equal(layer(inputs, rngs=again), first)
    for nothing in (None, nnx.Rngs(params=0)):
        assert_equal(layer(inputs, rngs=nothing), still)
    count = int(rngs.dropout.count[...])
    assert_equal(layer(inputs, rngs=rngs, deterministic=True), still)
    assert int(rngs.dropout.count[...]) == count
    assert_equal(layer(inputs, rngs=nnx.Rngs(0), deterministic=False), first)
    with pytest.raises(ValueError, match='rngs: expected a stream "dropout" or a key to draw masks from, got none'):
        layer(inputs, deterministic=False)
    layer.eval()
    assert_equal(layer(inputs, rngs=nnx.Rngs(0)), still)
    assert_equal(layer(inputs, rngs=nnx.Rngs(0), deterministic=False), first)


def test_layers_of_one_call_draw_masks_of_their_own():
    ones = jnp.ones((2, 3, INPUT))
    up, down = (RNN(Elman(), INPUT, 64, output_dropout=0.5, rngs=nnx.Rngs(0)) for _ in range(2))
    layer = Bidirectional(up, down)
    for rngs in (jax.random.key(0), nnx.Rngs(0)):
        dropped = np.asarray(layer(ones, rngs=rngs)[0] == 0)
        assert 0.3 < dropped.mean() < 0.7
        assert (dropped[..., :64] != dropped[..., 64:]).any()
        assert (dropped == dropped[:, :1]).all()


@pytest.mark.slow
def test_dropout_between_layers_and_rows():
    layers = [layer_of(GRU(), zoneout=0.3), layer_of(LSTM(), inputs=HIDDEN, input_dropout=0.5)]
    layer, inputs = StackedRNN(layers, dropout=0.5), arguments(GRU())[0]
    still, key = layer(inputs), jax.random.key(0)
    trained = layer(inputs, rngs=key)
    assert differ(trained, still)
    assert_equal(still, layer(inputs, rngs=key, deterministic=True))
    rows = jnp.arange(BATCH)[::-1]
    turned = layer(inputs[::-1], rngs=key, rows=rows)[0][::-1]
    np.testing.assert_allclose(turned, trained[0], rtol=1e-6, atol=1e-6)
    assert differ([turned], [layer(inputs[::-1], rngs=key)[0][::-1]])
    undropped = StackedRNN([nnx.clone(layer) for layer in layers])
    assert differ(trained, undropped(inputs, rngs=key))


@pytest.mark.parametrize(
    ("rngs", "message"),
    [
        (0, "rngs: expected an nnx.Rngs or a key, got int"),
        (jax.random.split(jax.random.key(0), 3), r"rngs: expected one key, got key<fry> of shape \(3,\)"),
        (jnp.zeros(2), r"rngs: expected one key, got float32 of shape \(2,\)"),
    ],
)
def test_rngs_are_streams_or_a_key(rngs, message):
    with pytest.raises(ValueError, match=message):
        layer_of(GRU())(jnp.ones((1, 1, INPUT)), rngs=rngs)


def one() -> RNN:
    return RNN(GRU(), INPUT, INPUT, rngs=nnx.Rngs(0))


def shared() -> list[RNN]:
    first, second = one(), one()
    second.cell.input.kernel = first.cell.input.kernel
    return [first, second]


REFUSED: dict[str, tuple[Any, str]] = {
    "rate": (lambda: RNN(GRU(), 2, 2, zoneout=1.0, rngs=nnx.Rngs(0)), "zoneout: expected 0 <= rate < 1, got 1.0"),
    "size": (lambda: RNN(GRU(), 0, 2, rngs=nnx.Rngs(0)), "input_size: expected at least 1, got 0"),
    "inputs": (lambda: one()(jnp.ones((2, 4, 5))), r"inputs: expected features \(3,\), got shape \(2, 4, 5\)"),
    "axes": (lambda: one()(jnp.ones((4, 5))), r"inputs: expected shape \(B, T, I\), got \(4, 5\)"),
    "merge": (lambda: Bidirectional(one(), one(), "max"), "merge: expected one of .*, got 'max'"),  # pyright: ignore
    "sizes": (
        lambda: Bidirectional(one(), RNN(GRU(), 2, 3, rngs=nnx.Rngs(0))),
        "forward, backward: expected equal input_size, got 3 and 2",
    ),
    "twice": (
        lambda: (lambda same: Bidirectional(same, same))(one()),
        "forward, backward: expected different layer objects",
    ),
    "stack": (lambda: StackedRNN([one()] * 2), "layers: expected different layer objects.* places 0 and 1"),
    "parameter": (lambda: StackedRNN(shared()), "layers: expected different layer objects"),
    "none": (lambda: StackedRNN([]), "layers: expected at least one, got none"),
    "norm": (lambda: StackedRNN([one()], norm="group"), "norm: expected one of .*, got 'group'"),  # pyright: ignore
    "norm_rngs": (lambda: StackedRNN([one()], norm="rms"), "rngs: expected an nnx.Rngs for norm 'rms', got None"),
    "states": (
        lambda: StackedRNN([one()])(jnp.ones((2, 4, 3)), ()),
        "initial_state: expected 1, one per layer, got 0",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_clones_are_layers_of_their_own():
    first = one()
    stacked = StackedRNN([first, nnx.clone(first)])
    assert len(stacked.linen.layers) == 2
    assert_same(randomised(stacked), jnp.ones((2, 3, INPUT)), None, None, (None, None))


@pytest.mark.slow
def test_last_is_the_output_at_the_last_valid_step():
    layer = layer_of(LSTM(), Scan())
    inputs, state, _, (lengths, _) = arguments(LSTM(), "lengths")
    outputs, final = layer(inputs, state, lengths)
    want = [outputs[b, n - 1] if n else state.hidden[b] for b, n in enumerate(lengths)]
    np.testing.assert_array_equal(layer.last(final), np.stack(want))

    class Wide(LSTM):
        def output(self, extras, state, inputs):
            return state.cell

    assert Wide.output is not Cell.output
    wide = layer_of(Wide(), Scan())
    outputs, final = wide(inputs, state, lengths)
    want = [outputs[b, n - 1] if n else jnp.zeros(outputs.shape[-1]) for b, n in enumerate(lengths)]
    np.testing.assert_array_equal(wide.last(final, outputs, lengths), np.stack(want))
    with pytest.raises(TypeError, match=r"last: expected the outputs too, since those of Wide are not state.hidden"):
        wide.last(final)


@pytest.mark.slow
def test_importing_the_library_does_not_import_nnx():
    code = "import sys, rnnjax; assert 'flax.nnx' not in sys.modules; import rnnjax.nnx; rnnjax.nnx.RNN"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_linen_module_may_make_one_that_is_no_part_of_it():
    made = []

    class Model(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            made.append(RNN(GRU(), INPUT, HIDDEN, rngs=nnx.Rngs(0)))
            return made[0](inputs)[0]

    inputs = jnp.ones((1, 2, INPUT))
    outputs = Model().apply({}, inputs)
    assert_equal(outputs, RNN(GRU(), INPUT, HIDDEN, rngs=nnx.Rngs(0))(inputs)[0])
    assert made[0].linen.scope is None
    assert made[0].linen == linen.RNN(GRU(), HIDDEN)


def test_layers_of_nnx_and_of_linen_are_not_mixed():
    """A Linen model would not see the weights of an NNX layer, and train without them."""
    own: Any = layer_of(LSTM())
    other: Any = linen.RNN(LSTM(), HIDDEN)
    for make in (
        lambda: SequenceClassifier(9, 4, own),
        lambda: SequenceTagger(9, 4, own, 3),
        lambda: LanguageModel(9, 4, own),
        lambda: linen.StackedRNN([own]),
        lambda: linen.Bidirectional(own, own),
    ):
        with pytest.raises(TypeError, match=r"expected a flax\.linen module, got rnnjax\.nnx\.rnn\.RNN"):
            make()
    for make in (lambda: StackedRNN([other]), lambda: Bidirectional(other, other)):
        with pytest.raises(TypeError, match=r"expected a layer of rnnjax\.nnx, got rnnjax\.layers\.rnn\.RNN"):
            make()
