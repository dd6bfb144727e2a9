"""Runs that cannot be gone on with: one line that says why not, and nothing of them has changed."""

import json
import re
import shutil

import pytest
from complaints import complaint_of
from resealed import change_object
from small_runs import SMALL, TWO, files, read
from tiny_reviews import write_reviews

from experiments.sentiment import __main__ as sentiment
from rnnjax.runs import RunFolder

pytestmark = pytest.mark.usefixtures("quick_runs")


def other_source(path, tmp_path):
    source = write_reviews(tmp_path / "other.csv", seed=7)
    change_object(path / "config.json", source=str(source))


def other_study(path, tmp_path):
    change_object(path / "config.json", experiment="sentiment-predict")


def other_vocabulary(path, tmp_path):
    vocabulary = read(path, "vocabulary.json")
    words = vocabulary["model"]["vocab"]
    two, three = (next(word for word, index in words.items() if index == i) for i in (2, 3))
    words[two], words[three] = 3, 2
    (path / "vocabulary.json").write_text(json.dumps(vocabulary))


def no_checkpoint(path, tmp_path):
    shutil.rmtree(path / "checkpoints")
    (path / "checkpoints").mkdir()


REFUSED = {
    "field": (None, ["--hidden", "9", "--seed", "5"], "seed was 0 and is 5; hidden was 4 and is 9"),
    "run folder": (None, ["--run-folder", "other"], "^experiments.sentiment: run_folder: expected none with --resume"),
    "source": (other_source, [], "got another: the held-out part has changed; the data has changed\n"),
    "study": (other_study, [], "expected a run of experiments.sentiment, got one of 'sentiment-predict'"),
    "vocabulary": (other_vocabulary, [], r"vocabulary\.json: expected the vocabulary of this data, got another one"),
    "no checkpoint": (no_checkpoint, [], "expected checkpoints to resume from, found none"),
}


@pytest.mark.parametrize(("change", "arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_gone_on_with_is_refused(change, arguments, message, stopped, tmp_path, capsys):
    if change is not None:
        change(stopped, tmp_path)
    before = files(stopped)
    status, error = complaint_of(sentiment, capsys, "--resume", stopped, *TWO, *arguments)
    assert status == (2 if "--run-folder" in arguments else 1)
    assert re.search(message, error), error
    assert files(stopped) == before


def test_another_preset_is_refused(stopped, reviews, capsys):
    status, error = complaint_of(sentiment, capsys, "lstm", *SMALL, *TWO, "--source", reviews, "--resume", stopped)
    assert status == 1
    assert "experiment was 'sentiment-smoke' and is 'sentiment-lstm'; vocabulary was 1000 and is 10000" in error


def test_a_run_in_use_is_refused(stopped, capsys, monkeypatch):
    monkeypatch.setattr("rnnjax.runs.folder.LOCK_SECONDS", 0.05)
    before = files(stopped)
    with RunFolder(stopped).lock():
        status, error = complaint_of(sentiment, capsys, "--resume", stopped, *TWO)
    assert status == 1
    assert error == f"experiments.sentiment: {stopped}: expected a run that no other process uses, got one in use\n"
    assert files(stopped) == before


def test_what_is_no_run_is_refused(tmp_path, capsys):
    for path in (tmp_path, tmp_path / "nowhere"):
        status, error = complaint_of(sentiment, capsys, "--resume", path)
        assert (status, error) == (
            1,
            f"experiments.sentiment: run folder: expected config.json in {path}, found none\n",
        )


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("environment.json", {"resumed": 3}, r"environment\.json: resumed: expected a list, got int"),
        ("environment.json", "[", r"environment\.json: expected JSON, got"),
        ("config.json", {"execution": 3}, r"config\.json: execution: expected an object, got 3"),
        ("config.json", {"execution": {"keep": "all"}}, r"config\.json: keep: expected int or nothing, got 'all'"),
        ("config.json", {"execution": {"tensorboard": 3}}, r"config\.json: tensorboard: expected bool, got 3"),
        ("config.json", {"epochs": "3"}, r"config\.json: epochs: expected int, got '3'"),
        ("status.json", None, r"status\.json: expected a file"),
    ],
)
def test_what_is_damaged_is_refused_and_left_alone(file, text, message, unbroken, tmp_path, capsys):
    path = shutil.copytree(unbroken, tmp_path / "run")
    if text is None:
        (path / file).unlink()
        (path / file).mkdir()
    elif isinstance(text, str):
        (path / file).write_text(text)
    else:
        change_object(path / file, **text)
    before = files(path)
    status, error = complaint_of(sentiment, capsys, "--resume", path, *TWO)
    assert status == 1
    assert re.search(message, error), error
    assert files(path) == before


def test_fewer_epochs_than_are_done_are_refused(unbroken, tmp_path, capsys):
    path = shutil.copytree(unbroken, tmp_path / "run")
    before = files(path)
    status, error = complaint_of(sentiment, capsys, "--resume", path, "--epochs", "2", *TWO)
    assert (status, error) == (
        1,
        "experiments.sentiment: epochs: expected at least 3 (already done), got 2\n",
    )
    assert files(path) == before
