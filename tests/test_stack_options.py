"""What stands between the layers of a stack, and what its parameters are called."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import apply, random_like, random_variables
from reference import assert_close
from tables import BATCH, RAGGED, TIME

from rnnjax import GRU, LSTM, RNN, Bidirectional, Elman, Scan, StackedRNN

pytestmark = pytest.mark.usefixtures("quick_compile")


def two_layers(**options: Any) -> tuple[StackedRNN, Any, jax.Array]:
    stack = StackedRNN([RNN(LSTM(), 4, Scan()), RNN(GRU(), 4, Scan()), RNN(Elman(), 4, Scan())], **options)
    inputs = random_like(jax.ShapeDtypeStruct((BATCH, TIME, 4), jnp.float32), 0)
    return stack, random_variables(stack, inputs), inputs


def layer_norm(x, params, rms=False):
    x = np.float64(x)
    centred = x if rms else x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    return scaled * params["scale"] + (0 if rms else params["bias"])


@pytest.mark.quick("None-residual", "rms-plain", "layer-residual")
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("norm", [None, "layer", "rms"])
def test_a_stack_is_its_layers_with_what_stands_between_them(norm, residual):
    stack, variables, inputs = two_layers(residual=residual, norm=norm)
    params, below, finals = variables["params"], inputs, []
    for i, layer in enumerate(stack.layers):
        read = layer_norm(below, params[f"norm_{i}"], norm == "rms") if norm else below
        outputs, final = apply(layer, {"params": params[f"layers_{i}"]}, jnp.asarray(read, jnp.float32), lengths=RAGGED)
        below = outputs + below if residual else outputs
        finals.append(final)
    valid = np.arange(TIME)[None, :, None] < RAGGED[:, None, None]
    got, final = apply(stack, variables, inputs, lengths=RAGGED)
    assert_close((got, final), (np.where(valid, below, 0), tuple(finals)), "values")


@pytest.mark.slow
def test_dropout_stands_between_layers_in_training_only():
    stack, variables, inputs = two_layers(dropout=0.5)
    plain, _, _ = two_layers()
    want, _ = apply(plain, variables, inputs)
    np.testing.assert_array_equal(apply(stack, variables, inputs)[0], want)
    rngs = {"dropout": jax.random.key(1)}
    one, (first, *_), states = apply(stack, variables, inputs, rngs=rngs, all_states=True)
    assert np.abs(one - want).max() > 0.01
    # Nothing is dropped before the first layer or after the last one.
    assert_close(first, apply(plain, variables, inputs)[1][0], "values")
    assert (np.asarray(one) != 0).all()
    assert_close(one, states[-1].hidden, "values")
    np.testing.assert_array_equal(one, apply(stack, variables, inputs, rngs=rngs)[0])
    other, _ = apply(stack, variables, inputs, rngs={"dropout": jax.random.key(2)})
    assert np.abs(one - other).max() > 0.01
    np.testing.assert_array_equal(apply(stack, variables, inputs, rngs=rngs, deterministic=True)[0], want)
    # Row by row: half of a batch, by its rows' numbers, drops what the whole does.
    half, _ = apply(stack, variables, inputs[2:], rngs=rngs, rows=jnp.arange(2, BATCH))
    assert_close(half, one[2:], "values")


def test_a_residual_stack_wants_sizes_that_agree_from_the_second_layer_on():
    stack = StackedRNN([RNN(LSTM(), 4), RNN(LSTM(), 4)], residual=True)
    assert stack.init(jax.random.key(0), jnp.ones((2, 3, 7)))
    other = StackedRNN([RNN(LSTM(), 4), RNN(LSTM(), 5)], residual=True)
    with pytest.raises(
        ValueError, match=r"residual: expected outputs of layer 1 with the shape of its inputs, \(2, 3, 4\), got"
    ):
        other.init(jax.random.key(0), jnp.ones((2, 3, 7)))
    states = (LSTM().init_state(2, 4),) * 2
    with pytest.raises(TypeError, match="last: expected the outputs too, since the states do not contain"):
        stack.last(states)
    both = StackedRNN([Bidirectional(RNN(LSTM(), 4), RNN(LSTM(), 4), "sum")], residual=True)
    with pytest.raises(TypeError, match="last: expected a unidirectional top layer, since residual is on, got a"):
        both.last((states,), jnp.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"norm: expected one of \['layer', 'rms'\] or None, got 'batch'"):
        StackedRNN([RNN(LSTM(), 4)], norm="batch")  # pyright: ignore[reportArgumentType]


class InCompact(nn.Module):
    """A stack made where it is used: `parent=None` leaves its layers to it."""

    @nn.compact
    def __call__(self, inputs):
        return StackedRNN([RNN(LSTM(), 4, parent=None), RNN(GRU(), 4, parent=None)], name="stack")(inputs)[0]


class InSetup(nn.Module):
    def setup(self):
        self.stack = StackedRNN([RNN(LSTM(), 4, parent=None), RNN(GRU(), 4, parent=None)])

    def __call__(self, inputs):
        return self.stack(inputs)[0]


def test_parameters_have_the_same_names_in_compact_and_in_setup():
    inputs = jnp.ones((2, 3, 5))
    names = [
        jax.tree.structure(module.init(jax.random.key(0), inputs)["params"]) for module in (InCompact(), InSetup())
    ]
    assert names[0] == names[1]
    params: Any = InCompact().init(jax.random.key(0), inputs)["params"]
    assert set(params["stack"]) == {"layers_0", "layers_1"}
