"""The restaurant study on a small file: three models over the same folds, and what is said of them."""

import json
import sys
from typing import Any

import jax
import numpy as np
import pytest
from matplotlib.image import imread
from tiny_reviews import BAD, FILLER, GOOD

from experiments.restaurant import __main__ as restaurant
from experiments.restaurant import study
from experiments.restaurant.bag_of_words import bag_of_words
from experiments.restaurant.networks import Restaurant, entrants, read
from experiments.restaurant.study import Outcome, outcome, score_table, verdict
from rnnjax.commands import run
from rnnjax.data import LabelledTexts
from rnnjax.training.cross_validation import stratified_folds

TINY = ["--folds", "2", "--proper-epochs", "8", "--epochs", "8", "--batch-size", "8", "--hidden", "8", "--devices", "2"]
TINY += ["--longest", "4"]


def write_sentences(path, rows=60):
    random = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in range(rows):
            words = [*random.choice(FILLER, 3), str(random.choice((BAD, GOOD)[row % 2]))]
            file.write(f'{" ".join(words)}\x85 "yes"\t{row % 2}\n')
    return str(path)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    return write_sentences(tmp_path_factory.mktemp("data") / "sentences.txt")


def test_three_models_are_compared(sentences, tmp_path, capsys):
    folder = tmp_path / "run"
    restaurant.main([sentences, *TINY, "--run-folder", str(folder)])
    out = capsys.readouterr().out
    assert "60 sentences, 50.0% of class '1'" in out
    assert 'the 15 most frequent: "yes" 60, ' in out
    for words in ("one sigmoid unit", "bidirectional GRU", "bag of words", "the test rows of each fold", "wrong +"):
        assert words in out
    assert len([line for line in out.splitlines() if "accuracy for the network" in line]) == 2
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    score, lines = lines[-1], [line for line in lines if line["kind"] == "outcome"]
    assert [len(line["accuracies"]) for line in lines] == [2, 2, 2]
    assert score["accuracy"] == np.mean(lines[1]["accuracies"])
    assert np.mean(lines[1]["accuracies"]) > 0.9
    assert imread(folder / "figures" / "fold_accuracies.png").std() > 0.02
    assert json.loads((folder / "config.json").read_text())["epochs"] == 8


@pytest.fixture
def competed(monkeypatch):
    """The folds that models are asked to compete on; two of them answer, of three."""
    seen = []

    def compete(texts, folds, options):
        seen.extend(folds)
        return [Outcome(name, errors_of(1, 2), 1.0) for name in ("one sigmoid unit", "bidirectional GRU")]

    monkeypatch.setattr(study, "compete", compete)
    return seen


def test_settings_are_chosen_on_training_rows(sentences, tmp_path, capsys, competed):
    restaurant.main([sentences, *TINY, "--choose", "--run-folder", str(tmp_path / "run")])
    assert "tested on a part of the training rows of each fold" in capsys.readouterr().out
    assert [len(fold.train) + len(fold.test) for fold in competed] == [30, 30]


@pytest.mark.usefixtures("competed")
def test_without_scikit_learn_the_missing_row_says_so(sentences, tmp_path, capsys, monkeypatch):
    restaurant.main([sentences, *TINY, "--run-folder", str(tmp_path / "run")])
    assert "bag of words: expected sklearn, not installed: pip install 'rnnjax[baselines]'" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"bag of words: expected sklearn.*, not installed: .*rnnjax\[baselines\]'"
    ):
        bag_of_words(["a"], np.zeros(1), [])


def test_the_classic_vocabulary_and_padding():
    texts = LabelledTexts(["b a b", "a b c", "c unseen", "b b a a c d"], [0, 1, 0, 1])
    folds = [stratified_folds(np.array([0, 1, 0, 1]), 2, 0)[0]._replace(train=np.array([0, 1, 3]), test=np.array([2]))]
    classic, proper = entrants(Restaurant("x", longest=4))
    data = read(texts, folds, classic)
    # b five times, a four, c two, d one, and 0; the rows that train are 0, 1 and 3.
    assert data.vocabulary == 5
    np.testing.assert_array_equal(data.train.inputs[0], [[0, 1, 2, 1], [0, 2, 1, 3], [2, 2, 3, 4]])
    np.testing.assert_array_equal(data.test.inputs[0], [[0, 0, 0, 3]])
    other = read(texts, folds, entrants(Restaurant("x", longest=4, pad="end", cut="end"))[0])
    np.testing.assert_array_equal(other.train.inputs[0], [[1, 2, 1, 0], [2, 1, 3, 0], [1, 1, 2, 2]])
    whole = read(texts, folds, proper)
    np.testing.assert_array_equal(whole.test.inputs[0], [[4, 1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(whole.test.lengths[0], [2])


def test_one_unit_starts_without_memory():
    model = entrants(Restaurant("x"))[0].model(7)
    params: Any = model.init(jax.random.key(0), np.zeros((1, 10), np.int32))["params"]
    assert jax.tree.map(np.shape, params["recurrent"]["cell"]) == {
        "input": {"kernel": (64, 1), "bias": (1,)},
        "recurrent": {"kernel": (1, 1)},
    }
    assert params["recurrent"]["cell"]["recurrent"]["kernel"].item() == 0
    tokens = np.array([[1, 2, 3], [4, 5, 3]])
    one, other = np.asarray(model.apply({"params": params}, tokens))
    cell = params["recurrent"]["cell"]["input"]
    want = params["embedding"]["embedding"][3] @ cell["kernel"][:, 0] + cell["bias"][0]
    np.testing.assert_allclose([one, other], [want, want], rtol=1e-4, atol=1e-7)


def test_outcomes_count_wrong_positives_and_negatives():
    labels = np.array([1, 0, 0, 1])
    folds = [stratified_folds(labels, 2, 0)[0]._replace(test=np.array(rows)) for rows in ([0, 1], [2, 3])]
    # The third logit of the first fold only fills up.
    result = outcome("net", [np.array([2.0, 1.0, -9.0]), np.array([-1.0, -1.0])], labels, folds, 0.0)
    np.testing.assert_array_equal(np.concatenate(result.errors), [0, 1, 0, -1])
    np.testing.assert_array_equal(result.accuracies, [0.5, 0.5])
    row = score_table([result._replace(seconds=1.0)]).splitlines()[-1]
    assert row.split() == ["net", "0.500", "0.000", "0.50", "to", "0.50", "0.250", "0.250", "+0.000", "1.0"]


def errors_of(*wrong):
    return [np.array([1] * count + [0] * (10 - count)) for count in wrong]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ((3, 3), "The bag of words beats the net: -0.150 accuracy for the network (standard error over folds 0.050"),
        ((0, 1), "The net beats the bag of words: +0.100 "),
        ((1, 2), "The net and the bag of words tie: +0.000 "),
    ],
)
def test_the_verdict_says_which_is_better(wrong, words):
    assert words in verdict(Outcome("net", errors_of(*wrong), 0), Outcome("bag of words", errors_of(1, 2), 0))


BAD_FILES = {
    "no tab": ("good food 1\n", "line 1: expected a text, a tab and a label, got 'good food 1'"),
    "no label": ("good\t1\nbad\t\nfair\t0\n", "row 2: expected a label of ['0', '1'] in column 'label', got ''"),
    "three classes": ("a\t0\nb\t1\nc\t2\n", "expected two classes, got 3: 0, 1, 2"),
    "few rows": ("a\t0\nb\t1\nc\t1\n", "folds: expected 2 to 1, the rows of the rarest class, got 10"),
}


def test_a_source_that_is_no_file_is_one_line(capsys):
    for name in ("nowhere.txt", "reviews"):
        with pytest.raises(SystemExit):
            run("restaurant", lambda name=name: restaurant.main([name, "--devices", "2"]))
        assert capsys.readouterr().err == f"restaurant: source: expected a file, got {name}\n"


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_input_is_one_line(content, message, tmp_path, capsys):
    (tmp_path / "sentences.txt").write_text(content)
    with pytest.raises(SystemExit) as stop:
        run("restaurant", lambda: restaurant.main([str(tmp_path / "sentences.txt"), "--devices", "2"]))
    error = capsys.readouterr().err
    assert stop.value.code == 1
    assert error.count("\n") == 1
    assert message in error
