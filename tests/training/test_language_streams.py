"""A language model over streams: the state is carried, in training and in evaluation, and what is carried counts."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference import assert_close

from rnnjax import LSTM, RNN, LanguageModel, Scan
from rnnjax.data import Stream
from rnnjax.training import (
    Objective,
    Optimizer,
    TrainState,
    batch_mesh,
    eval_step,
    evaluate_stream,
    initial_carry,
    next_in_stream,
    streams,
    train_step,
)

pytestmark = pytest.mark.usefixtures("quick_compile")

MODEL = LanguageModel(9, 5, RNN(LSTM(), 6, Scan()))
RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(0, 9, 83).astype(np.int32)
RESETS = RANDOM.random(83) < 0.08


def features(params, *arguments, **options):
    return MODEL.apply({"params": params}, *arguments, method="features", **options)


@pytest.fixture(scope="module")
def params():
    """Large ones: what was read long ago still counts."""
    return jax.tree.map(lambda leaf: 3 * leaf, MODEL.init(jax.random.key(0), jnp.zeros((1, 1), int))["params"])


def unbroken(params, resets):
    """The mean loss of one pass over the whole text."""
    flags = None if resets is None else resets[None, :-1]
    logits, _ = MODEL.apply({"params": params}, TOKENS[None, :-1], resets=flags)
    return optax.softmax_cross_entropy_with_integer_labels(logits[0], TOKENS[1:]).mean()


@functools.cache
def evaluation(devices):
    return eval_step(next_in_stream(features), batch_mesh(devices))


def evaluated(params, devices, rows, steps, resets=None):
    step, stream = evaluation(devices), Stream(TOKENS, rows, steps, resets, multiple=devices)
    carry = initial_carry(features, params, stream.filled)
    return evaluate_stream(step.replicate(params), step, stream, carry=carry)


@pytest.mark.quick("documents")
@pytest.mark.parametrize("resets", [None, RESETS], ids=["one_document", "documents"])
def test_the_loss_is_that_of_one_unbroken_pass_for_any_batch_size_and_truncation(params, resets):
    want = unbroken(params, resets)
    for devices, rows, steps in ((1, 1, 7), (2, 3, 10), (2, 40, 2)):
        scores = evaluated(params, devices, rows, steps, resets)
        assert_close(np.float32(scores.loss), want, "values")
        assert (scores.read, scores.unit) == (82, "tokens")


def test_where_documents_begin_counts(params):
    assert abs(unbroken(params, RESETS) - unbroken(params, None)) > 1e-2


def test_a_row_that_begins_from_nothing_counts(params):
    # What a single reading of rows, each from the initial state, would give.
    rows = TOKENS[:-1].reshape(2, 41)
    logits, _ = MODEL.apply({"params": params}, rows)
    once = optax.softmax_cross_entropy_with_integer_labels(logits, TOKENS[1:].reshape(2, 41)).mean()
    assert abs(once - unbroken(params, None)) > 1e-3


@pytest.mark.parametrize(("moves", "readings"), [(2e-5, 2), (1e-2, 5)], ids=["rounding", "another_state"])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 2, 3)], ids=str)
def test_rounding_of_a_large_state_is_no_reason_to_read_again(shape, moves, readings, monkeypatch):
    read, seen = streams._read, []

    def noted(*arguments):
        seen.append(arguments)
        return read(*arguments)

    def sums(params, window, key, carry):
        # A row never ends twice in the same state.
        count = jnp.float32(window.lengths.sum())
        total = {"loss": count, "weight": count, "accuracy": count, "tokens": count}
        return total, jnp.where(carry > 30, 30, 30 + moves)

    monkeypatch.setattr(streams, "_read", noted)
    step, stream = eval_step(Objective(sums, carries=True), batch_mesh(1)), Stream(TOKENS, 5, 20)
    assert evaluate_stream({}, step, stream, carry=jnp.zeros(shape)).read == 82
    assert len(seen) == readings


def trained(params, devices, donate=True):
    """The state after each of the windows of an epoch, plain gradient descent; donated ones are gone."""
    stream, mesh = Stream(TOKENS, 3, 5, RESETS, multiple=devices), batch_mesh(devices)
    optimizer = Optimizer(optimizer="sgd", schedule="step", learning_rate=0.1).transformation(1, len(stream))
    step = train_step(next_in_stream(features), optimizer, mesh, donate=donate)
    carry = initial_carry(features, params, stream.filled)
    state = TrainState.create(jax.tree.map(jnp.copy, params), optimizer, jax.random.key(0), carry)
    state = step.replicate(state._replace(carry=()))._replace(carry=step.split(state.carry))
    states, losses = [state], []
    for window in stream:
        state, sums = step(state, window)
        states.append(state)
        losses.append(np.float32(sums["loss"] / sums["weight"]))
    assert step.compilations == 1
    # What was given is whole: an evaluation begins with it, too.
    assert not np.asarray(carry.hidden).any()
    return states, np.array(losses)


def test_training_carries_the_state_and_no_gradient(params):
    states, losses = trained(params, 1, donate=False)
    windows = [jax.tree.map(jnp.asarray, window) for window in Stream(TOKENS, 3, 5, RESETS)]

    @functools.partial(jax.value_and_grad, has_aux=True)
    def mean(params, window, carry):
        logits, final = MODEL.apply({"params": params}, window.tokens, window.lengths, carry, window.resets)
        each = optax.softmax_cross_entropy_with_integer_labels(logits, window.targets)
        counted = jnp.arange(5) < window.lengths[:, None]
        return (each * counted).sum() / counted.sum(), final

    mean, carry = jax.jit(mean), initial_carry(features, params, 3)
    for (before, after), window, loss in zip(itertools.pairwise(states), windows, losses, strict=True):
        (want, carry), gradient = mean(before.params, window, carry)
        assert_close(loss, want, "values")
        assert_close(after.carry, carry, "values")
        stepped = jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, before.params, gradient)
        assert_close(after.params, stepped, "values")
    # An epoch begins anew: with the last carry in the state, its first window gives what it gave.
    step = eval_step(next_in_stream(features), batch_mesh(1))
    fresh, sums = step((params, states[-1].carry), windows[0])
    assert_close(sums["loss"] / sums["weight"], losses[0], "values")
    assert_close(fresh, states[1].carry, "values")


@pytest.mark.slow
def test_devices_that_share_the_rows_give_one_curve(params):
    (one, losses), (two, same) = trained(params, 1), trained(params, 2)
    assert_close(same, losses, "training")
    assert_close(two[-1].params, one[-1].params, "training")
    assert [leaf.shape[0] for leaf in jax.tree.leaves(two[-1].carry)] == [4] * 2
