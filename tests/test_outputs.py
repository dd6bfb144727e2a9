"""Cells of one's own: the least that they say, and an output that is not the state's `hidden`."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE, apply, random_like, random_variables
from reference import assert_close
from tables import BATCH, FEW_RECURRENCES, RAGGED, RESETS, TIME

from rnnjax import GRU, LSTM, RNN, Bidirectional, Cell, Chunked, Elman, PointwiseCell, Scan, StackedRNN

pytestmark = pytest.mark.usefixtures("quick_compile")


class ReadOut(Elman):
    """`y_t = h_t C + x_t D`: an output of another value and size than the state's `hidden`."""

    def init_extras(self, key, inputs, hidden, dtype):
        read, skip = jax.random.split(key)
        shapes = (hidden[0], 6), (inputs[0], 6)
        return {
            name: jax.random.normal(own, shape, dtype)
            for name, own, shape in zip(("read_out", "skip"), (read, skip), shapes, strict=True)
        }

    def output(self, extras, state, inputs):
        return state.hidden @ extras["read_out"] + inputs @ extras["skip"]


class PlainReadOut(Cell):
    """The same as a step that no recurrence but the plain ones can run."""

    def init_params(self, key, input_size, hidden_size, dtype=jnp.float32):
        return ReadOut().init_params(key, input_size, hidden_size, dtype)

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        return ReadOut().init_state(batch_size, hidden_size, dtype)

    def step(self, params, inputs, state):
        return ReadOut().step(params, inputs, state)

    def output(self, extras, state, inputs):
        return ReadOut().output(extras.extras, state, inputs)


@pytest.mark.quick("boundaries")
@pytest.mark.parametrize("recurrence", FEW_RECURRENCES)
def test_an_output_may_differ_from_the_state_in_value_and_size(recurrence):
    layer = RNN(ReadOut(), 4, FEW_RECURRENCES[recurrence])
    inputs = random_like(jax.ShapeDtypeStruct((BATCH, TIME, 3), jnp.float32), 0)
    variables, state = random_variables(layer, inputs), random_like(layer.initial_state(BATCH), 1)
    options = {"lengths": RAGGED, "resets": jnp.asarray(RESETS)}
    outputs, final, states = apply(layer, variables, inputs, state, **options, all_states=True)
    extras = variables["params"]["cell"]["extras"]
    valid = np.arange(TIME)[None, :, None] < RAGGED[:, None, None]
    hidden, read, x, skip = (
        np.asarray(leaf, np.float64) for leaf in (states.hidden, extras["read_out"], inputs, extras["skip"])
    )
    want = hidden @ read + x @ skip
    assert outputs.shape == (BATCH, TIME, 6)
    assert_close(outputs, np.where(valid, want, 0), "values")

    @functools.partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
    def gradient(layer, *moved):
        def loss(variables, inputs, state):
            outputs, final = layer.apply(variables, inputs, state, **options)
            return (jnp.sin(outputs) ** 2).sum() + final.hidden[:, 0].sum()

        return jax.grad(loss, (0, 1, 2))(*moved)

    want = gradient(RNN(PlainReadOut(), 4, Scan()), variables, inputs, state)
    assert all(np.abs(leaf).max() > 1e-2 for leaf in jax.tree.leaves(want))
    assert_close(gradient(layer, variables, inputs, state), want, "gradients")
    # A layer above reads it; the last one is read from the outputs.
    stack = StackedRNN([layer, RNN(GRU(), 3)])
    params: Any = stack.init(jax.random.key(0), inputs)["params"]
    assert params["layers_1"]["cell"]["input"]["kernel"].shape == (6, 9)
    with pytest.raises(TypeError, match=r"last: expected the outputs too, since those of ReadOut are not state.hidden"):
        layer.last(final)
    with pytest.raises(TypeError, match=r"last: expected cells with output state.hidden in a Bidirectional .*ReadOut"):
        Bidirectional(layer, RNN(LSTM(), 4)).last((final, final), outputs)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["own output", "residual", "own output, residual"])
def test_the_last_output_is_that_of_the_last_step_that_ran(kind, reverse):
    cell = ReadOut() if "own" in kind else LSTM()
    layer: Any = RNN(cell, 4, reverse=reverse)
    if "residual" in kind:
        layer = StackedRNN([RNN(LSTM(), 6), layer if "own" in kind else RNN(cell, 6, reverse=reverse)], residual=True)
    inputs = random_like(jax.ShapeDtypeStruct((BATCH, TIME, 3), jnp.float32), 0)
    variables = random_variables(layer, inputs)
    outputs, final = apply(layer, variables, inputs, lengths=RAGGED)
    want = [row[0 if reverse else max(n - 1, 0)] for row, n in zip(np.asarray(outputs), RAGGED, strict=True)]
    assert {0, 1, TIME} <= set(RAGGED.tolist())
    np.testing.assert_array_equal(layer.last(final, outputs, RAGGED), np.stack(want))
    np.testing.assert_array_equal(layer.last(final, outputs), outputs[:, 0 if reverse else -1])
    assert np.isfinite(layer.last(final, outputs[:, :0])).all()


def test_an_output_in_bfloat16_stays_bfloat16():
    layer = RNN(ReadOut(), 4, Chunked(3), dtype=jnp.bfloat16)
    inputs = jnp.ones((BATCH, TIME, 3))
    outputs, _ = layer.apply(layer.init(jax.random.key(0), inputs), inputs)
    assert outputs.dtype == jnp.bfloat16


def test_a_pointwise_cell_needs_two_names():
    """The least that a cell of one's own must say."""

    class Leaky(PointwiseCell):
        gates = 1

        def update(self, extras, inputs, recurrent, state):
            return state._replace(hidden=0.9 * state.hidden + 0.1 * jnp.tanh(inputs + recurrent))

    layer = RNN(Leaky(), 4)
    outputs, _ = layer.apply(layer.init(jax.random.key(0), jnp.ones((2, 3, 5))), jnp.ones((2, 3, 5)))
    assert np.abs(outputs).max() > 0.01
