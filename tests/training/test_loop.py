"""The fit loop: it learns, it scores, it stops on a loss that is no number."""

import functools
from typing import Any

import jax
import numpy as np
import pytest
from toy import make_batch, make_model, make_objective, make_params, make_state

from rnnjax.training import (
    DivergedError,
    Optimizer,
    TrainState,
    batch_mesh,
    eval_step,
    evaluate,
    fit,
    run_epoch,
    train_step,
)

MODEL = make_model()
OPTIMIZER = Optimizer(learning_rate=3e-2).transformation(60)


@functools.cache
def compiled(devices):
    """Steps that tests share: they compile once for each batch shape."""
    objective, mesh = make_objective(MODEL), batch_mesh(devices)
    return train_step(objective, OPTIMIZER, mesh), eval_step(objective, mesh)


def make_run(devices=2):
    step, evaluation = compiled(devices)
    return step, evaluation, make_state(MODEL, OPTIMIZER, step)


def curve(devices):
    """What two epochs of a run with dropout measure."""
    step, evaluation, state = make_run(devices)
    steps, epochs = [], []
    for _, report in fit(
        state,
        step,
        evaluation,
        lambda epoch, first: (make_batch(10 * epoch + i) for i in range(first, 5)),
        lambda: [make_batch(90), make_batch(91)],
        2,
        steps.append,
    ):
        epochs.append(report)
    return steps, epochs


def five_parts():
    """Batches to be validated on."""
    return [make_batch(90 + i) for i in range(5)]


@pytest.mark.slow
def test_it_learns_which_word_came_first():
    step, evaluation, state = make_run()
    batches = [make_batch(i) for i in range(10)]
    *_, (_, report) = fit(
        state,
        step,
        evaluation,
        lambda epoch, first: batches[first:],
        five_parts,
        12,
    )
    assert report.validation["accuracy"] > 0.95
    assert report.validation.totals["confusion"].sum() == 30
    assert np.trace(report.validation.totals["confusion"]) == round(30 * report.validation["accuracy"])


@pytest.mark.slow
def test_one_device_and_two_give_the_same_curve():
    (one_steps, one_epochs), (two_steps, two_epochs) = curve(1), curve(2)
    assert [report.step for report in one_steps] == list(range(1, 11))
    for one, two in zip(one_steps, two_steps, strict=True):
        assert one.record().keys() == two.record().keys()
        np.testing.assert_allclose(list(one.record().values()), list(two.record().values()), rtol=2e-5)
    for one, two in zip(one_epochs, two_epochs, strict=True):
        np.testing.assert_allclose(one.train.loss, two.train.loss, rtol=2e-5)
        np.testing.assert_allclose(one.validation.loss, two.validation.loss, rtol=2e-5)
        np.testing.assert_array_equal(one.validation.totals["confusion"], two.validation.totals["confusion"])


def test_an_epochs_scores_are_the_means_of_its_steps():
    steps, epochs = curve(2)
    first = steps[:5]
    np.testing.assert_allclose(epochs[0].train.loss, np.mean([report.loss for report in first]), rtol=1e-6)
    np.testing.assert_allclose(
        epochs[0].train["accuracy"], np.mean([report.metrics["accuracy"] for report in first]), rtol=1e-6
    )
    assert epochs[0].train.read == sum(report.read for report in first)
    assert [report.epoch for report in epochs] == [1, 2]


def test_best_marks_a_validation_accuracy_above_all_before():
    step, evaluation, state = make_run()
    batches = [make_batch(i) for i in range(4)]
    reports = [
        report
        for _, report in fit(
            state,
            step,
            evaluation,
            lambda epoch, first: batches[first:],
            five_parts,
            8,
        )
    ]
    accuracies = [report.validation["accuracy"] for report in reports]
    assert [report.best for report in reports] == [
        accuracy > max(accuracies[:i], default=-1.0) for i, accuracy in enumerate(accuracies)
    ]


def test_what_was_made_of_an_epoch_is_there_before_its_checkpoint():
    """Else a run that is killed in between goes on without the line of that epoch."""
    step, evaluation, state = make_run()
    happened = []

    class Keeper:
        def due(self, steps=1):
            return False

        def save(self, state, position):
            happened.append(("checkpoint", position.epoch))

        def wait(self):
            pass

    batches = [make_batch(0), make_batch(1)]
    reports = fit(state, step, evaluation, lambda epoch, first: batches[first:], five_parts, 2, checkpoints=Keeper())
    for _, report in reports:
        happened.append(("report", report.epoch))
    saved = [("checkpoint", epoch) for epoch in range(3)]
    assert happened == [saved[0], ("report", 1), saved[1], ("report", 2), saved[2]]


@pytest.mark.parametrize("devices", [1, 2])
def test_no_more_steps_are_under_way_than_the_devices_bear(devices):
    step, _, state = make_run(devices)
    dispatched, under_way = 0, []

    def batches():
        nonlocal dispatched
        for i in range(6):
            yield make_batch(i)
            dispatched += 1

    run_epoch(state, step, batches(), lambda report: under_way.append(dispatched - report.step))
    # Each step is done before one too many is sent, and heard of right after that.
    assert max(under_way) == step.in_flight - 1


class Noted:
    """A compiled step that notes what is asked of it."""

    def __init__(self, step):
        self.step, self.notes = step, []

    def __getattr__(self, name):
        return getattr(self.step, name)

    def put(self, batch):
        self.notes.append("put")
        return self.step.put(batch)

    def __call__(self, state, batch):
        self.notes.append("sent")
        return self.step(state, batch)


def test_the_next_step_is_on_its_way_before_the_last_one_is_read():
    step, _, state = make_run(2)
    noted: Any = Noted(step)
    batches = [make_batch(i) for i in range(3)]
    run_epoch(state, noted, batches, lambda report: noted.notes.append(f"heard {report.step}"))
    # The devices have the next batch while they work, and the next step while the host looks at the last one.
    assert noted.notes == ["put", "sent", "put", "sent", "heard 1", "put", "sent", "heard 2", "heard 3"]


@pytest.mark.parametrize("in_flight", [1, 2])
def test_who_stops_early_leaves_no_step_under_way(in_flight):
    sent, waited_for = [], set()

    class Loss(float):
        """A step's number that tells whether anybody waited for it."""

        def block_until_ready(self):
            waited_for.add(id(self))
            return self

    class Step:
        """A step that sums to no number."""

        compile_seconds = 0.0

        def __init__(self):
            self.in_flight = in_flight

        def put(self, batch):
            return batch

        def __call__(self, state, batch):
            sent.append(Loss(np.nan))
            return state, {"loss": sent[-1], "weight": 1.0, "gradient_norm": 1.0}

    step: Any = Step()
    state = TrainState(params=None, optimizer_state=(), step=np.array(0), key=None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DivergedError, match="step 1") as error:
        run_epoch(state, step, [make_batch(i) for i in range(6)], lambda report: None)
    # While the error's frames live, nothing is closed by being collected.
    assert error.traceback
    assert len(sent) == in_flight + 1
    assert waited_for == {id(loss) for loss in sent}


@pytest.mark.parametrize("devices", [1, 2])
def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(devices):
    step, _, state = make_run(devices)
    heard = []

    def batches():
        for i in range(6):
            batch = make_batch(i)
            yield batch._replace(weights=batch.weights * (np.nan if i == 3 else 1))

    with pytest.raises(DivergedError, match=r"step 4: expected a finite loss and gradient, got loss nan"):
        run_epoch(state, step, batches(), heard.append)
    assert [report.step for report in heard] == [1, 2, 3]


def test_a_validation_loss_that_is_no_number_stops_the_run_too():
    # The only step's own loss is finite; what it makes of the parameters is not.
    wild = Optimizer(learning_rate=3e38).transformation(1)
    step = train_step(make_objective(MODEL), wild, batch_mesh(2))
    state = make_state(MODEL, wild, step)
    epochs = fit(state, step, compiled(2)[1], lambda epoch, first: [make_batch()], lambda: [make_batch(1)], 1)
    with pytest.raises(DivergedError, match="after step 1: expected a finite validation loss, got"):
        next(epochs)


def test_evaluation_sums_over_batches():
    _, step = compiled(2)
    params = step.replicate(make_params(MODEL))
    parts = [make_batch(1), make_batch(2, rows=4, filled=2)]
    together = evaluate(params, step, parts)
    each = [evaluate(params, step, [part]) for part in parts]
    np.testing.assert_allclose(together.loss, (6 * each[0].loss + 4 * each[1].loss) / 10, rtol=1e-6)
    counts = [scores.totals["confusion"] for scores in (together, *each)]
    np.testing.assert_array_equal(counts[0], counts[1] + counts[2])


def test_nothing_to_do_is_an_error():
    step, evaluation, state = make_run()
    with pytest.raises(ValueError, match="batches: expected at least one, got none"):
        evaluate(state.params, evaluation, [])
    with pytest.raises(ValueError, match="batches: expected at least one, got none"):
        run_epoch(state, step, [], lambda report: None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: expected at least 1, got 0"),
        ({"epochs": 2.5}, "epochs: expected an integer, got 2.5"),
        ({"patience": 0}, "patience: expected at least 1, got 0"),
        ({"patience": 1.5}, "patience: expected an integer, got 1.5"),
        ({"skip": -1}, "skip: expected at least 0, got -1"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    step, evaluation, state = make_run()
    with pytest.raises(ValueError, match=message):
        next(fit(state, step, evaluation, lambda epoch, first: [], lambda: [], **{"epochs": 1, **options}))


def test_an_epoch_depends_on_nothing_but_the_state_and_its_batches():
    step, _, state = make_run()
    saved = jax.device_get(state._replace(key=jax.random.key_data(state.key)))
    finals = []
    for _ in range(2):
        again = step.replicate(saved._replace(key=jax.random.wrap_key_data(saved.key)))
        again, _ = run_epoch(again, step, [make_batch(i) for i in range(3)], lambda report: None)
        finals.append(jax.device_get(again.params))
    jax.tree.map(np.testing.assert_array_equal, *finals)
