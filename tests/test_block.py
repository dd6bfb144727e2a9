"""`RecurrentBlock`: norm, cell, gate and skip connection, against NumPy; and as a layer of stacks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear_cells import ORACLES, parts
from oracle import logistic
from reference import assert_close

from rnnjax import GRU, LRU, RNN, Associative, Bidirectional, MinGRU, RecurrentBlock, StackedRNN
from rnnjax.layers import layer_of

pytestmark = pytest.mark.usefixtures("quick_compile")

BATCH, TIME, INPUT, HIDDEN = 4, 6, 3, 4
LENGTHS = np.array([TIME, 0, 1, 4])
# Largest error measured: 3.5e-7.
FLOAT32_TOLERANCE = 2e-6
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(BATCH, TIME, INPUT)).astype(np.float32)


def drawn(layer, inputs=INPUTS):
    """Variables without zeros and ones."""
    random = np.random.default_rng(1)
    variables = layer.init(jax.random.key(0), inputs)
    return jax.tree.map(lambda leaf: leaf + 0.3 * random.normal(size=leaf.shape).astype(np.float32), variables)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def block_in_numpy(params, inputs, lengths, norm):
    """The equation of the docstring, step by step, from a state of zeros."""
    p = jax.tree.map(np.float64, params)
    own = p["layer"]["cell"]["input"]
    outputs = np.zeros((*inputs.shape[:2], HIDDEN))
    for b, length in enumerate(lengths):
        h = np.zeros(HIDDEN)
        for t in range(length):
            u = np.float64(inputs[b, t])
            if "projection" in p:
                u = u @ p["projection"]["kernel"] + p["projection"]["bias"]
            centred = u - u.mean() if norm == "layer" else u
            n = centred / np.sqrt((centred**2).mean() + 1e-6) * p["norm"]["scale"] + p["norm"].get("bias", 0)
            h, y = ORACLES["min_gru"](own, n, h)
            a, gate = np.split(gelu(y) @ p["gate"]["kernel"] + p["gate"]["bias"], 2)
            outputs[b, t] = u + a * logistic(gate)
    return outputs


@pytest.mark.parametrize(("inputs", "norm"), [(INPUT, "layer"), (HIDDEN, "rms")])
def test_outputs_are_those_of_the_equation(inputs, norm):
    block = RecurrentBlock(RNN(MinGRU(), HIDDEN, Associative()), norm=norm)
    given = RANDOM.normal(size=(BATCH, TIME, inputs)).astype(np.float32)
    variables = drawn(block, given)
    assert ("projection" in variables["params"]) == (inputs != HIDDEN)
    given[np.arange(TIME) >= LENGTHS[:, None]] = np.nan
    got, final = block.apply(variables, given, lengths=LENGTHS)
    want = block_in_numpy(variables["params"], given, LENGTHS, norm)
    assert_close(got, want, "values", tolerance=FLOAT32_TOLERANCE)
    last = np.stack([want[0, -1], np.zeros(HIDDEN), want[2, 0], want[3, 3]])
    assert_close(block.last(final, got, jnp.asarray(LENGTHS)), last, "values", tolerance=FLOAT32_TOLERANCE)


def test_single_steps_and_resets_are_as_a_whole_call():
    stack = StackedRNN([RecurrentBlock(RNN(LRU(), HIDDEN)), layer_of(MinGRU(), HIDDEN, Associative())])
    variables = drawn(stack)
    resets = np.zeros((BATCH, TIME), bool)
    resets[0, 3] = resets[2, 1] = True
    want, last = stack.apply(variables, INPUTS, resets=resets)
    step = jax.jit(lambda *given: stack.apply(variables, *given, method="step"))
    state = stack.initial_state(BATCH)
    for t in range(TIME):
        output, state = step(INPUTS[:, t], state, resets[:, t])
        assert_close(output, want[:, t], "values", tolerance=FLOAT32_TOLERANCE)
    assert_close(parts(state), parts(last), "values", tolerance=FLOAT32_TOLERANCE)
    assert np.abs(want - stack.apply(variables, INPUTS)[0]).max() > 1e-3


def test_both_directions_and_dropout():
    both = Bidirectional(RecurrentBlock(RNN(MinGRU(), HIDDEN), dropout=0.5), layer_of(MinGRU(), HIDDEN))
    variables = drawn(both)
    outputs, final = both.apply(variables, INPUTS, lengths=LENGTHS)
    backward = {"params": variables["params"]["backward"]}
    alone, _ = layer_of(MinGRU(), HIDDEN, reverse=True).apply(backward, INPUTS, lengths=LENGTHS)
    np.testing.assert_array_equal(outputs[..., HIDDEN:], alone)
    dropped, _ = both.apply(variables, INPUTS, rngs={"dropout": jax.random.key(3)})
    kept, _ = both.apply(variables, INPUTS)
    assert (np.asarray(dropped != kept)[..., :HIDDEN]).mean() > 0.9
    np.testing.assert_array_equal(dropped[..., HIDDEN:], kept[..., HIDDEN:])
    with pytest.raises(TypeError, match=r"last: expected the outputs too, .* pooling 'mean' or 'max'"):
        both.last(final)  # pyright: ignore[reportArgumentType]


def test_half_precision_stays_narrow():
    block = RecurrentBlock(RNN(LRU(), HIDDEN, dtype=jnp.bfloat16))
    (outputs, final), _ = jax.eval_shape(lambda: block.init_with_output(jax.random.key(0), INPUTS))
    assert (outputs.dtype, final.hidden.dtype) == (jnp.bfloat16, jnp.complex64)


def test_only_linear_cells_need_a_block():
    assert layer_of(GRU(), HIDDEN, zoneout=0.1) == RNN(GRU(), HIDDEN, zoneout=0.1)
    assert layer_of(LRU(), HIDDEN) == RecurrentBlock(RNN(LRU(), HIDDEN))


BLOCK: Any = RecurrentBlock
WRONG = {
    "norm": (lambda: BLOCK(RNN(LRU(), 4), norm="batch"), r"norm: expected one of \['layer', 'rms'\], got 'b"),
    "dropout": (lambda: RecurrentBlock(RNN(LRU(), 4), dropout=1.0), r"dropout: expected .*, got 1.0"),
    "layer": (lambda: BLOCK(LRU()), "layer: expected an RNN with one feature axis, got LRU"),
    "axes": (lambda: RecurrentBlock(RNN(GRU(), (2, 2))), "layer: expected an RNN with one feature axis, got RNN"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
