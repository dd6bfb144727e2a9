"""Whatever path a stranger's text takes to the terminal, nothing of it is obeyed there."""

import contextlib
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from experiments.sentiment.evaluation import score_tables
from experiments.sentiment.tracing import Verdicts, print_verdicts
from rnnjax.class_scores import log_probabilities
from rnnjax.commands import parse, run
from rnnjax.runs.report import Progress, confusion_table, table
from rnnjax.training import DivergedError, Interrupted

HOSTILE = "a\x1b[31mb\x9bc\x07\u202ed"


@dataclass(frozen=True)
class Options:
    number: int = 1


def fail(error):
    raise error


def noted(error):
    error.add_note(HOSTILE)
    raise error


PATHS = {
    "a warning": lambda: run(HOSTILE, lambda: warnings.warn(HOSTILE, stacklevel=1)),
    "an error": lambda: run("p", lambda: fail(ValueError(HOSTILE))),
    "a file's error": lambda: run("p", lambda: fail(FileNotFoundError(2, HOSTILE, HOSTILE))),
    "a note": lambda: run("p", lambda: noted(DivergedError("x"))),
    "a stop's note": lambda: run("p", lambda: noted(Interrupted(15, 3))),
    "a bad value": lambda: parse(Options, "p", ["--number", HOSTILE]),
    "an unknown option": lambda: parse(Options, "p", [f"--{HOSTILE}"]),
    "a table": lambda: print(table((HOSTILE,), [(HOSTILE,)])),
    "classes": lambda: print(confusion_table(np.eye(1), [HOSTILE])),
    "classes with scores": lambda: print(score_tables(log_probabilities(np.eye(3)), np.arange(3), [HOSTILE] * 3)),
    "a line above the bar": lambda: Progress(1).say(HOSTILE),
    "a traced text": lambda: print_verdicts(Verdicts(HOSTILE, [(0, len(HOSTILE))], HOSTILE, np.array([0.5]))),
}


@pytest.mark.parametrize("path", PATHS)
def test_no_character_that_a_terminal_obeys(path, capsys):
    with warnings.catch_warnings(), contextlib.suppress(SystemExit):
        warnings.simplefilter("always")
        PATHS[path]()
    out = "".join(capsys.readouterr())
    assert out.strip()
    assert not [letter for letter in out if letter in "\x1b\x9b\x07\u202e"]
