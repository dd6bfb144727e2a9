"""Parameters and states that are not all real numbers, and what stands on padded steps."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE, apply, random_like, random_variables
from reference import assert_close
from tables import BATCH, RAGGED, TIME, slow_unless

from rnnjax import (
    GRU,
    LSTM,
    RNN,
    SLSTM,
    Bidirectional,
    Chunked,
    Dense,
    Elman,
    FlaxCell,
    PointwiseCell,
    Recurrence,
    Scan,
    SequenceTagger,
    StackedRNN,
    Unrolled,
    WeightNorm,
)
from rnnjax.initializers import zeros

pytestmark = pytest.mark.usefixtures("quick_compile")

RECURRENCES: dict[str, Recurrence] = {
    "scan": Scan(),
    "unrolled": Unrolled(),
    "gates": Chunked(3, "gates"),
    "boundaries": Chunked(3, "boundaries"),
}
# The loops that JAX differentiates itself take no code of their own for such numbers.
every_recurrence = pytest.mark.parametrize(
    "recurrence", slow_unless(lambda name: name in ("gates", "boundaries"), zip(RECURRENCES))
)
INPUTS = random_like(jax.ShapeDtypeStruct((BATCH, TIME, 3), jnp.float32), 0)


class RotationState(NamedTuple):
    hidden: jax.Array
    phase: jax.Array  # (B, H) complex64


class Rotation(PointwiseCell):
    """A linear recurrence with complex factors, which are parameters: `z_t = lam * z_{t-1} + a_t`, h = Re z."""

    gates = 1

    def init_extras(self, key, inputs, hidden, dtype):
        angles = jax.random.uniform(key, hidden, jnp.float32, 0.5, 2.5)
        return {"factor": (0.9 * jnp.exp(1j * angles)).astype(jnp.complex64)}

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        return RotationState(
            jnp.zeros((batch_size, hidden_size), dtype), jnp.zeros((batch_size, hidden_size), jnp.complex64)
        )

    def update(self, extras, inputs, recurrent, state):
        phase = extras["factor"] * state.phase + inputs + 0.1 * recurrent
        return RotationState(phase.real, phase)


def test_complex_parameters_stay_complex_in_a_layer_and_its_state_real():
    layer = RNN(Rotation(), 4, Scan())
    variables: Any = layer.init(jax.random.key(0), INPUTS)
    cell = jax.tree.map(np.asarray, variables["params"]["cell"])
    assert cell["extras"]["factor"].dtype == np.complex64
    values: Any = layer.apply(variables, INPUTS)
    outputs, final = values
    assert (outputs.dtype, final.hidden.dtype, final.phase.dtype) == (np.float32, np.float32, np.complex64)
    hidden, phase, want = np.zeros((BATCH, 4)), np.zeros((BATCH, 4), complex), []
    for t in range(TIME):
        own = np.float64(INPUTS[:, t]) @ np.asarray(cell["input"]["kernel"], np.float64) + cell["input"]["bias"]
        recurrent = hidden @ np.asarray(cell["recurrent"]["kernel"], np.float64)
        phase = np.complex128(cell["extras"]["factor"]) * phase + own + 0.1 * recurrent
        hidden = phase.real
        want.append(hidden)
    assert_close(outputs, np.stack(want, axis=1), "values")
    one: Any = FlaxCell(Rotation(), 4).apply(
        {"params": variables["params"]}, Rotation().init_state(BATCH, 4), INPUTS[:, 0]
    )
    assert_close(one[1], want[0], "values")


@pytest.mark.slow
@every_recurrence
def test_complex_parameters_have_the_gradients_of_scan(recurrence):
    @functools.partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
    def gradient(recurrence, variables, inputs):
        layer = RNN(Rotation(), 4, recurrence)

        def loss(variables, inputs):
            values: Any = layer.apply(variables, inputs, lengths=RAGGED)
            outputs, final = values
            return (outputs**2).sum() + final.phase.imag.sum()

        return jax.grad(loss, (0, 1))(variables, inputs)

    variables = RNN(Rotation(), 4).init(jax.random.key(0), INPUTS)
    want = gradient(Scan(), variables, INPUTS)
    assert np.abs(want[0]["params"]["cell"]["extras"]["factor"].imag).max() > 0.01
    parts = [jax.tree.map(lambda leaf: (leaf.real, leaf.imag), tree) for tree in (want,)]
    got = jax.tree.map(lambda leaf: (leaf.real, leaf.imag), gradient(RECURRENCES[recurrence], variables, INPUTS))
    assert_close(got, parts[0], "gradients")


class Shuffled(Elman):
    """An Elman cell whose state is put in another order at every step, by integers among its parameters."""

    def init_extras(self, key, inputs, hidden, dtype):
        return {"order": jax.random.permutation(key, hidden[0])}

    def update(self, extras, inputs, recurrent, state):
        return state._replace(hidden=jnp.tanh(inputs + recurrent + state.hidden[:, extras["order"]]))


@pytest.mark.slow
@every_recurrence
def test_integers_among_the_parameters_stay_integers(recurrence):
    layer = RNN(Shuffled(), 4, RECURRENCES[recurrence])
    variables: Any = layer.init(jax.random.key(0), INPUTS)
    assert jnp.issubdtype(variables["params"]["cell"]["extras"]["order"].dtype, jnp.integer)
    want = Scan()(
        Shuffled(),
        Shuffled().init_params(jax.random.key(0), 3, 4)._replace(extras=variables["params"]["cell"]["extras"]),
        jnp.swapaxes(INPUTS, 0, 1),
        layer.initial_state(BATCH),
    )
    got = layer.apply(variables, INPUTS, lengths=RAGGED)
    assert np.isfinite(got[0]).all()
    assert got[0].shape == (BATCH, TIME, 4) == jnp.swapaxes(want[0], 0, 1).shape

    def loss(kernel):
        own = {**variables["params"]["cell"], "recurrent": {"kernel": kernel}}
        return (layer.apply({"params": {"cell": own}}, INPUTS)[0] ** 2).sum()

    kernel = variables["params"]["cell"]["recurrent"]["kernel"]
    direction = random_like(kernel, 1)
    numeric = (loss(kernel + 1e-2 * direction) - loss(kernel - 1e-2 * direction)) / 2e-2
    np.testing.assert_allclose((jax.grad(loss)(kernel) * direction).sum(), numeric, rtol=1e-2)


class SpikeState(NamedTuple):
    hidden: jax.Array  # (B, H) int32: spikes
    voltage: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spiking(PointwiseCell):
    """Leaky units that fire: `hidden` is of integers, and the output is the voltage."""

    gates = 1

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        zeros = jnp.zeros((batch_size, hidden_size), dtype)
        return SpikeState(zeros.astype(jnp.int32), zeros)

    def update(self, extras, inputs, recurrent, state):
        voltage = 0.8 * state.voltage * (1 - state.hidden) + inputs + recurrent
        return SpikeState((voltage > 0.5).astype(jnp.int32), voltage)

    def output(self, extras, state, inputs):
        return state.voltage


@every_recurrence
def test_a_hidden_state_of_integers_has_the_gradients_of_scan(recurrence):
    @functools.partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
    def values_and_gradients(recurrence, variables, inputs):
        layer = RNN(Spiking(), 4, recurrence)

        def loss(variables, inputs):
            outputs, final = layer.apply(variables, inputs, lengths=RAGGED)
            return (outputs**2).sum(), (outputs, final)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(variables, inputs)

    variables = RNN(Spiking(), 4).init(jax.random.key(0), INPUTS)
    (_, values), gradients = values_and_gradients(Scan(), variables, INPUTS)
    assert set(np.unique(values[1].hidden)) == {0, 1}
    (_, got), got_gradients = values_and_gradients(RECURRENCES[recurrence], variables, INPUTS)
    assert_close(got, values, "values")
    assert_close(got_gradients, gradients, "gradients")


def test_a_map_may_have_a_parametrization_where_the_other_is_made_of_an_option():
    layer = RNN(SLSTM(heads=2, input_map=Dense(WeightNorm())), 4, Scan())
    variables: Any = layer.init(jax.random.key(0), INPUTS)
    assert set(variables["params"]["cell"]["input"]["kernel"]) == {"direction", "gain"}
    plain = RNN(SLSTM(heads=2), 4, Scan()).init(jax.random.key(0), INPUTS)
    assert_close(layer.apply(variables, INPUTS), RNN(SLSTM(heads=2), 4, Scan()).apply(plain, INPUTS), "values")


def test_weight_norm_of_a_kernel_of_zeros_is_zero_and_has_a_finite_gradient():
    layer = RNN(LSTM(recurrent_map=Dense(WeightNorm()), recurrent_init=zeros), 4)
    variables = layer.init(jax.random.key(0), INPUTS)
    value, gradient = jax.value_and_grad(lambda v: (layer.apply(v, INPUTS)[0] ** 2).sum())(variables)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((value, gradient)))
    plain = RNN(LSTM(recurrent_init=zeros), 4)
    want = plain.apply(plain.init(jax.random.key(0), INPUTS), INPUTS)
    assert_close(layer.apply(variables, INPUTS), want, "values")


def test_a_reset_on_a_padded_step_changes_nothing_in_either_direction():
    layer = Bidirectional(RNN(LSTM(), 4, Scan()), RNN(GRU(), 4, Scan()))
    variables = random_variables(layer, INPUTS)
    states = random_like(layer.initial_state(BATCH), 1)
    # At a sequence's very end, further on, and at the first step of a sequence of none.
    padded = np.arange(TIME)[None] >= np.asarray(RAGGED)[:, None]
    want = apply(layer, variables, INPUTS, states, lengths=RAGGED)
    got = apply(layer, variables, INPUTS, states, lengths=RAGGED, resets=jnp.asarray(padded))
    assert_close(got, want, "values")


def test_a_layer_that_runs_from_the_end_has_no_step():
    backward = RNN(LSTM(), 4, reverse=True)
    for layer in (backward, StackedRNN([RNN(LSTM(), 4), RNN(GRU(), 4, reverse=True)])):
        with pytest.raises(ValueError, match="step: expected causal layers, got one that runs in reverse"):
            layer.init(jax.random.key(0), INPUTS[:, 0], layer.initial_state(BATCH), method="step")


@pytest.mark.parametrize(
    "model",
    [
        StackedRNN([RNN(GRU(), 3), RNN(GRU(), 3)], norm="layer"),
        StackedRNN([RNN(GRU(), 3), RNN(GRU(), 3)], norm="rms", residual=True),
        SequenceTagger(None, 3, RNN(GRU(), 3), tags=2),
    ],
    ids=["layer", "residual", "tagger"],
)
def test_what_stands_on_padded_steps_reaches_no_gradient(model):
    padded = (np.arange(TIME)[None] >= np.asarray(RAGGED)[:, None])[..., None]
    poisoned = jnp.where(padded, jnp.nan, INPUTS)
    variables = random_variables(model, INPUTS)

    @functools.partial(jax.jit, compiler_options=FAST_COMPILE)
    def gradient(inputs):
        def loss(variables):
            outputs = model.apply(variables, inputs, lengths=RAGGED)
            first = outputs[0] if isinstance(outputs, tuple) else outputs
            return (first**2).sum()

        return jax.value_and_grad(loss)(variables)

    assert_close(gradient(poisoned), gradient(jnp.where(padded, 0, INPUTS)), "gradients")
