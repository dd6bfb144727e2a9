"""Runs that are stopped and gone on with, at the command line: the same numbers, or one line that says why not."""

import functools
import json
import os
import re
import shutil
import warnings

import jax
import numpy as np
import pytest
from small_runs import SMALL, STOPPED_AT, TWO, act_after, checkpoints, complaint, end_of, files, lines, read, terminate
from tiny_reviews import write_reviews

from experiments import next_word, sentiment
from rnnjax.commands import run
from rnnjax.training import RunFolder

pytestmark = pytest.mark.usefixtures("quick_runs")

# What a stopped run leaves, and going on with it


def test_a_stopped_run_says_how_to_go_on(stopped_run):
    path, status, error = stopped_run
    assert status == 143
    # One step was under way, and the next one was on its way to the devices.
    step = int(re.findall(r"after step (\d+)", error)[0])
    assert step in (STOPPED_AT + 1, STOPPED_AT + 2)
    told = f"stopped by SIGTERM after step {step}; go on with: python -m experiments.sentiment --resume '{path}'"
    assert error == f"experiments.sentiment: {told}\n"
    assert checkpoints(path)[-1] == f"epoch001-step{step:08d}"
    found = read(path, "status.json")
    assert (found["status"], found["step"]) == ("stopped", step)
    assert [line["step"] for line in lines(path) if line["kind"] == "step"] == list(range(1, step + 1))


def test_a_resumed_run_is_as_if_it_had_never_been_stopped(stopped, unbroken, capsys):
    sentiment.main(["--resume", str(stopped), *TWO])
    out = capsys.readouterr().out
    assert re.search(r"^step (9|10), 1 epochs and [34] batches: goes on from there$", out, re.MULTILINE)
    found = lines(stopped)
    assert found == lines(unbroken)
    assert [line["step"] for line in found if line["kind"] == "step"] == list(range(1, 19))
    assert [line["epoch"] for line in found if line["kind"] == "epoch"] == [1, 2, 3]
    assert [line["kind"] for line in found].count("final") == 1
    for name in ("config.json", "vocabulary.json"):
        assert (stopped / name).read_bytes() == (unbroken / name).read_bytes()
    # The last checkpoint has parameters, moments, the step and the key: all of them the same bits.
    last = checkpoints(unbroken)[-1]
    assert checkpoints(stopped) == checkpoints(unbroken)
    assert read(stopped / "checkpoints" / last, "position.json") == read(
        unbroken / "checkpoints" / last, "position.json"
    )
    status = read(stopped, "status.json")
    assert (status["status"], status["step"], status["message"]) == ("finished", 18, "")
    (resumed,) = read(stopped, "environment.json")["resumed"]
    assert resumed["step"] in (9, 10)
    assert resumed["versions"]["jax"] == jax.__version__
    events = sorted((stopped / "tensorboard").iterdir())
    assert len(events) == 2
    assert all(b"train/loss" in file.read_bytes() for file in events)


def test_it_may_be_stopped_again(stopped, unbroken):
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, 14, terminate)
        assert end_of(sentiment, "--resume", stopped, *TWO) == 143
    sentiment.main(["--resume", str(stopped), *TWO])
    assert lines(stopped) == lines(unbroken)
    assert len(read(stopped, "environment.json")["resumed"]) == 2
    # What is finished can be gone on with, too: nothing is left to train.
    sentiment.main(["--resume", str(stopped), *TWO])
    assert lines(stopped) == lines(unbroken)


def test_more_epochs_train_on(tmp_path, unbroken, capsys):
    path = shutil.copytree(unbroken, tmp_path / "run")
    sentiment.main(["--resume", str(path), "--epochs", "4", *TWO])
    found = lines(path)
    assert [line["epoch"] for line in found if line["kind"] == "epoch"] == [1, 2, 3, 4]
    assert [line for line in found if line["kind"] == "step"][:18] == [
        line for line in lines(unbroken) if line["kind"] == "step"
    ]
    assert read(path, "config.json")["epochs"] == 4


def test_the_newest_run_of_a_config_is_found(tmp_path, stopped_run, reviews, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    again = ["smoke", *SMALL, *TWO, "--source", str(reviews), "--resume"]
    status, error = complaint(capsys, *again)
    assert (status, error) == (
        1,
        "experiments.sentiment: resume: expected a run of this config under runs, found none\n",
    )
    older, newer, other = (shutil.copytree(stopped_run[0], tmp_path / "runs" / name) for name in ("z", "a", "other"))
    (other / "config.json").write_text(json.dumps({**read(other, "config.json"), "hidden": 5}))
    (tmp_path / "runs" / "nothing").mkdir()
    for seconds, path in enumerate((older, newer, other)):
        for file in path.rglob("*"):
            os.utime(file, (1e9 + seconds, 1e9 + seconds))
    os.utime(older / "lock")  # somebody listed the runs
    sentiment.main(again)
    assert read(newer, "status.json")["status"] == "finished"
    assert read(older, "status.json")["status"] == "stopped"


def test_a_damaged_checkpoint_is_one_line_of_warning(stopped, unbroken, capsys):
    newest = stopped / "checkpoints" / checkpoints(stopped)[-1]
    (newest / "position.json").write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        run(sentiment.PROGRAM, functools.partial(sentiment.main, ["--resume", str(stopped), *TWO]))
    error = capsys.readouterr().err
    assert error.startswith(
        f"experiments.sentiment: warning: damaged checkpoint, the one before it is used: {newest}/position.json: "
    )
    assert error.count("\n") == 1
    assert lines(stopped) == lines(unbroken)
    assert f"damaged-{newest.name}" in checkpoints(stopped)


# What is refused


def other_source(path, tmp_path):
    source = write_reviews(tmp_path / "other.csv", seed=7)
    (path / "config.json").write_text(json.dumps({**read(path, "config.json"), "source": str(source)}))


def other_study(path, tmp_path):
    (path / "config.json").write_text(json.dumps({**read(path, "config.json"), "experiment": "sentiment-predict"}))


def other_vocabulary(path, tmp_path):
    vocabulary = read(path, "vocabulary.json")
    words = vocabulary["model"]["vocab"]
    two, three = (next(word for word, index in words.items() if index == i) for i in (2, 3))
    words[two], words[three] = 3, 2
    (path / "vocabulary.json").write_text(json.dumps(vocabulary))


def earlier_version(path, tmp_path):
    config = read(path, "config.json")
    for name in ("patience", "skip", "fingerprint", "state_dropout", "weight_dropout", "zoneout"):
        del config[name]
    (path / "config.json").write_text(json.dumps({**config, "devices": 2, "run_folder": None}))
    (path / "checkpoints").rename(path / "checkpoint")


def no_checkpoint(path, tmp_path):
    shutil.rmtree(path / "checkpoints")
    (path / "checkpoints").mkdir()


REFUSED = {
    "field": (None, ["--hidden", "9", "--seed", "5"], "hidden was 4 and is 9; seed was 0 and is 5"),
    "run folder": (None, ["--run-folder", "other"], "run_folder: expected none with --resume"),
    "source": (other_source, [], r"fingerprint was '\w+' and is '\w+'\n"),
    "study": (other_study, [], "expected a run of experiments.sentiment, got one of 'sentiment-predict'"),
    "vocabulary": (other_vocabulary, [], r"vocabulary\.json: expected the vocabulary of this data, got another one"),
    "earlier version": (earlier_version, [], "expected checkpoints to go on from, found none"),
    "no checkpoint": (no_checkpoint, [], "expected checkpoints to go on from, found none"),
}


@pytest.mark.parametrize(("change", "arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_gone_on_with_is_refused(change, arguments, message, stopped, tmp_path, capsys):
    if change is not None:
        change(stopped, tmp_path)
    before = files(stopped)
    status, error = complaint(capsys, "--resume", stopped, *TWO, *arguments)
    assert status == (2 if "--run-folder" in arguments else 1)
    assert re.search(message, error), error
    assert files(stopped) == before


def test_another_preset_is_refused(stopped, reviews, capsys):
    status, error = complaint(capsys, "lstm", *SMALL, *TWO, "--source", reviews, "--resume", stopped)
    assert status == 1
    assert "experiment was 'sentiment-smoke' and is 'sentiment-lstm'; vocabulary was 1000 and is 10000" in error


def test_a_run_in_use_is_refused(stopped, capsys, monkeypatch):
    monkeypatch.setattr("rnnjax.training.run_folder.LOCK_SECONDS", 0.05)
    before = files(stopped)
    with RunFolder(stopped).lock():
        status, error = complaint(capsys, "--resume", stopped, *TWO)
    assert status == 1
    assert error == f"experiments.sentiment: {stopped}: expected a run that nobody else works on, got one in use\n"
    assert files(stopped) == before


def test_what_is_no_run_is_refused(tmp_path, capsys):
    for path in (tmp_path, tmp_path / "nowhere"):
        status, error = complaint(capsys, "--resume", path)
        assert (status, error) == (
            1,
            f"experiments.sentiment: run folder: expected config.json in {path}, found none\n",
        )


# The next word


def test_a_text_study_goes_on_too(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, and " * 30, encoding="utf-8")
    options = ["--hidden", "4", "--embedding", "4", "--steps", "5", "--batch-size", "8", "--vocabulary", "20"]
    begin = ["text", text, *options, "--epochs", "2", "--cell", "elman", *TWO, "--run-folder"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    next_word.main([*map(str, begin), str(whole)])
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, 3, terminate)
        status, error = complaint(capsys, *begin, broken, program=next_word)
    assert status == 143
    assert f"; go on with: python -m experiments.next_word text --resume {broken}" in error
    error = complaint(capsys, "text", "--resume", broken, "--hidden", "5", program=next_word)[1]
    assert "hidden was 4 and is 5" in error
    next_word.main(["text", "--resume", str(broken), *TWO])
    assert lines(broken) == lines(whole)
    last = [line for line in lines(broken) if line["kind"] == "epoch"][-1]
    np.testing.assert_allclose(last["perplexity"], np.exp(last["validation_loss"]))
