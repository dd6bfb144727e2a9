"""Studies of language models: a seed of a study against the study's own training, and data of the user's choice."""

import dataclasses

import numpy as np
import pytest
from small_runs import lines
from tiny_texts import write_treebank

from experiments.ablations import __main__ as ablations
from experiments.ablations import language_trials
from experiments.ablations.command import of_source
from experiments.ablations.language_studies import lm_regularisation
from experiments.ablations.language_trials import LanguageTrainer
from experiments.ablations.studies import STUDIES
from experiments.language_model.config import Language
from experiments.language_model.train import train
from rnnjax.ablations import Study, Variant
from rnnjax.runs.execution import Execution
from rnnjax.training import DivergedError

SIZES = {"embedding": 5, "hidden": 6, "layers": 1, "cell": "gru", "steps": 7, "batch_size": 4, "epochs": 3}
TINY = Language(**SIZES, learning_rate=0.05, dropout=0.2, schedule="plateau")  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def treebank(tmp_path_factory):
    return write_treebank(tmp_path_factory.mktemp("treebank"))


def test_each_seed_is_trained_as_by_its_own_command(treebank, tmp_path):
    config = dataclasses.replace(TINY, source=str(treebank))
    shares = []
    found = LanguageTrainer().run(config, [1, 0], shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [outcome.seed for outcome in found] == [1, 0]
    for outcome in found:
        execution = Execution(run_folder=tmp_path / str(outcome.seed), tensorboard=False)
        path = train(dataclasses.replace(config, seed=outcome.seed, execution=execution), "tiny")
        epochs = [line for line in lines(path) if line["kind"] == "epoch"]
        assert outcome.curve_scores == [line["validation_perplexity"] for line in epochs]
        assert outcome.curve_steps == [line["step"] for line in epochs]
        assert outcome.score is not None
        assert outcome.score == min(outcome.curve_scores)
        assert outcome.loss == pytest.approx(np.log(outcome.score))
        assert outcome.steps == epochs[-1]["step"]
        assert outcome.parameters > 100
        assert outcome.seconds
        assert outcome.tokens_per_second
    assert found[0].score != found[1].score


def test_patience_ends_a_seed_and_a_diverged_one_is_told(treebank, monkeypatch):
    config = dataclasses.replace(TINY, source=str(treebank), learning_rate=1e-9, patience=1, epochs=9)
    (outcome,) = LanguageTrainer().run(config, [0], lambda share: None)
    assert len(outcome.curve_scores) < 9
    whole = LanguageTrainer().estimate(config, [0, 1])
    assert whole > 0

    def diverging(*arguments, **options):
        yield from ()
        raise DivergedError("loss")

    monkeypatch.setattr(language_trials, "fit", diverging)
    (outcome,) = LanguageTrainer().run(config, [0], lambda share: None)
    assert (outcome.score, outcome.diverged, outcome.curve_scores) == (None, 1, [])


def test_a_variant_that_changes_nothing_is_an_error():
    base = Variant("base", "The base.", TINY)
    Study("?", "perplexity", LanguageTrainer(), [base, base.changed("input", "?", input_dropout=0.1)])
    for same in ({"input_dropout": 0.2}, {"cell": "gru"}):
        with pytest.raises(ValueError, match="same: expected a variant that changes something, got the computation"):
            Study("?", "perplexity", LanguageTrainer(), [base, base.changed("same", "?", **same)])


def test_the_data_of_a_study_may_be_the_users_own(treebank, tmp_path, capsys):
    study = of_source(lm_regularisation(), str(treebank))
    assert {variant.config.source for variant in study.variants} == {str(treebank)}
    assert of_source(study, None) is study
    with pytest.raises(ValueError, match="source: expected none for a study without texts, got 'reviews'"):
        of_source(STUDIES["smoke"], "reviews")
    options = ["--dry-run", "--variants", "none", "--seeds", "1", "--folder", str(tmp_path / "rows")]
    ablations.main(["lm-regularisation", "--source", str(treebank), *options])
    assert "1 of 1 variants to run" in capsys.readouterr().out
