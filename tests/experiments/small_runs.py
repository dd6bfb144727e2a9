"""Runs of a second, stopped where a test wants, and what they leave."""

import json
import os
import signal

from complaints import last_of_each

from rnnjax.runs.log import Log
from rnnjax.runs.seals import Mark, check_lines

NETWORK = ["--cell", "elman", "--recurrence", "scan", "--no-bidirectional", "--pooling", "mean", "--embedding", "4"]
# Three epochs of six steps.
SMALL = [*NETWORK, "--hidden", "4", "--rows", "36", "--batch-size", "6", "--buckets", "1", "--longest", "20"]
SMALL += ["--learning-rate", "0.02", "--dropout", "0.3", "--epochs", "3"]
TWO = ["--devices", "2"]
STOPPED_AT = 8
TIMES = ("seconds", "tokens_per_second")


def act_after(patch, step, act):
    """Has the training do something once the line of a step is written."""
    plain = Log.step

    def patched(self, report):
        plain(self, report)
        if report.step == step:
            act()

    patch.setattr(Log, "step", patched)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def new(reviews, path, *more):
    return last_of_each(["smoke", *SMALL, *TWO, "--source", reviews, "--run-folder", path, *more])


def read(path, name):
    return json.loads((path / name).read_text())


def lines(path):
    """metrics.jsonl, but for times, and the seals, which must be right, and are of the times too."""
    found = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    if found:
        check_lines(path / "metrics.jsonl", Mark((path / "metrics.jsonl").stat().st_size, found[-1]["seal"]))
    return [{name: value for name, value in line.items() if name not in (*TIMES, "seal")} for line in found]


def files(path):
    """What a run's files hold, but for its lock."""
    found = (file for file in path.rglob("*") if file.is_file() and file.name != "lock")
    return {str(file.relative_to(path)): file.read_bytes() for file in found}


def checkpoints(path):
    return sorted(child.name for child in (path / "checkpoints").iterdir())
