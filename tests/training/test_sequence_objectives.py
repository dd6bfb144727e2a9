"""Objectives of answers that are sequences: tags and teacher forcing against loops in NumPy, and their batches."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference import assert_close

from rnnjax import GRU, RNN, Bidirectional, EncoderDecoder, Scan, SequenceTagger
from rnnjax.data import Batch, PairBatch, cut_batches
from rnnjax.training import TrainState, batch_mesh, eval_step, tagging, teacher_forcing, train_step

RANDOM = np.random.default_rng(0)
ROWS, STEPS, TAGS, WORDS, WIDTH = 6, 7, 4, 9, 5
LENGTHS = np.array([STEPS, 0, 1, 4, 6, 2], np.int32)
TARGET_LENGTHS = np.array([0, WIDTH, 1, 3, 2, 4], np.int32)
WEIGHTS = np.array([1, 1, 0.5, 2, 0, 1], np.float32)
NUMBERS = np.arange(ROWS, dtype=np.int32)
START, END = 7, 8
TAGGED = Batch(
    RANDOM.integers(0, WORDS, (ROWS, STEPS)).astype(np.int32),
    LENGTHS,
    RANDOM.integers(0, TAGS, (ROWS, STEPS)).astype(np.int32),
    WEIGHTS,
    NUMBERS,
)
PAIRS = PairBatch(
    TAGGED.inputs, LENGTHS, RANDOM.integers(0, 7, (ROWS, WIDTH)).astype(np.int32), TARGET_LENGTHS, WEIGHTS, NUMBERS
)
# Sums relative to NumPy's in float64. Largest error measured: 5e-8.
SUMS_TOLERANCE = 1e-6


def sums_by_hand(logits, answers):
    """Loss, weight and correct of every row's answers, one by one."""
    loss = weight = correct = 0.0
    for b, answer in enumerate(answers):
        for t, label in enumerate(answer):
            powers = np.exp(logits[b, t].astype(np.float64))
            loss -= WEIGHTS[b] * np.log(powers[label] / powers.sum())
            correct += WEIGHTS[b] * (logits[b, t].argmax() == label)
            weight += WEIGHTS[b]
    return loss, weight, correct


def called_with(objective, logits, batch, key=None):
    """The sums of an objective whose model gives these logits, and what that model was called with."""
    seen = {}

    def apply(params, *args, **options):
        seen.update(options, args=args)
        return params

    return objective(apply)(logits, batch, key), seen


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_tagging_sums_the_cross_entropy_of_every_step_within_the_lengths(dtype):
    logits = jnp.asarray(2 * RANDOM.normal(size=(ROWS, STEPS, TAGS)), dtype)
    sums, seen = called_with(tagging, logits, TAGGED)
    answers = [TAGGED.targets[b, :length] for b, length in enumerate(LENGTHS)]
    loss, weight, correct = sums_by_hand(np.asarray(logits, np.float32), answers)
    assert sums["loss"].dtype == "float32"
    np.testing.assert_allclose(sums["loss"], loss, rtol=SUMS_TOLERANCE)
    assert (float(sums["weight"]), float(sums["accuracy"])) == (weight, correct)
    assert 0 < correct < weight
    assert int(sums["tokens"]) == LENGTHS.sum()
    np.testing.assert_array_equal(seen["args"][0], TAGGED.inputs)
    assert seen["deterministic"]
    past = np.where(np.arange(STEPS) < LENGTHS[:, None], TAGGED.targets, -1)
    assert_close(called_with(tagging, logits, TAGGED._replace(targets=past))[0], sums, "values")
    assert not called_with(tagging, logits, TAGGED, jax.random.key(0))[1]["deterministic"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_teacher_forcing_sums_the_cross_entropy_of_every_target_and_its_end(dtype):
    logits = jnp.asarray(2 * RANDOM.normal(size=(ROWS, WIDTH + 1, WORDS)), dtype)
    sums, seen = called_with(lambda apply: teacher_forcing(apply, START, END), logits, PAIRS)
    answers = [[*PAIRS.targets[b, :length], END] for b, length in enumerate(TARGET_LENGTHS)]
    loss, weight, correct = sums_by_hand(np.asarray(logits, np.float32), answers)
    np.testing.assert_allclose(sums["loss"], loss, rtol=SUMS_TOLERANCE)
    assert (float(sums["weight"]), float(sums["accuracy"])) == (weight, correct)
    assert 0 < correct < weight
    assert int(sums["tokens"]) == LENGTHS.sum() + TARGET_LENGTHS.sum()
    sources, targets_in, source_lengths, target_lengths = seen["args"]
    np.testing.assert_array_equal(sources, PAIRS.inputs)
    np.testing.assert_array_equal(source_lengths, LENGTHS)
    np.testing.assert_array_equal(target_lengths, TARGET_LENGTHS + 1)
    np.testing.assert_array_equal(targets_in, np.concatenate([np.full((ROWS, 1), START), PAIRS.targets], axis=1))


def layer():
    return RNN(GRU(), 4, Scan())


def cases() -> dict[str, tuple[Any, Any, Any]]:
    """A model, the objective of its `apply`, and a batch."""
    tagger = SequenceTagger(WORDS, 3, Bidirectional(layer(), layer()), TAGS)
    translator = EncoderDecoder(WORDS, WORDS, 3, layer(), layer())
    return {
        "tagging": (tagger, tagging, TAGGED),
        "teacher_forcing": (translator, lambda apply: teacher_forcing(apply, START, END), PAIRS),
    }


def prepared(name):
    model, objective, batch = cases()[name]
    inputs = (batch.inputs,) if name == "tagging" else (batch.inputs, batch.targets)
    params = model.init(jax.random.key(0), *inputs)["params"]
    return objective(lambda params, *args, **options: model.apply({"params": params}, *args, **options)), params, batch


@pytest.mark.quick("tagging")
@pytest.mark.parametrize("name", cases())
def test_rows_without_weight_teach_nothing_and_gradients_are_finite(name):
    objective, params, batch = prepared(name)
    gradient = jax.jit(jax.grad(lambda params, batch: objective(params, batch, None)["loss"]))
    whole = gradient(params, batch)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(whole))
    assert all(np.asarray(leaf).any() for leaf in jax.tree.leaves(whole))
    empty = jax.tree.map(np.zeros_like, batch)._replace(rows=NUMBERS)
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(gradient(params, empty)))
    light = gradient(params, jax.tree.map(lambda leaf: leaf[WEIGHTS > 0], batch))
    assert_close(light, whole, "gradients")


@pytest.mark.slow
@pytest.mark.parametrize("name", cases())
def test_one_device_and_two_take_the_same_step(name):
    objective, params, batch = prepared(name)
    after = []
    for devices in (1, 2):
        step = train_step(objective, optax.sgd(0.5), batch_mesh(devices))
        state = step.replicate(TrainState.create(jax.tree.map(jnp.copy, params), optax.sgd(0.5), jax.random.key(1)))
        state, sums = step(state, step.put(batch))
        scores = eval_step(objective, batch_mesh(devices))
        after.append(jax.device_get((state.params, sums, scores(state.params, scores.put(batch)))))
    assert_close(after[1], after[0], "gradients")
    assert float(after[0][2]["loss"]) < float(after[0][1]["loss"])


def test_batches_are_every_row_once_and_the_last_is_filled_up():
    data = TAGGED._replace(weights=np.ones(ROWS, np.float32))
    first, last = cut_batches(data, 4)
    np.testing.assert_array_equal(np.concatenate([first.inputs, last.inputs[:2]]), data.inputs)
    np.testing.assert_array_equal(last.lengths, [*LENGTHS[4:], 0, 0])
    np.testing.assert_array_equal(last.weights, [1, 1, 0, 0])
    np.testing.assert_array_equal(last.rows, range(4))
    orders = []
    for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0)):
        tags = np.concatenate([batch.targets for batch in cut_batches(data, 2, seed, epoch)])
        np.testing.assert_array_equal(np.sort(tags, axis=0), np.sort(data.targets, axis=0))
        orders.append(tags.tolist())
    assert orders[0] == orders[1]
    assert len({str(order) for order in orders}) == 3
    (rest,) = cut_batches(data, 2, 0, 0, first=2)
    assert rest.targets.tolist() == orders[0][4:]
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        next(cut_batches(data, 0))
