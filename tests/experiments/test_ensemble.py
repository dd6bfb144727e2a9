"""`ensemble`: runs and the baseline averaged, as a folder that is used like one run."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
import scipy.special
from complaints import complaint_of
from resealed import change_object
from small_runs import NETWORK, TWO
from tiny_reviews import write_reviews, write_stars

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import train as training
from experiments.sentiment.data import split_source
from experiments.sentiment.ensemble import chosen_weights
from experiments.sentiment.predictions import averaged, logs_over
from experiments.sentiment.trained import open_any, open_ensemble, open_run
from rnnjax.baselines import WeightedNgrams
from rnnjax.training import batch_mesh

# Stops before everything is learnt, so that the members differ.
SIZES = ["--hidden", "6", "--batch-size", "20", "--buckets", "1", "--longest", "20", "--hold-out", "0.3"]
SIZES += ["--learning-rate", "0.02", "--epochs", "3"]
# float64 sums of log-probabilities in another order.
TOLERANCE = 1e-12


def trained_run(path, source, seed, *options):
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(training, "draw", lambda *_: None)  # a second for each figure
        seeds = ["--seed", str(seed), "--source", str(source), "--run-folder", str(path)]
        sentiment.main(["smoke", *NETWORK, *SIZES, *TWO, *seeds, *options])
    return path


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Two runs with the same hold-out, one of them with n-grams, and one with another hold-out."""
    path = tmp_path_factory.mktemp("members")
    reviews = write_reviews(path / "reviews.csv", 200)
    return (
        trained_run(path / "one", reviews, 1, "--data-seed", "0", "--ngrams", "2"),
        trained_run(path / "two", reviews, 2, "--data-seed", "0"),
        trained_run(path / "other", reviews, 1, "--data-seed", "1"),
    )


@pytest.fixture(scope="module")
def together(members, tmp_path_factory):
    """(The folder of an ensemble of two runs and the baseline, what was printed)."""
    path = tmp_path_factory.mktemp("ensemble") / "all"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        sentiment.main(["ensemble", *map(str, members[:2]), "--baseline", "--run-folder", str(path), *TWO])
    return path, said.getvalue()


@pytest.mark.parametrize("classes", [2, 4])
def test_the_average_is_that_of_the_log_odds(classes):
    random = np.random.default_rng(classes)
    logs = scipy.special.log_softmax(random.normal(size=(3, 50, classes)) * 3, axis=-1)
    weights = np.array([0.2, 0.0, 1.7])
    found = averaged(logs, weights)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=TOLERANCE)
    odds = np.tensordot(weights, logs[:, :, 1:] - logs[:, :, :1], 1)
    np.testing.assert_allclose(found[:, 1:] - found[:, :1], odds, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_chosen_weights_have_the_lowest_loss(classes):
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, 400)
    # A member that is right, one that knows little, and one that is wrong.
    logits = random.normal(size=(3, 400, classes)) + np.array([2, 0.3, -1])[:, None, None] * np.eye(classes)[labels]
    logs = scipy.special.log_softmax(logits, axis=-1)
    weights = chosen_weights(logs, labels)
    assert weights[0] > weights[1] > weights[2] == 0

    def loss(weights):
        return -averaged(logs, weights)[np.arange(400), labels].mean()

    for change in (*np.eye(3) * 0.05, *-np.eye(3) * 0.05):
        assert loss(np.maximum(weights + change, 0)) >= loss(weights) - 1e-9
    assert loss(weights) < loss(np.full(3, 1 / 3)) - 0.01


def test_the_ensemble_predicts_with_all_its_members(members, together):
    path, said = together
    opened, runs = open_any(path), [open_run(member) for member in members[:2]]
    source = split_source(runs[0].config)
    texts, labels = list(source.validation.texts), np.array(source.validation.labels)
    baseline = WeightedNgrams().fit(list(source.train.texts), source.train.labels).log_odds(texts)
    odds = [np.diff(logs_over(run, texts, batch_mesh(1)))[:, 0] for run in runs]
    expected = np.tensordot(json.loads((path / "config.json").read_text())["weights"], [*odds, baseline], 1)
    logs = logs_over(opened, texts, batch_mesh(1))
    np.testing.assert_allclose(np.diff(logs)[:, 0], expected, rtol=1e-9, atol=1e-9)
    (final,) = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    accuracy = np.mean((expected > 0) == labels)
    assert final["accuracy"] == pytest.approx(accuracy)
    assert f"these rows, with the weights that the other half chose: {final['two_fold_accuracy']:.4f}" in said
    losses = [np.mean(np.logaddexp(0, -(2 * labels - 1) * own)) for own in (*odds, baseline)]
    assert final["loss"] < min(losses)
    for name, loss in zip(("one", "two", "baseline"), losses, strict=True):
        assert [line.split()[-1] for line in said.splitlines() if line.startswith(name)] == [f"{loss:.4f}"]


def test_the_commands_of_a_run_take_an_ensemble(together, tmp_path, capsys):
    path, said = together
    sentiment.main(["evaluate", str(path), *TWO, "--errors", "1", "--figures", str(tmp_path / "figures")])
    out = capsys.readouterr().out
    assert out.split("\n\n")[0].splitlines()[-1] in said  # the line of scores
    sentiment.main(["predict", str(path), "lovely film", "--trace"])
    line, trace, _ = capsys.readouterr().out.splitlines()
    assert line.startswith("1\t")
    assert trace.split()[-1] == f"{float(line.split('1=')[1].split()[0]):.2f}"
    sentiment.main(["predict", str(path), "lovely film", "--figures", str(tmp_path / "more")])
    assert [file.name for file in (tmp_path / "more").iterdir()] == ["text_1_verdict.png"]


def test_equal_weights_and_stars(tmp_path, capsys):
    stars = write_stars(tmp_path / "stars.csv", 150)
    runs = [trained_run(tmp_path / str(seed), stars, seed, "--data-seed", "0") for seed in (1, 2)]
    capsys.readouterr()
    sentiment.main(["ensemble", *map(str, runs), "--equal", "--run-folder", str(tmp_path / "both"), *TWO])
    assert "the other half chose" not in capsys.readouterr().out
    opened = open_ensemble(tmp_path / "both")
    np.testing.assert_array_equal(opened.weights, [0.5, 0.5])
    texts = ["a vile film", "superb", ""]
    shares = [np.exp(logs_over(open_run(run), texts, batch_mesh(1))) for run in runs]
    expected = np.sqrt(shares[0] * shares[1])
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(logs_over(opened, texts, batch_mesh(1))), expected, rtol=1e-9)


def test_runs_that_do_not_belong_together_are_one_line(members, tmp_path, capsys):
    one, _, other = map(str, members)
    end = ["--run-folder", str(tmp_path / "new"), *TWO]
    for runs, expected in {
        (one, other): "runs: expected the same classes and hold-out for all (train with the same --data-seed), got",
        (one,): "runs: expected at least two, or one and the baseline, got 1",
        ("--baseline",): "runs: expected at least two, or one and the baseline, got 0",
        (one, str(tmp_path / "none")): "run folder: expected",
    }.items():
        assert expected in complaint_of(sentiment, capsys, "ensemble", *runs, *end)[1]
    assert not (tmp_path / "new").exists()


def test_a_changed_ensemble_or_member_is_one_line(members, tmp_path, capsys):
    runs = [shutil.copytree(member, tmp_path / member.name) for member in members[:2]]
    path = tmp_path / "all"
    sentiment.main(["ensemble", *map(str, runs), "--baseline", "--run-folder", str(path), *TWO])

    def complaint():
        return complaint_of(sentiment, capsys, "predict", path, "a film")[1]

    def restored(file, change, expected):
        before = file.read_bytes()
        change(file)
        assert expected in complaint()
        file.write_bytes(before)

    config, baseline = path / "config.json", path / "baseline.json"
    for weights in ([1.0, 1.0], [1.0, 1.0, -1.0], [1.0, 1.0, "1"], [1.0, 1.0, 1e300]):
        restored(
            config, lambda file, w=weights: change_object(file, weights=w), "expected 3 weights of at least 0, got"
        )
    restored(config, lambda file: change_object(file, members=["a"] * 3), "members that it was made of, got others")
    words = json.loads(baseline.read_text())
    for change, expected in {
        "weights": "expected an object of weights, got '3'",
        "biases": "expected 1 numbers for 'biases', got '3'",
        "longest": "expected longest of 1 to 100, got '3.5'",
    }.items():
        value = 3.5 if change == "longest" else 3
        text = json.dumps({**words, change: value})
        restored(baseline, lambda file, text=text: file.write_text(text), expected)
    restored(baseline, lambda file: file.write_text("[]"), "expected longest, biases and weights, got '[]'")
    lighter = {**words, "biases": [words["biases"][0] + 1]}
    restored(baseline, lambda file: file.write_text(json.dumps(lighter)), "got others: baseline.json")
    shutil.rmtree(runs[1])
    assert "run folder: expected" in complaint()
    shutil.copytree(members[0], runs[1])
    assert f"got others: {runs[1]}" in complaint()
