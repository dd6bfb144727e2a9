"""The schedule plateau: the learning rate follows the validation loss, and its state is part of a checkpoint."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.data import batches
from rnnjax.training import Optimizer, TrainState, batch_mesh, eval_step, evaluate, fit, train_step
from rnnjax.training.blocks import fit_blocks
from rnnjax.training.plateau import after_validation, plateau, scale_of
from rnnjax.training.seeds import SeedTraining

LOSSES = [5.0, 4.0, 4.0, 4.1, 3.0, 3.1, 3.2, 3.3, 2.9999, 2.0]
# float32 products of a few powers of a factor.
TOLERANCE = 1e-6


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
DATA = batches(np.ones((8, 1), np.float32), np.zeros(8, np.float32), batch_size=4)


def trained(losses, start=None):
    """The learning rate of every step, and the last state, of a training whose validation losses are given."""
    optimizer, mesh, steps = CONFIG.transformation(9), batch_mesh(2), []
    step, evaluation = train_step(sums, optimizer, mesh), eval_step(sums, mesh)
    state = start or TrainState.create({"w": jnp.float32(9.0)}, optimizer, jax.random.key(0))
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
    np.testing.assert_allclose(state.params["w"], 9 - sum(found), rtol=TOLERANCE)


def test_a_training_goes_on_where_its_state_stopped():
    whole, state = trained(LOSSES)
    first, half = trained(LOSSES[:4])
    second, again = trained(LOSSES[4:], half)
    np.testing.assert_array_equal(whole, first + second)
    jax.tree.map(np.testing.assert_array_equal, again.optimizer_state, state.optimizer_state)


def test_loops_without_validation_losses_refuse_it():
    optimizer = CONFIG.transformation(9)

    def start(seed):
        return TrainState.create({"w": jnp.float32(9.0)}, optimizer, jax.random.key(seed))

    with pytest.raises(ValueError, match="schedule: expected one that needs no validation loss for seeds side by side"):
        SeedTraining(sums, optimizer, start, lambda seed, epoch: DATA(), DATA, [0, 1], epochs=2, epoch_steps=2)
    with pytest.raises(ValueError, match="expected one that needs no validation loss for training in blocks"):
        next(iter(fit_blocks(start(0), lambda state: (state, {}), 1, 1)))
    with pytest.raises(ValueError, match="decay: expected a number above 1 for the schedule plateau, got 1"):
        Optimizer(schedule="plateau", decay=1.0)
