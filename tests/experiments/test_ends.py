"""Ctrl-C, SIGTERM, closed pipes and full disks: every command ends in the same way."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnjax.commands import run
from rnnjax.training import Interrupted
from rnnjax.training.interruption import StopSignals

ROOT = Path(__file__).parents[2]
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
# A command of its own, without JAX, that works until it is told to stop; what runs when Python cleans up is printed.
OWN = """
import atexit, sys, time
from rnnjax.commands import run

def main():
    atexit.register(print, "cleaned up", file=sys.stderr)
    print("ready", flush=True)
    {work}

if __name__ == "__main__":
    run("own.command", lambda: main())
"""
WORK = {
    "computes": "while True: sum(range(1_000))",
    "sleeps": "time.sleep(60)",
    "drops exceptions": """
    class Drops:
        def __del__(self):
            time.sleep(60)  # Python ignores exceptions in finalisers
    Drops()
    time.sleep(60)""",
    "wraps exceptions": """
    try:
        time.sleep(60)
    except BaseException as error:
        raise RuntimeError("INTERNAL: a callback failed: Traceback") from error""",
}


def started(*command, cwd, **streams):
    environment = {**os.environ, "PYTHONPATH": f"{cwd}{os.pathsep}{ROOT}"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen([sys.executable, "-m", *command], cwd=cwd, env=environment, text=True, **streams)


def own_command(folder, work):
    (folder / "own").mkdir()
    (folder / "own/__init__.py").write_text("__commands__ = True\nimport rnnjax\n")
    (folder / "own/command.py").write_text(OWN.format(work=work))
    return started("own.command", cwd=folder)


@pytest.mark.quick("computes-SIGINT", "drops exceptions-SIGINT", "wraps exceptions-SIGTERM")
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("work", WORK)
def test_a_signal_ends_a_command_with_one_line_and_its_status(work, number, tmp_path):
    process = own_command(tmp_path, WORK[work])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert error == f"own.command: stopped by {number.name}\n"  # nothing of Python's clean-up
    assert process.returncode == SIGNALS[number]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_during_the_imports_ends_a_command_in_the_same_way(number, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/__init__.py").write_text("__commands__ = True\nimport rnnjax\nprint('ready', flush=True)\n")
    (tmp_path / "own/command.py").write_text("import time\ntime.sleep(60)\n")
    process = started("own.command", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert (error, process.returncode) == (f"own.command: stopped by {number.name}\n", SIGNALS[number])


def after_signal(error):
    """A command in which a library drops the exception of a signal, and raises another one."""
    with contextlib.suppress(Interrupted):
        os.kill(os.getpid(), signal.SIGTERM)
    raise error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (RuntimeError("INTERNAL: callback"), 143, "program: stopped by SIGTERM\n"),
        (OSError(28, "No space left on device", "rows"), 1, "program: rows: No space left on device\n"),
    ],
)
def test_an_error_of_a_library_after_a_signal_is_the_signal(error, status, words, capsys):
    with pytest.raises(SystemExit) as stop:
        run("program", functools.partial(after_signal, error))
    assert (stop.value.code, capsys.readouterr().err) == (status, words)


def test_a_fault_without_a_signal_stays_a_fault():
    with pytest.raises(ZeroDivisionError):
        run("program", lambda: print(1 / 0))


# Commands that print at once, and need no data.
PRINTING = {
    "list": ["experiments.runs", "."],
    "help": ["experiments.sentiment", "--help"],
    "studies": ["experiments.ablations"],
}


@pytest.mark.quick("list", "help")
@pytest.mark.parametrize("name", PRINTING)
def test_a_closed_pipe_ends_a_command_without_a_word(name, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    process = started(*PRINTING[name], cwd=tmp_path, stdout=writing)
    os.close(writing)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.quick("list", "help")
@pytest.mark.parametrize("name", PRINTING)
def test_a_full_disk_is_said_in_one_line(name, tmp_path):
    with open("/dev/full", "w") as full:
        process = started(*PRINTING[name], cwd=tmp_path, stdout=full)
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error.count("\n")) == (1, 1), error
    assert error.startswith(f"{PRINTING[name][0]}: ")
    assert error.endswith("No space left on device\n")


LONG = {
    "memory": ["experiments.memory", "smoke", "--updates", "1000000", "--no-stop"],
    "gradient_flow": ["experiments.gradient_flow", "--updates", "100000"],
}


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("name", LONG)
def test_a_signal_in_a_run_is_its_status_and_no_crash(name, number, tmp_path):
    folder = tmp_path / "run"
    process = started(*LONG[name], "--run-folder", str(folder), cwd=tmp_path)
    for _ in range(600):
        if (folder / "status.json").exists():
            break
        time.sleep(0.1)
    time.sleep(1)  # into the training
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == SIGNALS[number], error
    assert error.splitlines()[-1].startswith(f"{LONG[name][0]}: stopped by {number.name}"), error
    assert "Traceback" not in error
    assert json.loads((folder / "status.json").read_text())["status"] == "stopped"


def test_signals_are_noted_by_number():
    with StopSignals(several=False) as stop:
        assert stop.received is None
        with stop.noted():
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
