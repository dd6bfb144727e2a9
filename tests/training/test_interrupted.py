"""A run that is killed again and again ends with the same bits as one that never was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Checkpoints are due every 4 steps and at the end of each epoch of 6: at 0, 4, 6, 10, 12, 16 and 18.
WRITTEN = (4, 10, 16)


def start(folder, **options):
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    return subprocess.Popen(
        [sys.executable, HERE / "interrupted_run.py", folder, json.dumps(options)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, **options):
    process = start(folder, **options)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    status, errors = run(folder)
    assert status == 0, errors
    return folder


@pytest.mark.slow
def test_a_run_killed_several_times_ends_with_the_same_bits(unbroken, tmp_path):
    chosen = random.Random()
    step, within = chosen.randint(1, 9), chosen.choice(WRITTEN[1:])
    delay = chosen.random() * 0.05
    told = f"killed after step {step}, within the checkpoint of step {within}, and {delay:.3f} s after a line"
    status, errors = run(tmp_path, kill=signal.SIGKILL, step=step)
    assert status == -signal.SIGKILL, errors
    status, errors = run(tmp_path, resume=True, kill=signal.SIGKILL, at="writing", step=within)
    assert status == -signal.SIGKILL, errors
    assert list((tmp_path / "checkpoints").glob(f".writing-*step{within:08d}")), told
    # From outside, at any moment: whatever it was doing.
    log = tmp_path / "log"
    process, before = start(tmp_path, resume=True), log.stat().st_mtime_ns
    while process.poll() is None and log.stat().st_mtime_ns == before:
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()
    process.communicate()
    status, errors = run(tmp_path, resume=True)
    assert status == 0, errors
    assert (tmp_path / "log").read_text() == (unbroken / "log").read_text(), told
    assert (tmp_path / "params").read_bytes() == (unbroken / "params").read_bytes(), told


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_its_step_with_a_checkpoint(number, tmp_path):
    status, errors = run(tmp_path, kill=number, step=8)
    assert status == 128 + number, errors
    last = json.loads((tmp_path / "log").read_text().splitlines()[-1])["step"]
    assert last in (9, 10)  # the next step was under way
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir())[-1] == f"epoch001-step{last:08d}"
