"""SIGTERM and Ctrl-C wherever they come: before the run folder, in the final evaluation, twice."""

import contextlib
import os
import re
import signal
import time

import pytest
from complaints import complaint_of, end_of
from small_runs import TWO, act_after, lines, new, read, terminate

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import train as training
from rnnjax.runs import RunFolder
from rnnjax.training import Interrupted, StopSignals, interruption

pytestmark = pytest.mark.usefixtures("quick_runs")


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("act", "number"),
    [(terminate, signal.SIGTERM), pytest.param(press_ctrl_c, signal.SIGINT, marks=pytest.mark.slow)],
)
def test_a_signal_in_the_final_evaluation_stops_the_run(act, number, tmp_path, reviews, unbroken, capsys, monkeypatch):
    path = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "evaluate", lambda *_: act())
        status, error = complaint_of(sentiment, capsys, *new(reviews, path, "--epochs", "1"))
    assert status == 128 + number
    again = f"resume with: python -m experiments.sentiment --resume {path}"
    assert error == f"experiments.sentiment: stopped by {number.name} after step 6; {again}\n"
    found = read(path, "status.json")
    assert (found["status"], found["step"], found["message"]) == (
        "stopped",
        6,
        f"stopped by {number.name} after step 6",
    )
    sentiment.main(["--resume", str(path), *TWO])
    assert read(path, "status.json")["status"] == "finished"
    assert [line["kind"] for line in lines(path)].count("final") == 1


def test_a_signal_before_there_is_a_run_leaves_none(tmp_path, reviews, capsys, monkeypatch):
    monkeypatch.setattr(training, "prepare", lambda *_: terminate())
    assert complaint_of(sentiment, capsys, *new(reviews, tmp_path / "run")) == (
        143,
        "experiments.sentiment: stopped by SIGTERM\n",
    )
    assert not list(tmp_path.iterdir())


def test_a_signal_while_steps_are_done_waits_for_who_asks():
    with StopSignals() as stop:
        with stop.between_steps():
            assert not stop.check(3)
            terminate()
            assert stop.check(4)
            press_ctrl_c()  # the first one: only a second Ctrl-C ends the process
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
            error = stop.interrupted(4)
            assert str(error) == "stopped by SIGINT after step 4"
            assert (error.signal, error.step) == (signal.SIGINT, 4)
            with pytest.raises(Interrupted):
                raise error
            stop._received = None
        with pytest.raises(Interrupted, match=r"^stopped by SIGTERM$"), stop.between_steps():
            terminate()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_elsewhere_is_raised_at_once():
    with StopSignals() as stop:
        for _ in range(2):
            with pytest.raises(Interrupted, match=r"^stopped by SIGTERM$"):
                terminate()
        with stop.noted():
            terminate()  # whoever stops already is not disturbed
        with pytest.raises(Interrupted, match=r"^stopped by SIGTERM$"), stop.between_steps():
            raise AssertionError("it begins, though a signal came before")


def test_a_signal_whose_exception_is_dropped_is_raised_again(monkeypatch):
    monkeypatch.setattr(interruption, "AGAIN_SECONDS", 0.01)
    with StopSignals():
        with contextlib.suppress(Interrupted):  # as the garbage collector does
            terminate()
        with pytest.raises(Interrupted, match=r"^stopped by SIGTERM$"):
            time.sleep(10)
        with contextlib.suppress(Interrupted):
            press_ctrl_c()
        with pytest.raises(Interrupted, match=r"^stopped by SIGINT$"):
            time.sleep(10)


@pytest.mark.slow
def test_a_signal_when_all_is_done_changes_nothing(tmp_path, reviews, monkeypatch):
    plain = RunFolder.write_status

    def interrupted(self, status, *more):
        if status == "finished":
            terminate()
        plain(self, status, *more)

    monkeypatch.setattr(RunFolder, "write_status", interrupted)
    sentiment.main(new(reviews, tmp_path / "run", "--epochs", "1"))
    assert read(tmp_path / "run", "status.json")["status"] == "finished"


def test_an_error_of_the_program_says_how_to_go_on(tmp_path, reviews, capsys):
    def fail():
        raise OSError(28, "No space left on device", "somewhere")

    path = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, 3, fail)
        status, error = complaint_of(sentiment, capsys, *new(reviews, path))
    assert status == 1
    assert re.search(
        f"No space left on device.*; resume with: python -m experiments.sentiment --resume {path}\n$", error
    ), error
    assert "[Errno" not in error
    assert read(path, "status.json")["status"] == "failed"
    assert end_of(sentiment, "--resume", tmp_path / "nowhere") == 1
