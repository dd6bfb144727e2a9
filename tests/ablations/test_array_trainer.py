"""The template swept side by side: every seed as in a run of its own, and own cells beside those of the library."""

import dataclasses
import functools

import numpy as np
import pytest

from experiments import template
from experiments.template import Template, data, init, objective
from rnnjax import GRU
from rnnjax.ablations import ArrayTrainer, Study, ablate, plan
from rnnjax.runs.reading import read_run

# One seed in a program of its own against three in turns: 3e-7 measured.
TOLERANCE = 1e-5
SMALL = Template(hidden=6, steps=4, batch_size=64, learning_rate=0.02, epochs=2, cell="elman")
TRAINER = ArrayTrainer(objective, init, data)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(GRU):
    """An own cell: the object itself stands in the config."""

    def update(self, extras, inputs, recurrent, state):
        after = super().update(extras, inputs, recurrent, state)
        return after._replace(hidden=0.9 * after.hidden)


@pytest.fixture(scope="module")
def outcomes():
    return TRAINER.run(SMALL, [3, 0, 1], lambda share: None)


def test_a_seed_has_the_score_of_its_own_run(outcomes, tmp_path):
    config = dataclasses.replace(SMALL, seed=0)
    execution = dataclasses.replace(config.execution, run_folder=tmp_path / "run", devices=1, tensorboard=False)
    template.train(dataclasses.replace(config, execution=execution))
    losses = [line["validation_loss"] for line in read_run(tmp_path / "run").metrics.epochs]
    # The batches of validation are those of the first seed in a sweep.
    (alone,) = TRAINER.run(SMALL, [0], lambda share: None)
    np.testing.assert_allclose(alone.curve_scores, losses, rtol=TOLERANCE)
    assert (alone.score, alone.loss) == (min(alone.curve_scores), min(alone.curve_scores))


def test_seeds_side_by_side_are_independent(outcomes):
    assert [outcome.seed for outcome in outcomes] == [3, 0, 1]
    assert len({outcome.score for outcome in outcomes}) == 3
    again = TRAINER.run(SMALL, [3, 1], lambda share: None)
    for one, other in zip(again, (outcomes[0], outcomes[2]), strict=True):
        np.testing.assert_allclose(one.curve_scores, other.curve_scores, rtol=TOLERANCE)
        assert (one.steps, one.curve_steps) == (other.steps, other.curve_steps) == (64, [32, 64])


@pytest.mark.slow
def test_patience_ends_a_seed_where_it_would_have_ended_alone():
    config = dataclasses.replace(SMALL, learning_rate=0.5, epochs=6)
    (free,) = TRAINER.run(config, [0], lambda share: None)
    (patient,) = TRAINER.run(dataclasses.replace(config, patience=1), [0], lambda share: None)
    worse = next(i for i in range(1, 6) if free.curve_scores[i] >= min(free.curve_scores[:i]))
    assert patient.steps == 32 * (worse + 1) < free.steps
    assert patient.score == min(free.curve_scores[: worse + 1])


@pytest.mark.slow
def test_a_sweep_over_own_cells_is_one_line_and_resumes(tmp_path, capsys):
    grid = functools.partial(Study.grid, "Which cell?", "validation loss", TRAINER, SMALL, seeds=2)
    study = grid(cell={"elman": "elman", "mine": Mine()}, learning_rate=[0.01, 0.02])
    assert [variant.name for variant in study.variants] == [
        *("elman-0.01", "elman-0.02", "mine-0.01", "mine-0.02"),
    ]
    assert plan(study, tmp_path) > 0
    report = ablate(study, tmp_path)
    assert all(variant.name in report for variant in study.variants)
    capsys.readouterr()
    assert ablate(study, tmp_path) == report
    assert plan(study, tmp_path) == 0


def test_a_config_with_other_functions_is_another_one():
    def other(config):
        return data(config)

    assert TRAINER.fingerprint(SMALL) != ArrayTrainer(objective, init, other).fingerprint(SMALL)
    assert TRAINER.fingerprint(SMALL) == ArrayTrainer(objective, init, data).fingerprint(SMALL)
    local = dataclasses.replace(SMALL, execution=dataclasses.replace(SMALL.execution, devices=2))
    assert TRAINER.fingerprint(SMALL) == TRAINER.fingerprint(local)
