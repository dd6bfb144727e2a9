"""What waits for the validation loss, in a state that is kept: the schedule plateau, the start of an average."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.data import batches
from rnnjax.training import Optimizer, TrainState, batch_mesh, eval_step, evaluate, fit, train_step
from rnnjax.training.blocks import fit_blocks
from rnnjax.training.plateau import plateau, scale_of
from rnnjax.training.seeds import SeedTraining
from rnnjax.training.validated import after_validation

LOSSES = [5.0, 4.0, 4.0, 4.1, 3.0, 3.1, 3.2, 3.3, 2.9999, 2.0]
# float32 products of a few powers of a factor.
TOLERANCE = 1e-6
START = 20.0


def by_hand(losses, factor, patience):
    """The scale after each validation."""
    best, waited, scale, scales = np.inf, 0, 1.0, []
    for loss in losses:
        if loss < best * (1 - 1e-4):
            best, waited = loss, 0
        else:
            waited += 1
        if waited == patience:
            scale, waited = scale * factor, 0
        scales.append(scale)
    return scales


@pytest.mark.parametrize(("factor", "patience"), [(0.5, 1), (0.25, 2), (0.1, 3)])
def test_the_scale_falls_after_validations_without_a_lower_loss(factor, patience):
    optimizer = plateau(factor, patience)
    state, scales = optimizer.init({"w": jnp.zeros(3)}), []
    for loss in LOSSES:
        state = after_validation({"inner": (state, ())}, loss)["inner"][0]
        updates: Any
        updates, after = optimizer.update({"w": jnp.arange(3.0)}, state)
        np.testing.assert_allclose(updates["w"], np.arange(3) * scale_of(state), rtol=TOLERANCE)
        jax.tree.map(np.testing.assert_array_equal, after, state)  # an update is no validation
        scales.append(float(scale_of(state)))
    np.testing.assert_allclose(scales, by_hand(LOSSES, factor, patience), rtol=TOLERANCE)
    assert len(set(scales)) > 1


def test_other_optimizers_have_no_scale():
    state = Optimizer(schedule="linear").transformation(9).init({"w": jnp.zeros(3)})
    assert scale_of(state) == 1
    jax.tree.map(np.testing.assert_array_equal, after_validation(state, 3.0), state)


def sums(params, batch, key):
    return {"loss": (params["w"] * batch.inputs[:, 0] * batch.weights).sum(), "weight": batch.weights.sum()}


CONFIG = Optimizer(optimizer="sgd", learning_rate=0.5, schedule="plateau", decay=4.0, plateau_epochs=1)
AVERAGED = Optimizer(optimizer="sgd", learning_rate=0.5, averaging=1.0, average_after=2)
DATA = batches(np.ones((8, 1), np.float32), np.zeros(8, np.float32), batch_size=4)


def trained(losses, start=None, config=CONFIG):
    """The learning rate of every step, and the last state, of a training whose validation losses are given."""
    optimizer, mesh, steps = config.transformation(9), batch_mesh(2), []
    step, evaluation = train_step(sums, optimizer, mesh, averaging=config.averaging), eval_step(sums, mesh)
    averaged = config.averaging > 0
    state = start or TrainState.create({"w": jnp.float32(START)}, optimizer, jax.random.key(0), averaged=averaged)
    given = iter(losses)

    def scripted(*arguments):
        scores = evaluate(*arguments)
        return dataclasses.replace(scores, metrics=scores.metrics | {"loss": next(given)})

    for after, _ in fit(state, step, evaluation, DATA, DATA, len(losses), steps.append, evaluate=scripted):
        state = jax.device_get(after)
    return [report.learning_rate for report in steps], state


def test_fit_tells_the_schedule_each_validation_loss():
    found, state = trained(LOSSES)
    scales = [1.0, *by_hand(LOSSES, 0.25, 1)[:-1]]
    np.testing.assert_allclose(found, 0.5 * np.repeat(scales, 2), rtol=TOLERANCE)
    # Each step subtracts its learning rate times a gradient of 1.
    np.testing.assert_allclose(state.params["w"], START - sum(found), rtol=TOLERANCE)


def test_a_training_goes_on_where_its_state_stopped():
    whole, state = trained(LOSSES)
    first, half = trained(LOSSES[:4])
    second, again = trained(LOSSES[4:], half)
    np.testing.assert_array_equal(whole, first + second)
    jax.tree.map(np.testing.assert_array_equal, again.optimizer_state, state.optimizer_state)


def begins(losses, window):
    """The number of validations after which the average begins: one above the lowest of all but the last `window`."""
    for number, loss in enumerate(losses):
        if number > window and loss > min(losses[: number - window]):
            return number + 1
    return None


@pytest.mark.parametrize(("losses", "window"), [(LOSSES, 2), (LOSSES[4:], 2), (LOSSES[4:], 1), (LOSSES, 5)])
def test_an_average_begins_where_the_loss_is_above_the_lowest_of_a_while_ago(losses, window):
    config = dataclasses.replace(AVERAGED, average_after=window)
    _, state = trained(losses, config=config)
    after = START - 0.5 * np.arange(2 * len(losses) + 1)  # the parameter after each update
    start = begins(losses, window)
    expected = after[-1] if start is None else after[2 * start :].mean()
    np.testing.assert_allclose(state.average["w"], expected, rtol=TOLERANCE)
    np.testing.assert_allclose(state.params["w"], after[-1], rtol=TOLERANCE)
    assert [begins(losses, window) for losses, window in ((LOSSES, 5), (LOSSES[4:], 2))] == [None, 4]


def test_a_decay_limits_a_mean_that_began_late():
    _, state = trained(LOSSES[4:], config=dataclasses.replace(AVERAGED, averaging=0.6))
    start, last = 2 * 4, 2 * len(LOSSES[4:])
    average = START - 0.5 * start
    for number in range(start + 1, last + 1):
        kept = min(0.6, (number - start) / (number - start + 1))
        average = kept * average + (1 - kept) * (START - 0.5 * number)
    np.testing.assert_allclose(state.average["w"], average, rtol=TOLERANCE)


def test_an_average_that_waits_goes_on_where_its_state_stopped():
    _, whole = trained(LOSSES[4:], config=AVERAGED)
    for cut in (1, 3, 5):
        _, half = trained(LOSSES[4 : 4 + cut], config=AVERAGED)
        _, again = trained(LOSSES[4 + cut :], half, AVERAGED)
        kept = [(state.params, state.average, state.optimizer_state) for state in (again, whole)]
        jax.tree.map(np.testing.assert_array_equal, *kept)


@pytest.mark.parametrize("config", [CONFIG, AVERAGED], ids=["plateau", "average_after"])
def test_loops_without_validation_losses_refuse_it(config):
    optimizer = config.transformation(9)

    def start(seed):
        return TrainState.create({"w": jnp.float32(START)}, optimizer, jax.random.key(seed))

    message = "optimizer: expected one that needs no validation loss for "
    with pytest.raises(ValueError, match=f"{message}seeds side by side"):
        SeedTraining(sums, optimizer, start, lambda seed, epoch: DATA(), DATA, [0, 1], epochs=2, epoch_steps=2)
    with pytest.raises(ValueError, match=f"{message}training in blocks"):
        next(iter(fit_blocks(start(0), lambda state: (state, {}), 1, 1)))
    with pytest.raises(ValueError, match="decay: expected a number above 1 for the schedule plateau, got 1"):
        Optimizer(schedule="plateau", decay=1.0)
