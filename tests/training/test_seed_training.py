"""Seeds side by side: every metric of each seed is that which it has alone."""

import jax
import numpy as np
import optax
import pytest

from rnnjax.data import batches
from rnnjax.training import Objective, TrainState
from rnnjax.training import seeds as seed_module
from rnnjax.training.devices import padded_seeds
from rnnjax.training.seeds import SeedTraining

TOLERANCE = 1e-6  # 6e-8 measured
OPTIMIZER = optax.adam(0.05)


def sums(params, batch, key):
    noise = 0.0 if key is None else 0.1 * jax.random.normal(key, batch.targets.shape)
    errors = batch.inputs @ params["w"] + params["b"] + noise - batch.targets
    weights = batch.weights
    return {
        "loss": (errors**2 * weights).sum(),
        "weight": weights.sum(),
        "absolute": (abs(errors) * weights).sum(),
        "errors": (errors * weights).sum(keepdims=True),
    }


OBJECTIVE = Objective(sums, best="rmse", derived={"rmse": lambda means: means["loss"] ** 0.5})


def start(seed):
    random = np.random.default_rng(seed)
    params = {"w": random.normal(size=3).astype(np.float32), "b": np.float32(random.normal())}
    return TrainState.create(params, OPTIMIZER, jax.random.key(seed), averaged=True)


def part(seed, rows=26):
    random = np.random.default_rng([7, seed])
    inputs = random.normal(size=(rows, 3)).astype(np.float32)
    return batches(inputs, inputs.sum(axis=1), batch_size=8, seed=seed)


def train(seeds, **options):
    options = {"epochs": 3, "epoch_steps": 4, "averaging": 0.9, "clip": 0.5, **options}
    own = {seed: part(seed) for seed in seeds}
    training = SeedTraining(
        OBJECTIVE, OPTIMIZER, start, lambda seed, epoch: own[seed](epoch, 0), lambda: part(99)(0, 0), seeds, **options
    )
    return training, list(training.epochs())


@pytest.fixture(scope="module")
def together():
    return train([4, 2, 5])


def test_a_seed_has_the_numbers_that_it_has_alone(together):
    training, epochs = together
    assert [(epoch.epoch, epoch.step, epoch.read) for epoch in epochs] == [(1, 4, 78), (2, 8, 78), (3, 12, 78)]
    assert (training.parameters, training.steps) == (4, 12)
    _, alone = train([2])
    for one, other in zip(alone, epochs, strict=True):
        assert list(one.metrics) == ["loss", "absolute", "rmse"]
        for name, values in other.metrics.items():
            assert values.shape == (3,)
            np.testing.assert_allclose(one.metrics[name][0], values[1], rtol=TOLERANCE)
    assert len(set(epochs[-1].metrics["loss"].tolist())) == 3


def test_all_seeds_in_one_program_are_the_same(together, monkeypatch):
    monkeypatch.setattr(seed_module, "seed_groups", lambda chosen, mesh: [padded_seeds(chosen, mesh)])
    _, epochs = train([4, 2, 5])
    for one, other in zip(epochs, together[1], strict=True):
        np.testing.assert_allclose(one.metrics["loss"], other.metrics["loss"], rtol=TOLERANCE)


@pytest.mark.parametrize("options", [{"clip": None}, {"averaging": 0.5}, {"epochs": 2}])
def test_an_option_changes_what_is_trained(options, together):
    _, epochs = train([4, 2, 5], **options)
    if "epochs" in options:
        assert len(epochs) == 2
    else:
        assert abs(epochs[-1].metrics["loss"] - together[1][-1].metrics["loss"]).min() > 1e-5


def test_a_seed_that_diverges_is_named_with_its_step():
    bad = part(2)
    bad.data.inputs[:] = np.inf
    own = {4: part(4), 2: bad}
    training = SeedTraining(
        OBJECTIVE, OPTIMIZER, start, lambda seed, epoch: own[seed](epoch, 0), lambda: part(99)(0, 0), [4, 2],
        epochs=2, epoch_steps=4, averaging=0.9,
    )  # fmt: skip
    epochs = list(training.epochs())
    assert epochs[-1].diverged == [None, 1]
    assert np.isfinite(epochs[-1].metrics["loss"][0])


def test_a_step_is_measured():
    training = SeedTraining(
        OBJECTIVE, OPTIMIZER, start, lambda seed, epoch: part(seed)(epoch, 0), lambda: part(99)(0, 0), [1, 2, 3],
        epochs=1, epoch_steps=4, averaging=0.9,
    )  # fmt: skip
    assert training.step_seconds() > 0
    assert training.step_seconds(next(part(2)())) > 0


def test_what_cannot_be_trained_side_by_side():
    with pytest.raises(ValueError, match="seeds: expected at least one, got none"):
        train([])
    with pytest.raises(ValueError, match="epochs: expected at least 1, got 0"):
        train([1], epochs=0)
    uneven = {1: part(1), 2: part(2, rows=9)}
    training = SeedTraining(
        OBJECTIVE, OPTIMIZER, start, lambda seed, epoch: uneven[seed](epoch, 0), lambda: part(99)(0, 0), [1, 2],
        epochs=1, epoch_steps=4, averaging=0.9,
    )  # fmt: skip
    with pytest.raises(ValueError, match="train_batches: expected the same number of batches for every seed"):
        list(training.epochs())
    carrying = Objective(lambda params, batch, key, carry: (sums(params, batch, key), carry), carries=True)
    with pytest.raises(ValueError, match="objective: expected one without a carry, got one with carries=True"):
        SeedTraining(carrying, OPTIMIZER, start, part, part, [1], epochs=1, epoch_steps=4)  # pyright: ignore[reportArgumentType]
