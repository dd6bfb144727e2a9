"""Runs that are stopped and gone on with, at the command line: the same numbers, or one line that says why not."""

import contextlib
import functools
import os
import re
import shutil
import warnings

import jax
import numpy as np
import pytest
from complaints import complaint_of, end_of
from matplotlib.figure import Figure
from resealed import change_object
from small_runs import SMALL, STOPPED_AT, TWO, act_after, checkpoints, lines, new, read, terminate

from experiments.next_word import __main__ as next_word
from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import train as training
from rnnjax.commands import run

pytestmark = pytest.mark.usefixtures("quick_runs")

# What a stopped run leaves, and going on with it


def test_a_stopped_run_says_how_to_go_on(stopped_run):
    path, status, error = stopped_run
    assert status == 143
    # One step was under way, and the next one was on its way to the devices.
    step = int(re.findall(r"after step (\d+)", error)[0])
    assert step in (STOPPED_AT + 1, STOPPED_AT + 2)
    told = f"stopped by SIGTERM after step {step}; resume with: python -m experiments.sentiment --resume '{path}'"
    assert error == f"experiments.sentiment: {told}\n"
    assert checkpoints(path)[-1] == f"epoch001-step{step:08d}"
    found = read(path, "status.json")
    assert (found["status"], found["step"]) == ("stopped", step)
    assert [line["step"] for line in lines(path) if line["kind"] == "step"] == list(range(1, step + 1))


def test_a_resumed_run_is_as_if_it_had_never_been_stopped(stopped, unbroken, capsys):
    sentiment.main(["--resume", str(stopped), *TWO])
    out = capsys.readouterr().out
    assert re.search(r"^step (9|10), 1 epochs and [34] batches: resumes from there$", out, re.MULTILINE)
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


@pytest.mark.parametrize(
    "left",
    [
        pytest.param('{"kind": "st', marks=pytest.mark.slow),
        '{"kind": "step", "step": 11, "loss": 1.0}\n',
        pytest.param("\n\x00", marks=pytest.mark.slow),
    ],
)
def test_what_a_killed_run_wrote_after_its_checkpoint_is_written_again(left, stopped, unbroken):
    with (stopped / "metrics.jsonl").open("a") as opened:
        opened.write(left)
    sentiment.main(["--resume", str(stopped), *TWO])
    assert lines(stopped) == lines(unbroken)


@pytest.mark.slow
def test_it_may_be_stopped_again(stopped, unbroken):
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, 14, terminate)
        assert end_of(sentiment, "--resume", stopped, *TWO) == 143
    sentiment.main(["--resume", str(stopped), *TWO])
    assert lines(stopped) == lines(unbroken)
    assert len(read(stopped, "environment.json")["resumed"]) == 2
    # A finished run can be resumed, too: all epochs are done.
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
    status, error = complaint_of(sentiment, capsys, *again)
    assert (status, error) == (
        1,
        "experiments.sentiment: resume: expected a run of this config under runs, found none\n",
    )
    older, newer, other = (shutil.copytree(stopped_run[0], tmp_path / "runs" / name) for name in ("z", "a", "other"))
    change_object(other / "config.json", hidden=5)
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
    assert error.startswith(f"experiments.sentiment: warning: damaged checkpoint, ignored: {newest}/position.json: ")
    assert error.count("\n") == 1
    assert lines(stopped) == lines(unbroken)
    assert f"damaged-{newest.name}" in checkpoints(stopped)


# The next word


@pytest.mark.slow
def test_a_text_study_goes_on_too(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, and " * 30, encoding="utf-8")
    options = ["--hidden", "4", "--embedding", "4", "--steps", "5", "--batch-size", "8", "--vocabulary", "20"]
    begin = ["text", text, *options, "--epochs", "2", "--cell", "elman", *TWO, "--run-folder"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    next_word.main([*map(str, begin), str(whole)])
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, 3, terminate)
        status, error = complaint_of(next_word, capsys, *begin, broken)
    assert status == 143
    assert f"; resume with: python -m experiments.next_word text --resume {broken}" in error
    error = complaint_of(next_word, capsys, "text", "--resume", broken, "--hidden", "5")[1]
    assert "hidden was 4 and is 5" in error
    next_word.main(["text", "--resume", str(broken), *TWO])
    assert lines(broken) == lines(whole)
    last = [line for line in lines(broken) if line["kind"] == "epoch"][-1]
    np.testing.assert_allclose(last["validation_perplexity"], np.exp(last["validation_loss"]))


# What a resumed run finds


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_begins(stopped, unbroken, capsys):
    shutil.rmtree(stopped / "checkpoints")
    (stopped / "metrics.jsonl").unlink()
    sentiment.main(["--resume", str(stopped), *TWO])
    assert "step 0, 0 epochs: the run was stopped before its first step, and starts" in (capsys.readouterr().out)
    assert lines(stopped) == lines(unbroken)


@pytest.mark.slow
def test_options_of_how_a_run_is_carried_out_are_kept(tmp_path, reviews, unbroken):
    path = tmp_path / "run"
    asked = ["--keep", "9", "--checkpoint-steps", "4", "--no-tensorboard"]
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, STOPPED_AT, terminate)
        assert end_of(sentiment, *new(reviews, path, *asked)) == 143
    assert read(path, "config.json")["execution"] == {
        "checkpoint_minutes": 10.0,
        "checkpoint_steps": 4,
        "keep": 9,
        "tensorboard": False,
        "histograms": None,
    }
    shutil.copytree(path, tmp_path / "other")
    sentiment.main(["--resume", str(path), *TWO])
    steps = [int(name[-8:]) for name in checkpoints(path)]
    assert steps[:3] == [0, 4, 6]
    assert len(steps) >= 7  # and one more where it was not stopped at one that was due
    assert not (path / "tensorboard").exists()
    sentiment.main(["--resume", str(tmp_path / "other"), "--keep", "1", *TWO])
    assert len(checkpoints(tmp_path / "other")) <= 2
    assert lines(path) == lines(tmp_path / "other") == lines(unbroken)


def no_metrics(path):
    (path / "metrics.jsonl").unlink()


def no_environment(path):
    (path / "environment.json").unlink()


def no_figures(path):
    (path / "figures").rmdir()


@pytest.mark.parametrize(
    "damage", [no_metrics, *(pytest.param(damage, marks=pytest.mark.slow) for damage in (no_environment, no_figures))]
)
def test_a_run_goes_on_without_what_it_does_not_need(damage, stopped, unbroken):
    damage(stopped)
    lost = pytest.warns(UserWarning, match=r"metrics\.jsonl: expected the lines before epoch001-step.*, found none$")
    with pytest.MonkeyPatch.context() as patch, lost if damage is no_metrics else contextlib.nullcontext():
        patch.setattr(training, "draw", lambda session, *_: session.log.figure(18, "one", Figure))
        sentiment.main(["--resume", str(stopped), *TWO])
    assert (stopped / "figures" / "one.png").exists()
    assert read(stopped, "status.json")["status"] == "finished"
    wanted = lines(unbroken)[-5:]
    if damage is no_metrics:  # it needs every epoch
        assert 0 < wanted[-1].pop("two_fold_accuracy") < 1
    assert lines(stopped)[-5:] == wanted
    assert len(read(stopped, "environment.json")["resumed"]) == 1
