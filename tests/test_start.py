"""Who imports whom, and what happens before a command imports JAX."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from rnnjax.start import program

ROOT = Path(__file__).parents[1]


def imported(path):
    """The top-level packages that a source file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("folder", "others"), [("rnnjax", {"experiments", "benchmarks"}), ("benchmarks", {"experiments"})]
)
def test_no_import_leads_from_the_library_or_the_benchmarks_to_the_studies(folder, others):
    sources = sorted((ROOT / folder).glob("**/*.py"))
    assert len(sources) > 30
    assert {str(path): found for path in sources if (found := imported(path) & others)} == {}


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python -m experiments.memory copy", "experiments.memory"),
        ("python -X dev -mbenchmarks.report a", "benchmarks.report"),
        ("python script.py", None),
        ("python -m", ""),
    ],
)
def test_the_name_of_a_command(command, name):
    assert program(command.split()) == name


@pytest.mark.parametrize(
    ("line", "handler"), [("__commands__ = True", "begin.<locals>.stop"), ("", "default_int_handler")]
)
def test_only_packages_that_ask_for_it_are_prepared(line, handler, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/__init__.py").write_text(f"{line}\nimport rnnjax\n")
    (tmp_path / "own/command.py").write_text("import signal\nprint(repr(signal.getsignal(signal.SIGINT)))\n")
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "own.command"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert handler in done.stdout
