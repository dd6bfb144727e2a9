"""Run folders as training writes them, made in no time, and the table of runs read back."""

import json
import re
from typing import Any

from resealed import sealed_lines

from experiments.runs import __main__ as runs
from rnnjax.runs.seals import sealed

CONFIG: dict[str, Any] = {"experiment": "sentiment-lstm", "cell": "lstm", "hidden": 100, "epochs": 4, "run_folder": "x"}
CONFIG["best"] = {"metric": "accuracy", "highest": True}


def step_line(step, **more):
    return {"kind": "step", "step": step, "loss": 1 / step, "accuracy": 0.5, "gradient_norm": 2.0, **more}


def epoch_line(epoch, step, accuracy, **more):
    numbers = {"validation_accuracy": accuracy, "tokens_per_second": 1000.0 * epoch, "seconds": 30.0}
    return {"kind": "epoch", "epoch": epoch, "step": step, "train_loss": 0.5, **numbers, **more}


LINES = [
    *(step_line(1), step_line(2), epoch_line(1, 2, 0.7), step_line(3), step_line(4), epoch_line(2, 4, 0.81)),
    *(step_line(5), step_line(6), epoch_line(3, 6, 0.8)),
    {"kind": "final", "part": "validation", "epoch": 2, "loss": 0.4, "accuracy": 0.81},
    {"kind": "final", "part": "test", "epoch": 2, "loss": 0.5, "accuracy": 0.79},
]


def make_run(path, config=CONFIG, lines=LINES, status: Any = None, time=None):
    """A run folder; what is a string is written as it is."""
    path.mkdir(parents=True)
    for name, value in (
        ("config.json", config),
        ("status.json", status),
        ("environment.json", time and {"time": time}),
    ):
        if value is not None:
            (path / name).write_text(value if isinstance(value, str) else json.dumps(sealed(value)))
    (path / "metrics.jsonl").write_text(lines if isinstance(lines, str) else sealed_lines(lines))
    return path


def listed(capsys, *arguments):
    """The table as rows of cells by header."""
    runs.main([str(argument) for argument in arguments])
    return read_table(capsys.readouterr().out)


def read_table(text):
    headers, rule, *rows = text.splitlines()
    columns = [match.span() for match in re.finditer("-+", rule)]
    return [
        {headers[start:end].strip(): row[start : None if end == len(rule) else end].strip() for start, end in columns}
        for row in rows
    ]
