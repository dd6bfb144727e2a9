"""Runs with linear models under the network: kept, resumed, damaged, and refused."""

import base64
import dataclasses
import json
import os
import re
import shutil
from typing import Any

import numpy as np
import pytest
from complaints import complaint_of, end_of
from evidence_values import SUM_TOLERANCE, coded, padded
from resealed import adopt
from small_runs import STOPPED_AT, TWO, act_after, lines, new, read, terminate
from tiny_reviews import STARS, write_reviews

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment.baseline import linear_log_odds
from experiments.sentiment.config import TextClassification, build_model
from experiments.sentiment.data import Loader, Part, prepare
from experiments.sentiment.evidence import FOLDS, Corrected, LinearModels, folds_of
from experiments.sentiment.predictions import logs_over
from experiments.sentiment.seeds import seed_training
from experiments.sentiment.tracing import trace_verdicts
from experiments.sentiment.train import train
from experiments.sentiment.trained import open_run
from rnnjax import SequenceClassifier
from rnnjax.data import Sequences
from rnnjax.data.ngrams import NgramVocabulary
from rnnjax.runs.checkpoints import find_checkpoints
from rnnjax.runs.execution import Execution
from rnnjax.training import batch_mesh

pytestmark = pytest.mark.usefixtures("quick_runs", "few_updates")

# Two programs of other shapes may add up in another order; measured: 0.
SEEDS_TOLERANCE = 2e-6


def options(*more):
    return ["--ngrams", "2", "--ngram-texts", "2", *more]


@pytest.fixture(
    scope="module", params=[2, pytest.param(5, marks=pytest.mark.slow)], ids=["two classes", "five classes"]
)
def run_path(request, tmp_path_factory, reviews, few_updates):
    path = tmp_path_factory.mktemp("evidence")
    stars = write_reviews(path / "stars.csv", 60, classes=(1, 2, 3, 4, 5), telling=STARS)
    sentiment.main(
        new(reviews if request.param == 2 else stars, path / "run", *options("--epochs", "1", "--rows", "60"))
    )
    return path / "run"


@pytest.fixture
def hostile(run_path, tmp_path):
    return shutil.copytree(run_path, tmp_path / "hostile")


def test_a_run_keeps_its_evidence_and_its_linear_accuracy(run_path):
    assert read(run_path, "config.json")["artifacts"] == ["evidence.json"]
    (final,) = [line for line in lines(run_path) if line["kind"] == "final"]
    trained = open_run(run_path)
    parts = prepare(trained.config)
    assert parts.linear is not None
    assert trained.linear is not None
    assert parts.linear.to_json() == trained.linear.to_json()
    log_odds = linear_log_odds(trained.config, parts, parts.validation)
    predicted = log_odds > 0 if log_odds.ndim == 1 else log_odds.argmax(axis=1)
    assert final["linear_accuracy"] == pytest.approx(np.mean(predicted == parts.validation.labels))


def test_the_log_odds_of_a_part_are_in_the_order_of_its_rows(run_path):
    trained, random = open_run(run_path), np.random.default_rng(0)
    assert trained.linear is not None
    texts = Sequences.of(random.integers(0, trained.linear.ngrams.tokens, length) for length in [0, 60, 1, 30, 7, 60])
    part = Part(texts, texts, np.zeros(len(texts), np.int32), np.full(len(texts), FOLDS))
    config = dataclasses.replace(trained.config, longest=60, buckets=3, batch_size=2)
    parts = prepare(trained.config)._replace(train=part)
    assert len({plan.width for plan in Loader(config, texts, 1).plans(part)}) > 1
    want = trained.inputs(padded(texts, 60), texts.lengths).log_odds
    np.testing.assert_allclose(linear_log_odds(config, parts, part), want, atol=SUM_TOLERANCE)


def test_training_texts_have_the_evidence_of_the_model_that_has_not_seen_them(run_path):
    trained = open_run(run_path)
    parts = prepare(trained.config)
    assert parts.linear is not None
    assert (parts.validation.models == FOLDS).all()
    assert (parts.train.models == folds_of(parts.train.labels, trained.config.seed_of_data)).all()
    loader = Loader(trained.config, parts.train.read, 1, linear=parts.linear)
    for plan in loader.plans(parts.train, seed=4):
        batch, rows = loader.batch(parts.train, plan), len(plan.rows)
        want = parts.linear.inputs(batch.inputs.tokens[:rows], batch.lengths[:rows], parts.train.models[plan.rows])
        np.testing.assert_array_equal(batch.inputs.words[:rows], want.words)
        np.testing.assert_array_equal(batch.inputs.log_odds[:rows], want.log_odds)
        halves = [
            Loader(trained.config, parts.train.read, 2, (process, 2), parts.linear).batch(parts.train, plan)
            for process in (0, 1)
        ]
        np.testing.assert_array_equal(np.concatenate([half.inputs.words for half in halves]), batch.inputs.words)


def test_evaluate_predict_and_trace_give_the_numbers_of_training(run_path, capsys):
    (final,) = [line for line in lines(run_path) if line["kind"] == "final"]
    capsys.readouterr()
    sentiment.main(["evaluate", str(run_path), *TWO])
    assert re.search(
        " +".join(f"{final[name]:.4f}" for name in ("accuracy", "macro_f1", "loss")), capsys.readouterr().out
    )
    trained, text = open_run(run_path), "a lovely film with awful actors and a superb plot"
    both = np.exp(logs_over(trained, [text, "", "dull"], batch_mesh(1)))
    alone = np.concatenate([np.exp(logs_over(trained, [each], batch_mesh(1))) for each in (text, "", "dull")])
    np.testing.assert_allclose(both, alone, atol=SUM_TOLERANCE)
    verdicts = trace_verdicts(trained, text)
    shown = trained.classes.index(verdicts.shown_class)
    np.testing.assert_allclose(verdicts.values[-1], both[0, shown], atol=SUM_TOLERANCE)
    for end in (1, 4):
        part = np.exp(logs_over(trained, [" ".join(text.split()[:end])], batch_mesh(1)))[0, shown]
        np.testing.assert_allclose(verdicts.values[end - 1], part, atol=SUM_TOLERANCE)
    sentiment.main(["predict", str(run_path), text, "!?", "--trace"])
    assert f"={both[0, -1]:.4f}" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.slow
def test_the_gates_of_a_network_with_evidence_are_drawn(run_path, tmp_path):
    sentiment.main(["predict", str(run_path), "a lovely film", "--figures", str(tmp_path / "figures")])
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert len(names) == 2
    assert names[1] == "text_1_verdict.png"


def test_a_resumed_run_keeps_its_evidence(tmp_path, reviews, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    sentiment.main(new(reviews, whole, *options()))
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, STOPPED_AT, terminate)
        assert end_of(sentiment, *new(reviews, broken, *options())) == 143
    monkeypatch.setattr(LinearModels, "fit", None)  # nothing is fitted again
    sentiment.main(["--resume", str(broken), *TWO])
    assert lines(broken) == lines(whole)
    assert (broken / "evidence.json").read_bytes() == (whole / "evidence.json").read_bytes()
    (broken / "evidence.json").unlink()
    assert "evidence.json in" in end_message(monkeypatch, broken)


def end_message(patch, path):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        sentiment.main(["--resume", str(path), *TWO])
    return str(caught.value)


def changed(path):
    file = path / "evidence.json"
    value = json.loads(file.read_text())
    biases = np.frombuffer(base64.b64decode(value["biases"]), "<f4") + 1
    file.write_text(json.dumps({**value, "biases": coded(biases, "<f4")}))


DAMAGES = {
    "missing": (lambda run: (run / "evidence.json").unlink(), "artifact: expected evidence.json in .*, found none$"),
    "no JSON": (lambda run: (run / "evidence.json").write_text("{"), "evidence.json: expected JSON, got"),
    "other": (lambda run: (run / "evidence.json").write_text("[]"), "evidence.json: evidence: expected an object with"),
    "link": (lambda run: link(run / "evidence.json"), "evidence.json: expected a file, got a symbolic link"),
    "pipe": (lambda run: instead(run, os.mkfifo), "evidence.json: expected a file, got a pipe"),
    "folder": (lambda run: instead(run, os.mkdir), "evidence.json: expected a file, got a folder"),
    "endless": (
        lambda run: os.truncate(run / "evidence.json", 10**11),
        "evidence.json: expected at most [0-9,]+ bytes",
    ),
    "changed": (changed, r"expected (an undamaged checkpoint|a checkpoint of this run \(evidence.json)"),
}


def instead(run, make):
    (run / "evidence.json").unlink()
    make(run / "evidence.json")


def link(file):
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


@pytest.mark.filterwarnings("ignore:damaged checkpoint")
@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_evidence_is_one_line(case, hostile, capsys):
    damage, message = DAMAGES[case]
    damage(hostile)
    for command in (["predict", hostile, "a film"], ["--resume", hostile, "--epochs", "2", *TWO]):
        status, error = complaint_of_last(capsys, *command)
        assert status == 1
        assert re.search(message, error), error


def complaint_of_last(capsys, *arguments):
    """(status, the last line, which follows warnings of damaged checkpoints)."""
    capsys.readouterr()
    status = end_of(sentiment, *arguments)
    said = capsys.readouterr().err.splitlines()
    assert all("damaged checkpoint" in line for line in said[:-1]), said
    return status, said[-1]


@pytest.mark.filterwarnings("ignore:damaged checkpoint")
def test_a_flipped_bit_of_the_evidence_is_noticed(hostile):
    data, random = (hostile / "evidence.json").read_bytes(), np.random.default_rng(0)
    for _ in range(10):
        flipped = bytearray(data)
        flipped[random.integers(len(data))] ^= 1 << random.integers(8)
        (hostile / "evidence.json").write_bytes(flipped)
        with pytest.raises(ValueError, match=r"evidence|checkpoint") as caught:
            open_run(hostile)
        assert "\n" not in str(caught.value)


def test_evidence_that_its_run_was_made_to_accept_is_obeyed(hostile):
    before = np.exp(logs_over(open_run(hostile), ["a film"], batch_mesh(1)))
    changed(hostile)
    adopt(hostile, *find_checkpoints(hostile / "checkpoints"))
    if before.shape[-1] == 2:
        odds = [
            np.log(p[0, 1] / p[0, 0]) for p in (before, np.exp(logs_over(open_run(hostile), ["a film"], batch_mesh(1))))
        ]
        assert odds[1] - odds[0] == pytest.approx(1, abs=1e-4)


REFUSED = {
    "padding": (["--ngrams", "2", "--pad", "start"], "pad: expected end with ngrams, got start"),
    "negative": (["--ngrams", "-1"], "ngrams: expected at least 0, got -1"),
    "texts": (["--ngrams", "1", "--ngram-texts", "0"], "ngram_texts: expected at least 1, got 0"),
    "long": (["--ngrams", "63"], "ngrams: expected at most 63 bits for n-grams of"),
    "huge": (["--ngrams", "2000000000"], "ngrams: expected at most 63 bits for n-grams of"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_do_not_fit_are_one_line_and_leave_no_run(case, tmp_path, reviews, capsys):
    more, message = REFUSED[case]
    assert message in complaint_of(sentiment, capsys, *new(reviews, tmp_path / "run", *more))[1]
    assert not (tmp_path / "run").exists()


def test_four_words_of_a_large_vocabulary_have_numbers_and_five_do_not():
    NgramVocabulary(np.empty(0, np.int64), 4, 50_000)
    with pytest.raises(ValueError, match="ngrams: expected at most 63 bits for n-grams of 50,000 tokens, got more"):
        NgramVocabulary(np.empty(0, np.int64), 5, 50_000)


def test_without_the_option_there_is_no_evidence(tmp_path, reviews):
    config = TextClassification(source=str(reviews), rows=36)
    parts = prepare(config)
    assert parts.linear is None
    assert isinstance(build_model(config, 10, 2), SequenceClassifier)
    assert isinstance(build_model(dataclasses.replace(config, ngrams=2), 10, 2), Corrected)
    loader = Loader(config, parts.train.read, devices=1)
    assert isinstance(loader.batch(parts.train, loader.plans(parts.train)[0]).inputs, np.ndarray)


@pytest.mark.slow
def test_seeds_side_by_side_have_the_losses_of_single_runs(tmp_path, reviews):
    _, smoke = sentiment.PRESETS["smoke"]
    sizes: dict[str, Any] = {"hidden": 4, "embedding": 4, "batch_size": 12, "buckets": 1, "longest": 20, "epochs": 2}
    config = dataclasses.replace(smoke, source=str(reviews), rows=36, data_seed=5, ngrams=2, dropout=0.3, **sizes)
    together = list(seed_training(config, prepare(config), [3, 2]).epochs())
    execution = Execution(run_folder=tmp_path / "run", devices=1, tensorboard=False)
    train(dataclasses.replace(config, seed=2, execution=execution), "sentiment-smoke")
    losses = [line["validation_loss"] for line in lines(tmp_path / "run") if line["kind"] == "epoch"]
    np.testing.assert_allclose(losses, [epoch.metrics["loss"][1] for epoch in together], rtol=SEEDS_TOLERANCE)


@pytest.mark.slow
def test_the_baseline_stands_beside_the_network(tmp_path, reviews, capsys):
    sentiment.main(new(reviews, tmp_path / "run", "--baseline", "--epochs", "1"))
    (final,) = [line for line in lines(tmp_path / "run") if line["kind"] == "final"]
    assert 0 <= final["baseline_accuracy"] <= 1
    assert "linear_accuracy" not in final
    line = f"validation  baseline, logistic regression on 1- to 3-grams    {final['baseline_accuracy']:.4f}"
    assert line in capsys.readouterr().out


def test_a_missing_scikit_learn_is_noticed_before_anything_is_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"baseline: expected sklearn, not installed: .*rnnjax\[baselines\]"):
        train(TextClassification(source="nowhere.csv", baseline=True), "test")
