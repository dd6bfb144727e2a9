"""One observation at a time, all states over time, and learnt initial states."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE, apply, random_like, random_variables
from reference import assert_close
from tables import BATCH, CELLS, FEW_RECURRENCES, RAGGED, RESETS, TIME, sizes_of

from rnnjax import GRU, LSTM, RNN, Bidirectional, Cell, Scan, StackedRNN
from rnnjax.types import features

pytestmark = pytest.mark.usefixtures("quick_compile")


def stack_of(cell: Cell, recurrence: Any = None) -> tuple[Any, jax.Array]:
    """Two layers of a cell, the second reading what the first gives where that fits, and inputs."""
    size, hidden = sizes_of(cell)
    layers = [RNN(cell, hidden, recurrence or Scan())]
    inputs = random_like(jax.ShapeDtypeStruct((BATCH, TIME, *features(size)), jnp.float32), 0)
    if len(features(hidden)) == 1:
        layers.append(RNN(cell, hidden, recurrence or Scan()))
    return StackedRNN(layers), inputs


@pytest.mark.quick("lstm", "gru", "lstmp", "slstm")
@pytest.mark.parametrize("name", CELLS)
def test_a_rollout_with_resets_is_the_pass_over_the_segment(name):
    stack, inputs = stack_of(CELLS[name])
    variables = random_variables(stack, inputs)
    state = random_like(stack.initial_state(BATCH), 1)
    reset_state = random_like(stack.initial_state(BATCH), 2)
    outputs, final = apply(stack, variables, inputs, state, resets=jnp.asarray(RESETS), reset_state=reset_state)
    step: Any = jax.jit(functools.partial(stack.apply, method="step"), compiler_options=FAST_COMPILE)
    for t in range(TIME):
        output, state = step(variables, inputs[:, t], state, jnp.asarray(RESETS[:, t]), reset_state=reset_state)
        assert_close(output, outputs[:, t], "values")
    assert_close(state, final, "values")
    assert step._cache_size() == 1


def test_a_stream_that_begins_with_the_initial_state_is_compiled_once():
    layer = RNN(LSTM(), 4, dtype=jnp.bfloat16)
    inputs = jnp.ones((BATCH, TIME, 3))
    variables = layer.init(jax.random.key(0), inputs)
    step: Any = jax.jit(functools.partial(layer.apply, method="step"))
    state = layer.initial_state(BATCH)
    for t in range(3):
        _, state = step(variables, inputs[:, t], state)
    assert step._cache_size() == 1


def test_a_bidirectional_layer_does_not_stream():
    layer = Bidirectional(RNN(LSTM(), 4), RNN(LSTM(), 4))
    with pytest.raises(ValueError, match="step: expected causal layers, got a Bidirectional layer"):
        layer.init(jax.random.key(0), jnp.ones((2, 3)), layer.initial_state(2), method="step")
    assert [type(state).__name__ for state in layer.initial_state(2)] == ["LSTMState", "LSTMState"]


@pytest.mark.quick("lstm-reverse-scan", "lstm-reverse-unrolled", "lstm-forward-gates", "gru-reverse-boundaries")
@pytest.mark.parametrize("recurrence", FEW_RECURRENCES)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_all_states_are_those_of_steps_and_have_gradients(name, reverse, recurrence):
    cell, layer = CELLS[name], RNN(CELLS[name], 4, FEW_RECURRENCES[recurrence], reverse=reverse)
    inputs = random_like(jax.ShapeDtypeStruct((BATCH, TIME, 3), jnp.float32), 0)
    variables, state = random_variables(layer, inputs), random_like(layer.initial_state(BATCH), 1)
    options = {"lengths": RAGGED, "resets": jnp.asarray(RESETS), "reset_state": random_like(state, 2)}
    outputs, final, states = apply(layer, variables, inputs, state, **options, all_states=True)
    assert_close((outputs, final), apply(layer, variables, inputs, state, **options), "values")
    # Step by step, the state held past the length; from the end where the layer runs backward.
    by_step = layer.clone(reverse=False, recurrence=Scan())
    for t in reversed(range(TIME)) if reverse else range(TIME):
        now = {"lengths": (t < RAGGED).astype(jnp.int32), "resets": jnp.asarray(RESETS[:, t : t + 1])}
        _, state = apply(by_step, variables, inputs[:, t : t + 1], state, **now, reset_state=options["reset_state"])
        assert_close(jax.tree.map(lambda leaf, t=t: leaf[:, t], states), state, "values")
    weights = random_like(states, 3)

    @functools.partial(jax.jit, static_argnums=0, compiler_options=FAST_COMPILE)
    def gradient(layer, variables, inputs, state):
        def loss(variables, inputs, state):
            _, _, states = layer.apply(variables, inputs, state, **options, all_states=True)
            return sum((weight * leaf).sum() for weight, leaf in zip(weights, states, strict=True))

        return jax.grad(loss, (0, 1, 2))(variables, inputs, state)

    state = random_like(layer.initial_state(BATCH), 1)
    want = gradient(layer.clone(recurrence=Scan()), variables, inputs, state)
    assert_close(gradient(layer, variables, inputs, state), want, "gradients")
    assert cell is layer.cell


def test_all_states_of_containers_are_those_of_their_layers():
    both = Bidirectional(RNN(LSTM(), 4), RNN(GRU(), 4))
    stack = StackedRNN([both, RNN(GRU(), 3)])
    inputs = random_like(jax.ShapeDtypeStruct((BATCH, TIME, 3), jnp.float32), 0)
    variables = random_variables(stack, inputs)
    outputs, final, (low, top) = apply(stack, variables, inputs, lengths=RAGGED, all_states=True)
    assert_close((outputs, final), apply(stack, variables, inputs, lengths=RAGGED), "values")
    below, below_final, states = apply(
        both, {"params": variables["params"]["layers_0"]}, inputs, lengths=RAGGED, all_states=True
    )
    assert_close((below_final, states), (final[0], low), "values")
    upper = apply(RNN(GRU(), 3), {"params": variables["params"]["layers_1"]}, below, lengths=RAGGED, all_states=True)
    assert_close(upper[2], top, "values")
    # Held past the length: the last step has every forward layer's final state.
    assert_close(jax.tree.map(lambda leaf: leaf[:, -1], top), final[1], "values")


def test_no_steps_give_no_states():
    layer = RNN(LSTM(), 4)
    variables = layer.init(jax.random.key(0), jnp.ones((2, 1, 3)))
    given: Any = layer.apply(variables, jnp.ones((2, 0, 3)), all_states=True)
    outputs, _, states = given
    assert (outputs.shape, states.cell.shape) == ((2, 0, 4), (2, 0, 4))


@pytest.mark.quick("scan", "gates")
@pytest.mark.parametrize("recurrence", FEW_RECURRENCES)
def test_a_learnt_initial_state_is_what_a_call_and_a_reset_begin_from(recurrence):
    plain = RNN(LSTM(), 4, FEW_RECURRENCES[recurrence])
    learnt = plain.clone(learn_initial_state=True)
    inputs = random_like(jax.ShapeDtypeStruct((BATCH, TIME, 3), jnp.float32), 0)
    fresh: Any = learnt.init(jax.random.key(0), inputs)
    assert jax.tree.map(np.shape, fresh["params"]["initial_state"]) == {"hidden": (4,), "cell": (4,)}
    assert not any(leaf.any() for leaf in jax.tree.leaves(fresh["params"]["initial_state"]))
    variables = random_variables(learnt, inputs)
    rows = variables["params"]["initial_state"]
    state: Any = learnt.apply(variables, 7, method="initial_state")
    for name in ("hidden", "cell"):
        np.testing.assert_array_equal(getattr(state, name), np.tile(rows[name], (7, 1)))
    five = jax.tree.map(lambda leaf: leaf[:BATCH], state)
    own = {"params": {"cell": variables["params"]["cell"]}}
    options: dict[str, Any] = {"lengths": RAGGED, "resets": jnp.asarray(RESETS)}
    want = apply(plain, own, inputs, five, **options, reset_state=five)
    assert_close(apply(learnt, variables, inputs, **options), want, "values")
    assert np.abs(apply(plain, own, inputs, **options)[0] - want[0]).max() > 0.05
    # What is given goes before what was learnt.
    given, other = random_like(five, 1), random_like(five, 2)
    got = apply(learnt, variables, inputs, given, **options, reset_state=other)
    assert_close(got, apply(plain, own, inputs, given, **options, reset_state=other), "values")

    def loss(variables):
        return (learnt.apply(variables, inputs, **options)[0] ** 2).sum()

    d_rows = jax.jit(jax.grad(loss), compiler_options=FAST_COMPILE)(variables)["params"]["initial_state"]
    difference = 1e-2
    moved = {**variables["params"], "initial_state": {**rows, "cell": rows["cell"].at[1].add(difference)}}
    back = {**variables["params"], "initial_state": {**rows, "cell": rows["cell"].at[1].add(-difference)}}
    numeric = (loss({"params": moved}) - loss({"params": back})) / (2 * difference)
    np.testing.assert_allclose(d_rows["cell"][1], numeric, rtol=2e-3)


def test_a_learnt_initial_state_wants_its_variables():
    layer = StackedRNN([RNN(LSTM(), 4), RNN(GRU(), 4, learn_initial_state=True)])
    with pytest.raises(ValueError, match=r"initial_state: expected the variables .* method=\"initial_state\""):
        layer.initial_state(3)
    variables = random_variables(layer, jnp.ones((3, 2, 5)))
    states: Any = layer.apply(variables, 3, method="initial_state")
    lstm, gru = states
    np.testing.assert_array_equal(lstm.hidden, np.zeros((3, 4)))
    np.testing.assert_array_equal(gru.hidden[2], variables["params"]["layers_1"]["initial_state"]["hidden"])
