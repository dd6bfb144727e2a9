"""Batches in which nothing has a weight: no step learns from one, and no number of one is added to others."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bag import OBJECTIVE, PARAMS
from toy import make_batch

from rnnjax.training import (
    DivergedError,
    Objective,
    Optimizer,
    Position,
    TrainState,
    batch_mesh,
    eval_step,
    evaluate,
    fit,
    run_epoch,
    train_step,
)
from rnnjax.training import update as updates
from rnnjax.training.histograms import BINS

OPTIMIZERS = {
    "adam": Optimizer(learning_rate=1e-2, schedule="linear").transformation(20),
    "adam skip": Optimizer(learning_rate=1e-2, skip=2).transformation(20),
    "sgd": Optimizer(optimizer="sgd", schedule="step", learning_rate=0.1, decay=2.0).transformation(1, 2),
}
ALL = {"clip": 0.1, "averaging": 0.9, "histograms": 1}


def by_its_weight(params, batch, key):
    """An objective that divides by the weight itself."""
    sums = OBJECTIVE(params, batch, key)
    return {**sums, "loss": sums["loss"] / batch.weights.sum() * batch.weights.sum()}


def infinite_without(params, batch, key):
    """Losses of rows without weight are infinite, and their gradients are NaN."""
    sums = OBJECTIVE(params, batch, key)
    lost = jnp.where(batch.weights == 0, jnp.log(0 * params["head"].sum()), 0)
    return {**sums, "loss": sums["loss"] + (lost * batch.weights).sum()}


OBJECTIVES = {"sum": OBJECTIVE, "mean": by_its_weight, "infinite": infinite_without}


def emptied(batch):
    return batch._replace(weights=np.zeros_like(batch.weights))


def initial(optimizer, seed=0):
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf + 0.1 * seed), PARAMS)
    return TrainState.create(params, optimizer, jax.random.key(seed), averaged=True)


def assert_same(got, want):
    def same(left, right):
        if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            left, right = jax.random.key_data(left), jax.random.key_data(right)
        np.testing.assert_array_equal(left, right)

    jax.tree.map(same, got, want)


def assert_nothing_learned(sums):
    assert sums["weight"] == 0
    assert sums["gradient_norm"] == 0
    assert not sums["clipped"]
    for name, histogram in sums["histograms"].items():
        assert histogram.counts[BINS // 2] == histogram.counts.sum() == PARAMS[name].size
        assert (histogram.minimum, histogram.maximum, histogram.not_finite) == (0, 0, 0)
    assert np.isfinite(sums["learning_rate"])


def learned(state):
    """What an empty batch must leave as it was."""
    return state.params, state.optimizer_state, state.average, state.key


CASES = [("adam skip", objective, devices) for objective in OBJECTIVES for devices in (1, 2)]
CASES += [("adam", "infinite", 2), ("sgd", "infinite", 2)]


@pytest.mark.quick("adam skip-infinite-1", "adam skip-sum-2", "sgd-*-2")
@pytest.mark.parametrize(("optimizer", "objective", "devices"), CASES)
def test_nothing_but_the_step_number_goes_on(optimizer, objective, devices):
    optimizer = OPTIMIZERS[optimizer]
    step = train_step(OBJECTIVES[objective], optimizer, batch_mesh(devices), donate=False, **ALL)
    state, _ = step(step.replicate(initial(optimizer)), make_batch())
    after, sums = step(state, emptied(make_batch(1)))
    assert_same(learned(after), learned(state))
    assert int(after.step) == 2
    assert_nothing_learned(jax.device_get(sums))
    # The next step is that of a state that never saw it.
    later, sums = step(after, make_batch(2))
    want, wanted = step(state._replace(step=after.step), make_batch(2))
    assert_same(later, want)
    assert_same(sums, wanted)


def test_accelerators_choose_between_states_and_get_the_same(monkeypatch):
    optimizer, choose = OPTIMIZERS["adam skip"], functools.partial(updates._unless, on_cpu=False)
    wanted = train_step(OBJECTIVE, optimizer, batch_mesh(1), donate=False, **ALL)
    monkeypatch.setattr(updates, "_unless", lambda *given: choose(given[0], given[1], given[2], given[3]))
    step = train_step(OBJECTIVE, optimizer, batch_mesh(1), donate=False, **ALL)
    state = step.replicate(initial(optimizer))
    for batch in (make_batch(), emptied(make_batch(1))):
        want, _ = wanted(state, batch)
        state, sums = step(state, batch)
        jax.tree.map(lambda got, want: np.testing.assert_allclose(got, want, rtol=1e-6), state.params, want.params)
    assert_same(learned(state), learned(want))
    assert_nothing_learned(jax.device_get(sums))


def test_a_bad_step_before_an_empty_batch_still_counts():
    optimizer = OPTIMIZERS["adam skip"]
    step = train_step(OBJECTIVE, optimizer, batch_mesh(2), donate=False, **ALL)
    bad = make_batch()._replace(weights=np.full(6, np.nan, np.float32))
    state = step.replicate(initial(optimizer))
    counts = []
    for batch in (bad, emptied(bad), bad, make_batch()):
        state, sums = step(state, batch)
        counts.append(int(sums["skipped_in_a_row"]))
    assert counts == [1, 1, 2, 0]


def test_of_seeds_side_by_side_only_the_one_without_weight_stays():
    optimizer = OPTIMIZERS["adam skip"]
    step = train_step(OBJECTIVE, optimizer, batch_mesh(2), donate=False, seeds=True, **ALL)
    alone = train_step(OBJECTIVE, optimizer, batch_mesh(1), donate=False, **ALL)
    states = [initial(optimizer, seed) for seed in range(2)]
    state = step.split(jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))
    state, sums = step(state, jax.tree.map(lambda *rows: np.stack(rows), emptied(make_batch()), make_batch()))
    first, second = (jax.tree.map(lambda leaf, row=row: leaf[row], (state, sums)) for row in range(2))
    assert_same(learned(first[0]), learned(states[0]))
    assert first[0].step == 1
    assert_nothing_learned(jax.device_get(first[1]))
    want, _ = alone(states[1], make_batch())
    jax.tree.map(lambda got, want: np.testing.assert_allclose(got, want, rtol=1e-6), second[0].params, want.params)


@pytest.mark.parametrize("devices", [1, 2])
def test_what_an_objective_carries_goes_on(devices):
    def sums(params, batch, key, carry):
        return OBJECTIVE(params, batch, key), carry + batch.lengths

    optimizer, batch = OPTIMIZERS["adam"], make_batch()
    step = train_step(Objective(sums, carries=True), optimizer, batch_mesh(devices), donate=False, **ALL)
    state = step.replicate(initial(optimizer))._replace(carry=step.split(np.ones(6, np.int32)))
    after, found = step(state, emptied(batch))
    assert_same(learned(after), learned(state))
    np.testing.assert_array_equal(after.carry, 1 + batch.lengths)
    assert_nothing_learned(jax.device_get(found))


@functools.cache
def compiled():
    optimizer = OPTIMIZERS["adam skip"]
    return optimizer, train_step(OBJECTIVE, optimizer, batch_mesh(2), **ALL), eval_step(OBJECTIVE, batch_mesh(2))


def run(batches, validation, **options):
    """What the loop reports of every step, and of its only epoch."""
    optimizer, step, evaluation = compiled()
    heard: list[Any] = []
    state = initial(optimizer)
    ((_, report),) = fit(state, step, evaluation, lambda *_: batches, lambda: validation, 1, heard.append, **options)
    return heard, report


def test_the_loop_goes_on_and_adds_nothing():
    good = [make_batch(i) for i in range(4)]
    heard, report = run([good[0], emptied(good[1]), emptied(good[2]), good[3]], [good[0], emptied(good[1])], skip=2)
    assert [step.skipped for step in heard] == [False, True, True, False]
    assert [bool(np.isnan(step.loss)) for step in heard] == [False, True, True, False]
    assert [step.gradient_norm for step in heard[1:3]] == [0, 0]
    counted = [heard[0], heard[3]]
    np.testing.assert_allclose(report.train.loss, np.mean([step.loss for step in counted]), rtol=1e-6)
    np.testing.assert_allclose(report.gradient_norm, np.mean([step.gradient_norm for step in counted]), rtol=1e-6)
    assert report.train.read == sum(step.read for step in counted)
    assert (report.step, report.skipped) == (4, 0)
    assert report.validation.totals["confusion"].sum() == 6


def test_what_has_no_weight_at_all_is_an_error_in_words():
    batch = make_batch()
    optimizer, step, evaluation = compiled()
    with pytest.raises(ValueError, match="weights: expected at least one above 0 in all batches, got none"):
        evaluate(initial(optimizer).params, evaluation, [emptied(batch)] * 2)
    with pytest.raises(ValueError, match="weights: expected at least one above 0 in all batches, got none"):
        run([batch], [emptied(batch)])
    with pytest.raises(ValueError, match="epoch 1: expected a batch with a weight above 0, got 3 batches of weight 0"):
        run([emptied(batch)] * 3, [batch])
    bad = batch._replace(weights=np.full(6, np.nan, np.float32))
    with pytest.raises(DivergedError, match="epoch 1: expected at least one finite update, got 2 skipped"):
        run([bad, emptied(batch), bad], [batch], skip=2)
    _, position = run_epoch(step.replicate(initial(optimizer)), step, [emptied(batch)], lambda report: None)
    assert Position.from_json(position.to_json()) == position
