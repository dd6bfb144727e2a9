"""The NNX layers: every bit of what the Linen layers give."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from nnx_layers import (
    arguments,
    assert_equal,
    assert_same,
    differ,
    layer_of,
    programs,
    randomised,
    stack,
    two_directions,
)
from tables import BATCH, CELLS, HIDDEN, INPUT, MATRIX_CELLS, MODES, RECURRENCES, TIME

from rnnjax import GRU, LSTM, Dense, Elman, Orthogonal, PointwiseCell, WeightNorm
from rnnjax.nnx import RNN, StackedRNN, from_linen, to_linen

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.quick("lstm")
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_has_the_bits_of_linen(name):
    layer = layer_of(CELLS[name], learn_initial_state=True)
    outputs, *_ = assert_same(layer, *arguments(CELLS[name]))
    lengths = arguments(CELLS[name])[-1][0]
    assert {0, 1, TIME} <= set(np.asarray(lengths).tolist())
    assert np.abs(np.asarray(outputs)).max() > 0.1


FEW = ("scan", "unrolled", "chunked_with_tail", "chunked_gates")


@pytest.mark.quick("scan", "chunked_gates")
@pytest.mark.parametrize("name", RECURRENCES)
def test_every_recurrence_has_the_bits_of_linen(name):
    assert_same(layer_of(LSTM(), RECURRENCES[name]), *arguments(LSTM()))


# Other sizes of a loop are the same code of both.
@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_every_cell_under_every_recurrence_is_linens_program(name):
    for cell in MATRIX_CELLS.values():
        got, want = programs(layer_of(cell, RECURRENCES[name]), *arguments(cell))
        assert got == want


@pytest.mark.quick("lengths-True")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_has_the_bits_of_linen(mode, reverse):
    layer, (inputs, state, reset_state, flags) = layer_of(GRU(), reverse=not reverse), arguments(GRU(), mode)
    given = assert_same(layer, inputs, state, reset_state, flags, reverse=reverse)
    own = layer(inputs, state, *flags, reset_state=reset_state)
    turned = layer_of(GRU(), reverse=reverse)(inputs, state, *flags, reset_state=reset_state)
    assert differ(own, given)
    assert not differ(turned, given)


@pytest.mark.slow
def test_a_learnt_initial_state_is_begun_from_and_put_back():
    layer = layer_of(LSTM(), learn_initial_state=True)
    inputs, _, _, flags = arguments(LSTM())
    outputs = assert_same(layer, inputs, None, None, flags)
    start = layer.initial_state(BATCH)
    assert_equal(start.cell, jnp.broadcast_to(layer.initial_state.cell[...], (BATCH, HIDDEN)))
    again = layer(inputs, start, *flags, reset_state=start, all_states=True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), outputs, again)
    zeros = jax.tree.map(jnp.zeros_like, start)
    assert differ(outputs, layer(inputs, zeros, *flags, reset_state=zeros))
    assert differ(outputs, layer(inputs, start, *flags, reset_state=zeros))
    unlearnt = layer_of(LSTM())
    assert_equal(unlearnt.initial_state(2, jnp.bfloat16), LSTM().init_state(2, HIDDEN, jnp.bfloat16))


@pytest.mark.slow
def test_bfloat16_is_computed_in_while_parameters_stay_float32():
    layer = layer_of(GRU(), dtype=jnp.bfloat16)
    assert_same(layer, *arguments(GRU()))
    assert layer(arguments(GRU())[0])[0].dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(to_linen(layer))} == {jnp.dtype(jnp.float32)}
    assert RNN(GRU(), 2, 2, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0)).cell["input"]["bias"].dtype == jnp.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("merge", ["concat", "sum", "mean", "product"])
def test_bidirectional_has_the_bits_of_linen(merge):
    layer, args = two_directions(merge)
    outputs, final, _ = assert_same(layer, *args)
    assert outputs.shape[-1] == (2 * HIDDEN if merge == "concat" else HIDDEN)
    assert_equal(layer.last(final), layer.linen.apply({}, final, method="last"))
    assert_equal(layer.initial_state(2), layer.linen.initial_state(2))
    assert not layer.causal
    with pytest.raises(ValueError, match="step: expected causal layers, got a Bidirectional layer"):
        layer.step(args[0][:, 0], None)


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "residual"), [(None, False), ("layer", False), ("rms", True)])
def test_stack_has_the_bits_of_linen(norm, residual):
    layer, args = stack(norm=norm, residual=residual, rngs=nnx.Rngs(0))
    plain, _ = stack()
    plain = from_linen(plain, {name: part for name, part in to_linen(layer).items() if "norm" not in name})
    outputs = assert_same(layer, *args)
    assert differ(outputs, plain(*args[:2], *args[3], reset_state=args[2])) == bool(norm or residual)
    assert_equal(layer.initial_state(3), layer.linen.initial_state(3))
    assert (layer.causal, StackedRNN([layer_of(GRU())]).causal) == (False, True)
    if not residual:
        assert_equal(layer.last(outputs[1]), outputs[1][-1].hidden)
    else:
        with pytest.raises(TypeError, match="last: expected the outputs too"):
            layer.last(outputs[1])


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_norms_of_bfloat16_are_linens(norm):
    layer = StackedRNN(
        [layer_of(GRU(), dtype=jnp.bfloat16), layer_of(GRU(), inputs=HIDDEN)], norm=norm, rngs=nnx.Rngs(0)
    )
    inputs, _, _, flags = arguments(GRU())
    outputs = assert_same(randomised(layer), inputs.astype(jnp.bfloat16), None, None, flags)
    assert outputs[0].dtype == jnp.float32  # the second layer's own: its parameters are float32
    assert outputs[1][0].hidden.dtype == jnp.bfloat16


def test_parameters_go_to_linen_and_back_under_the_same_names():
    layer, (inputs, *_) = stack(norm="layer", rngs=nnx.Rngs(1))
    params: Any = layer.linen.init(jax.random.key(3), inputs)["params"]
    assert set(params) == {"layers_0", "layers_1", "norm_0", "norm_1"}
    assert from_linen(layer, params) is layer
    assert_equal(to_linen(layer), params)
    assert_equal(
        layer.layers[0].forward.cell["recurrent"]["kernel"][...],
        params["layers_0"]["forward"]["cell"]["recurrent"]["kernel"],
    )
    assert_equal(
        from_linen(layer, jax.tree.map(np.asarray, nn.FrozenDict(params))).layers[1].cell.input.bias[...],
        params["layers_1"]["cell"]["input"]["bias"],
    )
    # What flax.nnx has itself does it, too.
    nnx.update(layer, jax.tree.map(lambda leaf: leaf + 1, params))
    assert_equal(to_linen(layer), jax.tree.map(lambda leaf: leaf + 1, params))


def test_parameters_of_another_layer_are_refused():
    layer = layer_of(Elman())
    params: Any = to_linen(layer)
    with pytest.raises(ValueError, match=r"params: expected \['cell/input/bias', .*\], got \['cell/input/bias'\]"):
        from_linen(layer, {"cell": {"input": {"bias": params["cell"]["input"]["bias"]}}})
    params["cell"]["input"]["bias"] = jnp.zeros(9)
    with pytest.raises(ValueError, match=r"params/cell/input/bias: expected shape \(4,\), got \(9,\)"):
        from_linen(layer, params)


class Odd(NamedTuple):
    """Names that an `nnx.Module` or a mapping has itself."""

    items: jax.Array
    train: jax.Array
    keys: dict[str, jax.Array]


class OddState(NamedTuple):
    hidden: jax.Array
    train: jax.Array


class OddCell(PointwiseCell):
    """Reads each of its extras."""

    gates = 1
    state_type = OddState

    def init_extras(self, key, inputs, hidden, dtype):
        one = jnp.ones(hidden, dtype)
        return Odd(one, 2 * one, {"values": 3 * one})

    def update(self, extras, inputs, recurrent, state):
        scale = (extras.items + extras.train * extras.keys["values"])[None]
        hidden = jnp.tanh(scale * (inputs + recurrent) + state.train)
        return OddState(hidden, 0.5 * hidden)


@pytest.mark.slow
def test_parameters_may_have_any_name():
    layer = layer_of(OddCell(), learn_initial_state=True)
    inputs = arguments(Elman())[0]
    assert set(to_linen(layer)["cell"]["extras"]) == {"items", "train", "keys"}
    assert_same(layer, inputs, None, None, (None, None))
    layer.eval()


@pytest.mark.slow
@pytest.mark.parametrize("parametrization", [WeightNorm(), Orthogonal()], ids=["weight_norm", "orthogonal"])
def test_parametrized_kernels_have_the_bits_of_linen(parametrization):
    cell = LSTM(recurrent_map=Dense(parametrization))
    assert_same(layer_of(cell), *arguments(LSTM()))


@pytest.mark.slow
def test_axes_that_an_initialiser_names_stay_with_the_parameter():
    cell = LSTM(kernel_init=nn.with_partitioning(nn.initializers.normal(), (None, "model")))
    layer_of_boxes = functools.partial(RNN, cell, INPUT, HIDDEN, rngs=nnx.Rngs(0))
    with nnx.use_eager_sharding(False):
        layer = layer_of_boxes()
    assert layer.cell.input.kernel.get_metadata()["out_sharding"] == (None, "model")
    from_linen(layer, to_linen(layer_of(LSTM())))
    assert_equal(layer(arguments(LSTM())[0]), layer_of(LSTM())(arguments(LSTM())[0]))
    # As Flax does, unless told otherwise: split at once over the mesh that there is, and an error where there is none.
    auto = (jax.sharding.AxisType.Auto,)
    with jax.set_mesh(jax.make_mesh((2,), ("model",), auto)):
        assert layer_of_boxes().cell.input.kernel.sharding.spec == jax.P(None, "model")
    with pytest.raises(ValueError, match="mesh context or metadata is required"):
        layer_of_boxes()
    other = LSTM(kernel_init=nnx.with_partitioning(nn.initializers.normal(), (None, "model")))
    with pytest.raises(ValueError, match=r"expected arrays or boxes of flax\.linen\.with_partitioning, got a box"):
        RNN(other, INPUT, HIDDEN, rngs=nnx.Rngs(0))
