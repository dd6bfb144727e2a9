"""No part of the project can run what it reads: no pickle, no evaluated strings, no shell, no remote code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for folder in ("rnnjax", "experiments", "benchmarks", "tests") for path in ROOT.glob(f"{folder}/**/*.py")
)

# Formats that run code when they are read, and those built on them.
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle", "pty"}
BUILTINS = {"eval", "exec", "__import__"}
CALLS = {
    *("os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "torch.load", "pandas.read_pickle", "pd.read_pickle"),
    *("shutil.unpack_archive", "runpy.run_path", "runpy.run_module"),
}
METHODS = {"read_pickle", "to_pickle", "extractall", "unpack_archive", "load_module", "exec_module"}
# Arguments, and what they must be wherever they are given.
HARMLESS = {"allow_pickle": False, "trust_remote_code": False, "shell": False, "safe_mode": True, "weights_only": True}


def dangers(source: str) -> list[str]:
    """What of a source could run code that is read from elsewhere, as `line: what`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module] if module.partition(".")[0] in MODULES else []
            names += [alias.name for alias in node.names if f"{module}.{alias.name}" in CALLS or alias.name in MODULES]
        elif isinstance(node, ast.Call):
            names = called(node)
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            names = [node.id]
        found += [f"{getattr(node, 'lineno', '')}: {name}" for name in names]
    return found


def called(node: ast.Call) -> list[str]:
    """What is dangerous about a call: its function, or an argument."""
    function = ast.unparse(node.func)
    # Other builtins are seen wherever their names are; `compile` is a common one of methods and variables.
    names = [function] if function in {"compile"} | CALLS or function.rpartition(".")[2] in METHODS else []
    for argument in node.keywords:
        if argument.arg in HARMLESS:
            value = argument.value
            if not (isinstance(value, ast.Constant) and value.value is HARMLESS[argument.arg]):
                names.append(f"{argument.arg}={ast.unparse(value)}")
    # A module by name: no way around the imports above.
    if function in ("importlib.import_module", "import_module", "pytest.importorskip") and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and str(name.value).partition(".")[0] in MODULES:
            names.append(str(name.value))
    return names


def test_no_source_runs_what_it_reads():
    found = {str(path.relative_to(ROOT)): dangers(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_all_sources_are_looked_at():
    assert {ROOT / "rnnjax/interop/files.py", ROOT / "experiments/sentiment/__main__.py", Path(__file__)} <= set(
        SOURCES
    )


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, dill as d",
        "from marshal import loads",
        "from os import system",
        "import joblib.numpy_pickle",
        "import importlib\nimportlib.import_module('shelve')",
        "eval('1')",
        "run = exec",
        "compile('1', 'x', 'eval')",
        "__import__('os')",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "load_dataset(name, trust_remote_code=True)",
        "subprocess.run('ls', shell=True)",
        "keras.saving.load_model(path, safe_mode=False)",
        "os.system('ls')",
        "yaml.load(text)",
        "torch.load(path)",
        "df.read_pickle(path)",
        "archive.extractall(path)",
    ],
)
def test_a_dangerous_source_is_seen(source):
    assert len(dangers(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "function.lower(x).compile()",
        "re.compile('a')",
        "model.eval()",
        "np.load(path)",
        "np.load(path, allow_pickle=False)",
        "load_dataset(name, trust_remote_code=False)",
        "subprocess.run(['ls'])",
        "'pickle'  # pickle",
    ],
)
def test_a_harmless_source_is_not(source):
    assert dangers(source) == []
