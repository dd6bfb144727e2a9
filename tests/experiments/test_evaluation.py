"""`evaluate` on two classes and on one to five stars: scores, mistakes with their traces, and figures."""

import contextlib
import csv
import io
import json
import re
import shutil
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from complaints import complaint_of
from matplotlib.image import imread
from resealed import change_config
from small_runs import NETWORK, TWO
from tiny_reviews import write_reviews, write_stars

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import train as training
from experiments.sentiment.data import Loader, read_part, split_source
from experiments.sentiment.evaluation import mistakes
from experiments.sentiment.predictions import logs_over
from experiments.sentiment.tracing import trace_verdicts
from experiments.sentiment.trained import open_run
from rnnjax.class_scores import class_scores, log_probabilities
from rnnjax.training import batch_mesh

metrics: Any = sklearn.metrics  # its annotations leave out values that its documentation has
CLASSES = ["1", "2", "3", "4", "5"]
SIZES = ["--hidden", "12", "--batch-size", "20", "--buckets", "1", "--longest", "20", "--hold-out", "0.3"]
# float32 numbers from batches of other sizes; the largest error measured is 5e-7, of logits up to 8.
TOLERANCE = 5e-6


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    """(The run folder, what was printed) of a training on one to five stars that still makes mistakes."""
    path = tmp_path_factory.mktemp("stars")
    options = ["--source", str(write_stars(path / "stars.csv")), "--run-folder", str(path / "run"), "--epochs", "8"]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.setattr(training, "draw", lambda *_: None)  # a second for each figure
        sentiment.main(["smoke", *NETWORK, *SIZES, "--learning-rate", "0.05", *TWO, *options])
    return path / "run", said.getvalue()


def lines_of(path, kind):
    every = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [line for line in every if line["kind"] == kind]


def held_out(path):
    """The held-out texts of a run, their labels, and the predicted probabilities."""
    trained = open_run(path)
    texts = split_source(trained.config).validation
    return list(texts.texts), np.array(texts.labels), np.exp(logs_over(trained, texts.texts, batch_mesh(1)))


def test_stars_are_learnt_and_scored(stars):
    path, said = stars
    (final,) = lines_of(path, "final")
    _, labels, shares = held_out(path)
    predicted = shares.argmax(axis=1)
    assert json.loads((path / "config.json").read_text())["classes"] == CLASSES
    assert (len(labels), shares.shape[1]) == (60, 5)
    assert 0.5 < final["accuracy"] < 1
    assert final["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert final["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert final["loss"] == pytest.approx(metrics.log_loss(labels, shares), rel=1e-5)
    table = re.search(r"part +accuracy +macro f1 +loss\n.*\nvalidation +(\S+) +(\S+) +(\S+)\n", said)
    assert table is not None
    assert table.groups() == tuple(f"{final[name]:.4f}" for name in ("accuracy", "macro_f1", "loss"))
    assert f"that the other half chose: {final['two_fold_accuracy']:.4f} (epochs " in said


def test_evaluate_has_the_scores_of_every_star(stars, capsys):
    path, _ = stars
    sentiment.main(["evaluate", str(path), *TWO])
    out = capsys.readouterr().out
    _, labels, shares = held_out(path)
    predicted, logs = shares.argmax(axis=1), np.log(shares)
    scores = class_scores(logs, labels)
    names = ("accuracy", "macro_f1", "loss", "brier_score", "calibration_error")
    assert re.search(" +".join(re.escape(f"{scores[name]:.4f}") for name in names), out), out
    for name, *wanted in zip(
        CLASSES, *metrics.precision_recall_fscore_support(labels, predicted, zero_division=0), strict=True
    ):
        *shown, rows = wanted
        assert re.search(rf"^{name} +" + " +".join(f"{value:.4f}" for value in shown) + f" +{rows}$", out, re.M), out
    confusion = metrics.confusion_matrix(labels, predicted)
    assert re.search("^1 +" + " +".join(map(str, confusion[0])) + "$", out, re.M), out


def test_a_star_without_rows_counts_in_the_mean(stars, tmp_path, capsys):
    source = write_reviews(tmp_path / "ends.csv", 40, 3, classes=(1, 5), telling=(["horrid"], ["superb"]))
    sentiment.main(["evaluate", str(stars[0]), "--source", str(source), *TWO])
    out = capsys.readouterr().out
    table = dict(re.findall(r"^([1-5]) +\S+ +\S+ +(\d\.\d{4}) +\d+$", out, re.M))
    assert table.keys() == set(CLASSES)
    assert [table[name] for name in "234"] == ["0.0000"] * 3
    shown = re.search(r"^\d\.\d{4} +(\d\.\d{4}) ", out, re.M)
    assert shown is not None
    assert float(shown[1]) == pytest.approx((float(table["1"]) + float(table["5"])) / 5, abs=1e-4)


def test_stars_are_predicted_and_traced(stars, capsys):
    path, _ = stars
    text = "a superb film with a plot"
    sentiment.main(["predict", str(path), text, "--trace"])
    row, words, turns = capsys.readouterr().out.splitlines()
    predicted, shares, shown = row.split("\t")
    values = {name: float(value) for name, value in (share.split("=") for share in shares.split())}
    assert (list(values), shown, predicted) == (CLASSES, text, max(values, key=lambda name: values[name]))
    assert re.findall(r"(\w+) \d\.\d\d", words) == text.split()
    assert words.endswith(f"plot {values[predicted]:.2f}")
    assert turns.startswith(f"probability of {predicted}; changed by ")
    verdicts = trace_verdicts(open_run(path), text)
    alone = np.exp(logs_over(open_run(path), [text[:end] for _, end in verdicts.spans], batch_mesh(1)))
    np.testing.assert_allclose(verdicts.values, alone[:, int(predicted) - 1], atol=TOLERANCE)


def test_the_most_confident_mistakes_are_listed_and_drawn(stars, tmp_path, capsys):
    path, _ = stars
    folder = tmp_path / "figures"
    sentiment.main(["evaluate", str(path), "--errors", "3", "--figures", str(folder), *TWO])
    out = capsys.readouterr().out
    texts, labels, shares = held_out(path)
    wrong = [row for row in range(60) if shares[row].argmax() != labels[row]]
    wrong.sort(key=lambda row: -shares[row].max())
    assert f"3 of {len(wrong)} mistakes, the most confident first" in out
    shown = out[out.index("mistakes, the") :].split("\n\n")[1:]
    assert len(shown) == 3 < len(wrong)
    for number, (row, lines) in enumerate(zip(wrong, shown, strict=False), start=1):
        head, words, turns = lines.splitlines()
        true, predicted = CLASSES[labels[row]], CLASSES[shares[row].argmax()]
        assert head == (
            f"{number}. true {true}, predicted {predicted} with probability {shares[row].max():.4f}: {texts[row]}"
        )
        assert re.findall(r"(\w+) \d\.\d\d", words) == texts[row].split()
        assert words.endswith(f" {shares[row].max():.2f}")
        assert turns.startswith(f"probability of {predicted}; changed by ")
    names = ["mistake_1_verdict.png", "mistake_2_verdict.png", "mistake_3_verdict.png", "reliability.png"]
    assert sorted(file.name for file in folder.iterdir()) == names
    assert all(imread(folder / name).std() > 0.02 for name in names)


def test_mistakes_are_sorted_by_the_probability_of_the_predicted_class():
    logs = log_probabilities(np.array([3.0, -1.0, 0.5, -4.0, 2.0, -0.2]))
    assert mistakes(logs, np.array([0, 0, 0, 1, 1, 1])).tolist() == [3, 0, 2, 5]
    assert mistakes(logs, logs.argmax(axis=1)).tolist() == []


def test_a_text_of_a_stranger_is_printed_as_text(run_folder, tmp_path, capsys):
    path = tmp_path / "strange.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        text = "\x1b[31mred\u202e\nline " + "lovely word " * 20
        csv.writer(file).writerows([("text", "label"), (text, 0), ("lovely", 1), ("\x9b!!", 1)])
    sentiment.main(["evaluate", str(run_folder), "--source", str(path), "--errors", "9", *TWO])
    out = capsys.readouterr().out
    assert not [letter for letter in out if letter in "\x1b\x9b\u202e"]
    (head,) = [line for line in out.splitlines() if "true 0, predicted 1" in line]
    assert head.endswith(f": ␛[31mred� line {'lovely word ' * 20}"[:82] + "...")


def test_one_device_and_two_give_the_same_logits(stars):
    trained = open_run(stars[0])
    texts = split_source(trained.config).validation
    one, two = (logs_over(trained, texts.texts, batch_mesh(devices)) for devices in (1, 2))
    np.testing.assert_allclose(one, two, rtol=TOLERANCE, atol=TOLERANCE)
    part = read_part(trained.tokenizer, texts, trained.config)
    batch = next(Loader(trained.config, part.read, 1).batches(part))
    alone: Any = trained.model.apply({"params": trained.params}, batch.inputs, batch.lengths)
    np.testing.assert_allclose(one[:20], log_probabilities(alone), rtol=TOLERANCE, atol=TOLERANCE)


def test_bad_options_of_evaluate_are_one_line(stars, tmp_path, capsys):
    path, _ = stars
    status, error = complaint_of(sentiment, capsys, "evaluate", path, "--errors", "-1")
    assert (status, "errors: expected at least 0, got -1" in error) == (2, True), error
    (tmp_path / "there").write_text("")
    status, error = complaint_of(sentiment, capsys, "evaluate", path, "--figures", tmp_path / "there", *TWO)
    assert (status, f"figures: expected a new path, got {tmp_path / 'there'}, which exists" in error) == (1, True), (
        error
    )
    other = shutil.copytree(path, tmp_path / "reversed")
    change_config(other, word_order="reversed")
    status, error = complaint_of(sentiment, capsys, "evaluate", other, "--errors", "1", *TWO)
    assert (status, "trace: expected a run that reads words in their true order, got" in error) == (1, True), error
    assert not capsys.readouterr().out
