"""Seeds of a text classifier side by side: each as if it were alone."""

import dataclasses
import functools
import json

import numpy as np
import pytest

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment.data import prepare
from experiments.sentiment.seeds import seed_training
from experiments.sentiment.train import train
from rnnjax.runs.execution import Execution
from rnnjax.training import seeds, step
from rnnjax.training.devices import padded_seeds, side_by_side

pytestmark = pytest.mark.usefixtures("quick_runs")
# Two programs of other shapes add up in another order; measured: 1.4e-7.
SEEDS_TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def config(reviews):
    _, smoke = sentiment.PRESETS["smoke"]
    sizes = {"hidden": 4, "embedding": 4, "batch_size": 8, "buckets": 2, "longest": 40, "epochs": 2}
    options = {
        "dropout": 0.3,
        "input_dropout": 0.2,
        "learning_rate": 0.02,
        "clip": 0.1,
        "schedule": "linear",
        "averaging": 0.9,
    }
    return dataclasses.replace(smoke, source=str(reviews), rows=40, data_seed=5, **sizes, **options)


@pytest.fixture(scope="module")
def together(config):
    return list(seed_training(config, prepare(config), [3, 1, 2]).epochs())


@pytest.mark.slow
def test_each_of_several_seeds_is_as_if_alone(config, together):
    (alone, *_) = (list(seed_training(config, prepare(config), [seed]).epochs()) for seed in (1,))
    for one, all_of_them in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.metrics["loss"][0], all_of_them.metrics["loss"][1], rtol=SEEDS_TOLERANCE)
        assert one.metrics["accuracy"][0] == all_of_them.metrics["accuracy"][1]
        assert 3 * one.read == all_of_them.read
    assert len({float(loss) for loss in together[-1].metrics["loss"]}) == 3


@pytest.mark.slow
def test_seeds_in_one_vectorised_program_are_the_same(config, together, monkeypatch):
    # As on accelerators: all seeds at once.
    monkeypatch.setattr(step, "side_by_side", functools.partial(side_by_side, vectorised=True))
    monkeypatch.setattr(seeds, "seed_groups", lambda chosen, mesh: [padded_seeds(chosen, mesh)])
    for one, other in zip(seed_training(config, prepare(config), [3, 1, 2]).epochs(), together, strict=True):
        np.testing.assert_allclose(one.metrics["loss"], other.metrics["loss"], rtol=SEEDS_TOLERANCE)


@pytest.mark.slow
def test_a_seed_is_the_same_as_in_a_run_of_its_own(config, together, tmp_path):
    execution = Execution(run_folder=tmp_path / "run", devices=1, tensorboard=False)
    train(dataclasses.replace(config, seed=2, execution=execution), "sentiment-smoke")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["validation_loss"] for line in lines if line["kind"] == "epoch"]
    np.testing.assert_allclose(losses, [epoch.metrics["loss"][2] for epoch in together], rtol=SEEDS_TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize(("skip", "ends"), [pytest.param(0, 1, marks=pytest.mark.slow), (2, 3)])
def test_a_seed_that_diverges_does_not_stop_the_others(config, together, monkeypatch, skip, ends):
    training = seed_training(dataclasses.replace(config, skip=skip), prepare(config), [3, 1, 2])
    plain = training._train
    steps = []

    def poisoned(batch):
        steps.append(1)
        if len(steps) == 1:  # of the first two seeds, who take turns with the third
            state = training._states[0]
            head = {**state.params["head"], "bias": state.params["head"]["bias"].at[1].set(np.nan)}
            training._states[0] = state._replace(params={**state.params, "head": head})
        return plain(batch)

    monkeypatch.setattr(training, "_train", poisoned)
    epochs = list(training.epochs())
    assert epochs[-1].diverged == [None, ends, None]
    for one, other in zip(epochs, together, strict=True):
        assert one.metrics["loss"][[0, 2]].tolist() == other.metrics["loss"][[0, 2]].tolist()
    assert np.isnan(epochs[-1].metrics["loss"][1])


@pytest.mark.slow
def test_what_is_scored_are_averaged_parameters(config, together):
    plain = list(seed_training(dataclasses.replace(config, averaging=0.0), prepare(config), [3, 1]).epochs())
    assert np.abs(plain[-1].metrics["loss"] - together[-1].metrics["loss"][:2]).min() > 100 * SEEDS_TOLERANCE


def test_seeds_that_do_not_share_their_data_are_refused(config):
    with pytest.raises(ValueError, match="data_seed: expected one that all seeds share, got none"):
        seed_training(dataclasses.replace(config, data_seed=None), prepare(config), [0])
    with pytest.raises(ValueError, match="seeds: expected at least one, got none"):
        seed_training(config, prepare(config), [])


def test_the_seed_of_data_says_what_is_held_out(config):
    held_out = {
        (seed, data_seed): prepare(dataclasses.replace(config, seed=seed, data_seed=data_seed)).held_out
        for seed, data_seed in ((0, 5), (1, 5), (0, None), (5, None), (0, 0))
    }
    assert held_out[0, 5] == held_out[1, 5] == held_out[5, None]
    assert held_out[0, 0] == held_out[0, None] != held_out[0, 5]
