"""Numbers that are no numbers: what the error tells, what is skipped and counted; and when patience is over."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bag import OBJECTIVE, PARAMS, new_state
from toy import make_batch

from rnnjax.training import (
    Checkpoints,
    DivergedError,
    adam,
    batch_mesh,
    eval_step,
    fit,
    train_step,
)
from rnnjax.training.divergence import REMEMBERED, Watchdog
from rnnjax.training.histograms import gradient_histograms

CLIP = 0.5


def sums(loss=1.0, norm=1.0, **more):
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


def spoilt(batch, bad):
    return batch._replace(weights=batch.weights * np.float32(np.nan)) if bad else batch


@functools.cache
def compiled(skip=0, clip=None):
    """An optimizer and its steps, which tests share: they compile once."""
    optimizer = adam(1e-2, steps=20, skip=skip)
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
    assert report.train.tokens == sum(step.tokens for step in finite)

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
            score=lambda _: next(left),
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
