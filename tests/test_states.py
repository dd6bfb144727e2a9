"""The state that a call begins from and the state that a reset puts back: one meaning and name each, everywhere."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import apply, random_variables
from reference import assert_close
from tables import BATCH, CELLS, HIDDEN, INPUT, RESETS, TIME, slow_unless

from rnnjax import GRU, LSTM, RNN, Bidirectional, Chunked, LanguageModel, Recurrence, Scan, StackedRNN, Unrolled
from rnnjax.analysis.step_trace import trace_cell

pytestmark = pytest.mark.usefixtures("quick_compile")

RECURRENCES: dict[str, Recurrence] = {
    "scan": Scan(),
    "unrolled": Unrolled(),
    "gates": Chunked(3, "gates"),
    "boundaries": Chunked(3, "boundaries"),
}
INPUTS = jax.random.normal(jax.random.key(0), (BATCH, TIME, INPUT))
TOKENS = jax.random.randint(jax.random.key(1), (BATCH, TIME), 0, 9)
# Rows that are reset at their first step, in their midst, at their last step, and never.


def models(recurrence: Recurrence) -> dict[str, tuple[Any, Any]]:
    def lstm(**options):
        return RNN(LSTM(), HIDDEN, recurrence, **options)

    return {
        "rnn": (lstm(), INPUTS),
        "stack": (StackedRNN([lstm(), RNN(GRU(), 3, recurrence)]), INPUTS),
        "language_model": (LanguageModel(9, INPUT, StackedRNN([lstm(), RNN(GRU(), 3, recurrence)])), TOKENS),
    }


def start(model: Any, seed: int) -> Any:
    """A random state of a model's layers."""
    recurrent = getattr(model, "recurrent", model)
    layers = getattr(recurrent, "layers", (recurrent,))
    random = np.random.default_rng(seed)
    states = tuple(
        jax.tree.map(
            lambda leaf: jnp.asarray(random.normal(size=leaf.shape), jnp.float32),
            layer.cell.init_state(BATCH, layer.hidden_size),
        )
        for layer in layers
    )
    return states if hasattr(recurrent, "layers") else states[0]


def select(flags: Any, one: Any, other: Any) -> Any:
    return jax.tree.map(lambda left, right: jnp.where(flags[:, None], left, right), one, other)


@pytest.mark.parametrize(
    ("name", "recurrence", "given"),
    slow_unless(
        lambda name, recurrence, given: given if name == "rnn" else recurrence == "boundaries",
        itertools.product(("rnn", "stack", "language_model"), RECURRENCES, (True, False)),
    ),
)
def test_one_step_at_a_time_with_resets_is_the_whole_segment(name, recurrence, given):
    """A rollout: the state handed on from call to call, and put back by hand where an episode begins."""
    model, inputs = models(RECURRENCES[recurrence])[name]
    variables = random_variables(model, inputs)
    state = start(model, seed=2)
    reset_state = start(model, seed=3) if given else jax.tree.map(jnp.zeros_like, state)
    options = {"reset_state": reset_state} if given else {}
    whole, final = apply(model, variables, inputs, initial_state=state, resets=jnp.asarray(RESETS), **options)
    outputs = []
    for t in range(TIME):
        state = select(RESETS[:, t], reset_state, state)
        output, state = apply(model, variables, inputs[:, t : t + 1], initial_state=state)
        outputs.append(output)
    assert_close((whole, final), (jnp.concatenate(outputs, axis=1), state), "values")


@pytest.mark.parametrize(
    ("name", "cut"),
    slow_unless(
        lambda name, cut: name == "rnn" or cut == 3,
        itertools.product(("rnn", "stack", "language_model"), (1, 3, TIME - 1)),
    ),
)
def test_a_segment_may_be_cut_anywhere(name, cut):
    model, inputs = models(Chunked(3, "boundaries"))[name]
    variables, state, reset_state = random_variables(model, inputs), start(model, 2), start(model, 3)
    whole = apply(model, variables, inputs, initial_state=state, resets=jnp.asarray(RESETS), reset_state=reset_state)
    parts = []
    for part in (slice(0, cut), slice(cut, TIME)):
        output, state = apply(
            model,
            variables,
            inputs[:, part],
            initial_state=state,
            resets=jnp.asarray(RESETS[:, part]),
            reset_state=reset_state,
        )
        parts.append(output)
    assert_close(whole, (jnp.concatenate(parts, axis=1), state), "values")


def test_each_direction_has_its_two_states():
    layer = Bidirectional(RNN(LSTM(), HIDDEN), RNN(GRU(), HIDDEN))
    states, resets = (start(StackedRNN([layer.forward, layer.backward]), seed) for seed in (2, 3))
    variables = random_variables(layer, INPUTS)
    flags = jnp.asarray(RESETS)
    outputs, finals = apply(layer, variables, INPUTS, states, resets=flags, reset_state=resets)
    up, down = ({"params": variables["params"][name]} for name in ("forward", "backward"))
    forward, final = apply(layer.forward, up, INPUTS, states[0], resets=flags, reset_state=resets[0])
    assert_close((outputs[..., :HIDDEN], finals[0]), (forward, final), "values")
    # Run from the end, a sequence begins anew at the step before the next one's first.
    flags = jnp.asarray(np.pad(RESETS[:, 1:], ((0, 0), (0, 1))))
    backward, final = apply(layer.backward, down, INPUTS, states[1], resets=flags, reset_state=resets[1], reverse=True)
    assert_close((outputs[..., HIDDEN:], finals[1]), (backward, final), "values")
    without, _ = apply(layer, variables, INPUTS, states, resets=jnp.asarray(RESETS))
    assert np.abs(without - outputs).max() > 0.01


def test_a_trace_of_steps_takes_both():
    cell, params = CELLS["gru"], CELLS["gru"].init_params(jax.random.key(0), INPUT, HIDDEN)
    state, reset_state = (start(RNN(cell, HIDDEN), seed) for seed in (2, 3))
    options = {"resets": jnp.asarray(RESETS.T), "reset_state": reset_state}
    inputs = jnp.swapaxes(INPUTS, 0, 1)
    trace = trace_cell(cell, params, inputs, state, **options)
    assert_close(trace["hidden"], Scan()(cell, params, inputs, state, **options)[0], "values")


def test_without_resets_the_reset_state_changes_nothing():
    layer = RNN(LSTM(), HIDDEN)
    variables, state = random_variables(layer, INPUTS), start(layer, 2)
    got = apply(layer, variables, INPUTS, state, reset_state=start(layer, 3))
    assert_close(got, apply(layer, variables, INPUTS, state), "values")


def test_resets_may_be_a_list_and_states_plain_tuples():
    layer = RNN(LSTM(), HIDDEN)
    variables, state, reset_state = random_variables(layer, INPUTS), start(layer, 2), start(layer, 3)
    got = layer.apply(
        variables,
        np.asarray(INPUTS).tolist(),
        tuple(state),
        [TIME] * BATCH,
        RESETS.astype(int).tolist(),
        reset_state=list(reset_state),
    )
    want = layer.apply(variables, INPUTS, state, None, jnp.asarray(RESETS), reset_state=reset_state)
    assert_close(got, want, "values")


@pytest.mark.parametrize("name", ["initial_state", "reset_state"])
def test_a_state_that_does_not_fit_is_named(name):
    layer: Any = RNN(LSTM(), HIDDEN)
    variables = random_variables(layer, INPUTS)
    options: dict[str, Any] = {"resets": jnp.asarray(RESETS)}
    state = start(layer, 2)._replace(cell=jnp.zeros((BATCH, 3)))
    with pytest.raises(ValueError, match=rf"{name}.cell: expected shape \(5, 4\), got \(5, 3\)"):
        layer.apply(variables, INPUTS, **options, **{name: state})
    with pytest.raises(ValueError, match=rf"{name}: expected fields \('hidden', 'cell'\), got \('hidden',\)"):
        layer.apply(variables, INPUTS, **options, **{name: GRU().init_state(BATCH, HIDDEN)})
    with pytest.raises(ValueError, match=rf"{name}: expected a state of LSTM, got \(\)"):
        layer.apply(variables, INPUTS, **options, **{name: ()})
