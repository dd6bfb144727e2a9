"""What users type: the table of command lines, `--help` without JAX, and the width and colours of help."""

import csv
import functools
import importlib
import io
import operator
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rnnjax.cell_names import COMPLEX, LINEAR, NAMES, AnyCell, check_cell
from rnnjax.cells import LinearCell
from rnnjax.cells.names import CELLS
from rnnjax.commands import run, study_command
from rnnjax.training import devices

ROOT = Path(__file__).parents[2]
with open(Path(__file__).with_name("command_lines.csv"), newline="", encoding="utf-8") as table:
    LINES = list(csv.DictReader(table))
HEAVY = {"jax", "flax", "optax", "orbax", "datasets", "pandas", "pyarrow", "matplotlib", "tokenizers", "scipy"}
STUDIES = ("ablations", "ctc", "forecast", "gradient_flow", "language_model", "memory", "next_word", "restaurant")
STUDIES += ("reversal", "runs", "sentiment", "tagging")


@pytest.mark.parametrize("line", LINES, ids=[f"{line['kind']}: {line['arguments']}" for line in LINES])
def test_command_lines(line, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(devices, "_usable_cores", lambda: 2)
    study = importlib.import_module(f"experiments.{line['study']}.__main__")
    default = study.DEFAULT if hasattr(study, "DEFAULT") else next(iter(study.PRESETS))
    trained = []
    commands = getattr(study, "COMMANDS", {})
    main = study_command(
        study.PRESETS, default, study.PROGRAM, study.PREFIX, lambda *given: trained.append(given), commands
    )
    first, _, rest = line["outcome"].replace("HOME", str(tmp_path)).partition(" ")
    arguments = functools.partial(main, shlex.split(line["arguments"]))
    if first.isdecimal():
        with pytest.raises(SystemExit) as stop:
            run(study.PROGRAM, arguments)
        error = capsys.readouterr().err
        assert (stop.value.code, trained, error.count("\n")) == (int(first), [], 1)
        assert rest in error
    else:
        arguments()
        [(config, experiment)] = trained
        assert experiment == f"{study.PREFIX}{first}"
        for field in rest.split():
            name, _, value = field.partition("=")
            assert str(operator.attrgetter(name)(config)) == value


def modules_after(*arguments):
    """(status, the heavy packages that a command has imported)."""
    command = [sys.executable, "-X", "importtime", "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "rnnjax.start" in found  # the probe is not blind
    return done.returncode, found & HEAVY


@pytest.mark.quick("sentiment", "forecast")
@pytest.mark.parametrize("name", STUDIES)
def test_help_imports_neither_jax_nor_what_reads_data_and_draws(name):
    assert modules_after(f"experiments.{name}", "--help") == (0, set())


@pytest.mark.parametrize("arguments", ["smoke --epochs 2.5", "lstmx"])
def test_a_wrong_option_is_said_before_anything_heavy_is_imported(arguments):
    assert modules_after("experiments.sentiment", *arguments.split()) == (2, set())


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("1", False), ("", True)])
def test_help_honours_the_colours_and_the_width_of_the_terminal(no_color, coloured, monkeypatch):
    study, screen = importlib.import_module("experiments.sentiment.__main__"), Terminal()
    for name, value in {"NO_COLOR": no_color, "COLUMNS": "60", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", screen)
    with pytest.raises(SystemExit):
        study.main(["smoke", "--help"])
    help_text = screen.getvalue()
    assert ("\x1b" in help_text) is coloured
    if not coloured:
        assert max(map(len, help_text.splitlines()[1:])) <= 60  # after the line of usage
        assert len(help_text.splitlines()) > 100


@pytest.mark.usefixtures("without_annotation_checks")
def test_the_names_of_cells_are_those_of_the_library():
    assert tuple(CELLS) == NAMES
    assert tuple(name for name, cell in CELLS.items() if isinstance(cell, LinearCell)) == LINEAR
    assert tuple(name for name in LINEAR if CELLS[name].is_complex) == COMPLEX  # pyright: ignore
    assert all(isinstance(cell, AnyCell) for cell in CELLS.values())
    for cell in (*NAMES, *CELLS.values()):
        check_cell(cell)
    with pytest.raises(ValueError, match="cell: expected one of elman"):
        check_cell("rnn")
    with pytest.raises(ValueError, match="cell: expected a cell or its name, got int"):
        check_cell(3)


def test_public_names_are_imported_on_first_use():
    code = """
import sys, rnnjax, rnnjax.training, rnnjax.runs
assert "jax" not in sys.modules
assert {"GRU", "Scan", "RNN"} <= set(dir(rnnjax)) and "GRU" not in vars(rnnjax)
assert rnnjax.GRU is rnnjax.cells.GRU and "GRU" in vars(rnnjax)
from rnnjax.training import *
assert callable(ctc) and callable(token_losses) and callable(fit)
try:
    rnnjax.Nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert (done.stdout, done.stderr) == ("module 'rnnjax' has no attribute 'Nothing'\n", "")
