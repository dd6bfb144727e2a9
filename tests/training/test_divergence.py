"""Numbers that are no numbers: what the error tells, what is skipped and counted; and when patience is over."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bag import OBJECTIVE, PARAMS, new_state
from toy import VOCABULARY, make_batch, make_objective, make_state

from rnnjax import LSTM, RNN, Elman, SequenceClassifier
from rnnjax.runs import Checkpoints
from rnnjax.training import DivergedError, Optimizer, Scores, batch_mesh, eval_step, fit, train_step
from rnnjax.training.divergence import (
    FAR_ABOVE,
    FEWEST,
    REMEMBERED,
    WINDOW,
    Watchdog,
    far_above_chance,
)
from rnnjax.training.histograms import gradient_histograms

CLIP = 0.5
# The largest mean loss over FEWEST steps of those that learn, in units of chance: 1.05 measured.
LEARNING = 1.2


def sums(loss: Any = 1.0, norm: Any = 1.0, **more: Any):
    return {"loss": np.float32(2 * loss), "weight": np.float32(2), "gradient_norm": np.float32(norm), **more}


def test_the_error_tells_step_history_learning_rate_and_what_to_try():
    watchdog = Watchdog()
    for step in range(1, 11):
        assert watchdog.passes(step, sums(norm=step))
    with pytest.raises(DivergedError) as error:
        watchdog.passes(11, sums(loss=math.inf, norm=math.nan, learning_rate=np.float32(0.5)))
    assert REMEMBERED == 8
    assert str(error.value) == (
        "step 11: expected a finite loss and gradient, got loss inf and gradient norm nan, learning rate 0.5; the last "
        "gradient norms were 4, 5, 6, 7, 8, 9, 10, nan; try a smaller learning rate, tighter "
        "clipping or a longer warm-up in a new run; "
        "debug_nans finds the first bad operation"
    )
    with pytest.raises(DivergedError, match=r"got loss 1 and gradient norm inf; .*; it was step 3$"):
        Watchdog(explain=lambda step: f"it was step {step}").passes(3, sums(norm=math.inf))


def test_only_what_the_optimizer_left_out_passes():
    bad = functools.partial(sums, loss=math.nan, norm=math.nan)
    watchdog = Watchdog(skip=2)
    assert not watchdog.passes(1, bad(skipped_in_a_row=np.int32(1)))
    assert not watchdog.passes(2, bad(skipped_in_a_row=np.int32(2)))
    assert watchdog.passes(3, sums(skipped_in_a_row=np.int32(0)))
    for in_a_row in (0, 3):  # the loss alone was bad; one more than allowed
        with pytest.raises(DivergedError):
            watchdog.passes(4, bad(skipped_in_a_row=np.int32(in_a_row)))
    with pytest.raises(DivergedError):
        Watchdog().passes(4, bad(skipped_in_a_row=np.int32(1)))


def test_an_optimizer_that_skips_nothing_and_a_negative_weight_are_named():
    with pytest.raises(ValueError, match=r"skip: expected an optimizer that skips \(Optimizer\(skip=3\) or "):
        Watchdog(skip=3).passes(1, sums())
    with pytest.raises(ValueError, match="objective: expected a weight of at least 0, got -2 in step 4"):
        Watchdog().passes(4, {**sums(), "weight": np.float32(-2)})


FAR = np.full(WINDOW, 1.01 * FAR_ABOVE)
LOSSES = {
    "far above": (FAR, 1.0, 1.0, True),
    "not far": (0.99 * FAR, 1.0, 1.0, False),
    "falling from 60 to 11 times chance": (np.geomspace(60, 11, WINDOW), 1.0, 1.0, True),
    "far, where chance is a tenth": (FAR / 10, 0.1, 0.1, True),
    "begun far away": (FAR, 1.0, 1.02, False),
    "begun far away, and gone further": (FAR, 1.0, 1.0099, True),
    "few": (FAR[: FEWEST - 1], 1.0, 1.0, False),
    "as few as will do": (FAR[:FEWEST], 1.0, 1.0, True),
    "chance not known": (FAR, math.nan, 1.0, False),
    "chance 0": (FAR, 0.0, 0.0, False),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_far_above_chance_where_it_stays_there(name):
    losses, chance, first, expected = LOSSES[name]
    assert far_above_chance(losses, chance, first) == expected


def far(step, times):
    """A step whose loss is so many times chance."""
    loss = times * FAR_ABOVE * math.log(2)
    return sums(loss=loss, chance=np.float32(2 * math.log(2)), learning_rate=np.float32(step))


def test_losses_far_above_chance_end_a_training_after_a_window_of_them():
    watchdog = Watchdog()
    assert watchdog.passes(1, far(1, 0.1))
    for step in range(2, 2 * WINDOW):
        assert watchdog.passes(step, far(step, 0.9))
    with pytest.raises(DivergedError) as error:
        watchdog.passes(2 * WINDOW, far(2 * WINDOW, 11.0))
    assert str(error.value) == (
        "step 200: expected a loss below 10 times that of chance, 0.693, and of the first step, 0.693, got 6.94, the "
        "mean of the last 100 steps; try a smaller learning rate, tighter clipping or a longer warm-up in a new run"
    )
    shorter = Watchdog(first=0.7)
    for step in range(1, WINDOW):
        shorter.passes(step, far(step, 1.1))
    with pytest.raises(DivergedError, match=r"step 99: .* the mean of the last 99 steps"):
        shorter.check_chance(WINDOW - 1)
    unknown = Watchdog()
    for step in range(1, 2 * WINDOW):
        assert unknown.passes(step, sums(loss=1e30))
    unknown.check_chance(2 * WINDOW)


def test_neither_a_spike_nor_a_start_from_far_away_ends_a_training():
    watchdog, begun = Watchdog(), Watchdog()
    for step in range(1, 10 * WINDOW):
        assert watchdog.passes(step, far(step, 30.0 if step % WINDOW == 3 else 0.1))
        assert begun.passes(step, far(step, 50.0 - step / WINDOW))


def test_a_validation_loss_far_above_chance_counts_where_nothing_was_learnt():
    watchdog = Watchdog(first=0.6)
    watchdog.check_validation(7, 0.3, 4.99, 0.5)
    watchdog.check_validation(7, 0.3, 1e30, math.nan)
    watchdog.check_validation(7, 0.24, 50.0, 0.5)  # learnt by heart
    with pytest.raises(DivergedError, match="after step 7: expected a finite validation loss, got nan; try"):
        watchdog.check_validation(7, 0.1, math.nan, 1.0)
    words = "after step 7: expected a validation loss below 10 times that of chance, 0.5, and of the first step, 0.6"
    with pytest.raises(DivergedError, match=words):
        watchdog.check_validation(7, 0.3, 6.01, 0.5)


@functools.cache
def small_classifier(cell):
    model = SequenceClassifier(VOCABULARY, 4, RNN(cell, 8), pooling="last")
    objective = make_objective(model)
    return model, objective, eval_step(objective, batch_mesh(1))


def train_at(cell, rate, steps, epochs=1):
    """Every step's loss in units of chance, and the validation accuracy at the end."""
    model, objective, evaluation = small_classifier(cell)
    optimizer = Optimizer(learning_rate=rate).transformation(steps * epochs)
    step = train_step(objective, optimizer, batch_mesh(1), clip=1.0)
    heard: list[Any] = []
    last: Any = None
    for _, last in fit(  # noqa: B007  the last one is wanted
        make_state(model, optimizer, step),
        step,
        evaluation,
        lambda epoch, first: (make_batch(number, rows=32) for number in range(first, steps)),
        lambda: [make_batch(1000, rows=128)],
        epochs,
        heard.append,
    ):
        pass
    return np.array([report.loss for report in heard]) / math.log(2), last.validation["accuracy"]


@pytest.mark.quick("elman-0.3")
@pytest.mark.parametrize("rate", [1e-3, 1e-2, 1e-1, 0.3])
@pytest.mark.parametrize("cell", [LSTM(), Elman()], ids=["lstm", "elman"])
def test_no_training_that_learns_is_said_to_diverge(cell, rate):
    losses, accuracy = train_at(cell, rate, steps=200)
    assert accuracy > 0.75
    means = [losses[first : first + FEWEST].mean() for first in range(len(losses) - FEWEST)]
    assert max(means) < LEARNING


@pytest.mark.parametrize(
    ("rate", "steps"),
    [
        (100, 200),
        (100, 3),
        (1e30, 1),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((100, 30), (1e4, 30), (1e30, 3))),
    ],
)
def test_a_loss_that_blew_up_has_diverged(rate, steps):
    with pytest.raises(DivergedError, match=r"expected a (validation )?loss below"):
        train_at(LSTM(), rate, steps)


def spoilt(batch, bad):
    return batch._replace(weights=batch.weights * np.float32(np.nan)) if bad else batch


@functools.cache
def compiled(skip=0, clip=None):
    """An optimizer and its steps, which tests share: they compile once."""
    optimizer = Optimizer(learning_rate=1e-2, skip=skip).transformation(20)
    return optimizer, train_step(OBJECTIVE, optimizer, batch_mesh(2), clip=clip)


@functools.cache
def compiled_evaluation():
    return eval_step(OBJECTIVE, batch_mesh(2))


def run(steps, bad=(), *, skip=0, clip=None, epochs=1):
    """(Step reports, epoch reports, the last parameters) of epochs of `steps` batches, the numbered ones bad."""
    optimizer, step = compiled(skip, clip)
    heard, reports, evaluation = [], [], compiled_evaluation()
    state = new_state(optimizer, step)
    batches = [spoilt(make_batch(i), i in bad) for i in range(steps)]
    last = state
    for last, report in fit(  # noqa: B007  the last one is wanted
        *(state, step, evaluation, lambda epoch, first: batches[first:], lambda: [make_batch(90)], epochs),
        heard.append,
        skip=skip,
    ):
        reports.append(report)
    return heard, reports, jax.device_get(last.params)


def test_bad_updates_are_left_out_and_counted():
    heard, (report,), params = run(5, bad=(1, 2, 4), skip=2)
    assert [step.skipped for step in heard] == [False, True, True, False, True]
    assert report.skipped == 3
    assert report.record()["skipped"] == 3
    finite = [step for step in heard if not step.skipped]
    np.testing.assert_allclose(report.train.loss, np.mean([step.loss for step in finite]), rtol=1e-6)
    np.testing.assert_allclose(report.gradient_norm, np.mean([step.gradient_norm for step in finite]), rtol=1e-6)
    assert report.train.read == sum(step.read for step in finite)

    # The same good batches and nothing between them; each keeps its step's number, which its dropout is made from.
    optimizer, step = compiled(skip=2)
    alone = new_state(optimizer, step)
    for number in (0, 3):
        alone = step.replicate(alone._replace(step=jnp.asarray(number, jnp.int32)))
        alone, _ = step(alone, make_batch(number))
    jax.tree.map(np.testing.assert_array_equal, params, jax.device_get(alone.params))


def test_one_more_in_a_row_than_allowed_ends_the_run():
    with pytest.raises(DivergedError, match="step 4: expected a finite loss"):
        run(5, bad=(1, 2, 3), skip=2)
    with pytest.raises(DivergedError, match="step 2: expected a finite loss"):
        run(3, bad=(1,))


def test_an_epoch_without_a_good_step_ends_the_run():
    with pytest.raises(DivergedError, match="epoch 1: expected at least one finite update, got 2 skipped"):
        run(2, bad=(0, 1), skip=2)


def test_the_clip_share_and_the_mean_norm_are_those_of_the_steps():
    heard, reports, _ = run(6, clip=CLIP, epochs=2)
    for report, steps in zip(reports, (heard[:6], heard[6:]), strict=True):
        norms = np.array([step.gradient_norm for step in steps])
        assert [step.clipped for step in steps] == list(norms > CLIP)
        assert report.clip_share == np.mean(norms > CLIP)
        np.testing.assert_allclose(report.gradient_norm, norms.mean(), rtol=1e-6)
    assert len({report.clip_share for report in reports} - {0.0, 1.0}) > 0, "of all steps or none: choose another clip"


def test_histograms_are_of_the_gradients_and_taken_only_when_asked():
    optimizer, plain = compiled(clip=CLIP)
    step = train_step(OBJECTIVE, optimizer, batch_mesh(2), clip=CLIP, histograms=2)
    state, heard, batches = new_state(optimizer, step), [], [make_batch(i) for i in range(5)]
    initial = jax.device_get(state.params)
    params = {1: initial}
    # The parameters before each step, from the same steps without histograms.
    again = new_state(optimizer, plain)
    for number in range(1, 5):
        again, _ = plain(again, batches[number - 1])
        params[number + 1] = jax.device_get(again.params)
    list(
        fit(
            *(state, step, compiled_evaluation(), lambda *_: batches, lambda: [make_batch(9)], 1),
            heard.append,
        )
    )
    assert [bool(report.histograms) for report in heard] == [False, True, False, True, False]

    @jax.jit
    def expect(params, batch, number):
        def loss(params):
            sums = OBJECTIVE(params, batch, jax.random.fold_in(jax.random.key(1), number - 1))
            return sums["loss"] / sums["weight"]

        return gradient_histograms(jax.grad(loss)(params))

    for number in (2, 4):
        expected = expect(params[number], batches[number - 1], number)
        found = heard[number - 1].histograms
        assert found.keys() == expected.keys()
        for name, histogram in found.items():
            size = PARAMS[name].size
            assert histogram.counts.sum() == size
            # Float32 sums in another order: a number at an edge may be on its other side.
            assert np.abs(histogram.counts - expected[name].counts).sum() <= 2
            for field in ("minimum", "maximum", "total", "squares"):
                np.testing.assert_allclose(
                    getattr(histogram, field), getattr(expected[name], field), rtol=1e-5, atol=1e-7
                )


# Patience


def patient(tmp_path, scores, *, patience, epochs=9, resume=False):
    """The epochs that a run does whose validation scores are given, one an epoch."""
    optimizer, step = compiled()
    state, position, left, done = new_state(optimizer, step), None, iter(scores), []
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        if resume:
            state, position = checkpoints.restore(state)
        for _, report in fit(
            *(state, step, compiled_evaluation(), lambda *_: [make_batch()], lambda: [make_batch(9)], epochs),
            evaluate=lambda *_: Scores({"loss": 0.5, "accuracy": next(left)}, {}, 1, "rows", 1.0),
            patience=patience,
            position=position,
            checkpoints=checkpoints,
        ):
            done.append((report.epoch, report.best))
    return done


def test_patience_ends_a_run_and_is_remembered(tmp_path):
    (tmp_path / "a").mkdir()
    whole = patient(tmp_path / "a", [1.0, 3.0, 2.0, 3.0, 2.9, 9.0], patience=3)
    assert whole == [(1, True), (2, True), (3, False), (4, False), (5, False)]
    (tmp_path / "b").mkdir()
    assert patient(tmp_path / "b", [1.0, 3.0, 2.0], patience=3, epochs=3) == whole[:3]
    assert patient(tmp_path / "b", [3.0, 2.9, 9.0], patience=3, resume=True) == whole[3:]
    assert patient(tmp_path / "b", [9.0], patience=3, resume=True) == []
    # Who has more patience goes on, and a better epoch makes it begin anew.
    assert patient(tmp_path / "b", [9.0, 1.0, 1.0], patience=4, epochs=8, resume=True) == [
        (6, True),
        (7, False),
        (8, False),
    ]
