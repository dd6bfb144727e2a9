"""The core needs five packages; what needs more says which extra to install."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rnnjax.data
from rnnjax.extras import extra, require

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def python(*command, **options):
    """What a new process prints, which must end well."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_core_needs_five_packages():
    names = [re.split(r"[<>=]", requirement)[0] for requirement in PROJECT["dependencies"]]
    assert sorted(names) == ["flax", "jax", "jaxtyping", "numpy", "optax"]


LOADED = """
import importlib, json, sys

def loaded():
    names = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    return {name for name in names if not name.startswith("__")}  # __mp_main__ is the program itself

import jax, flax.linen, optax, jaxtyping
known, found = loaded(), {}
for module in sys.argv[1:]:
    importlib.import_module(module)
    found[module] = sorted(loaded() - known)
print(json.dumps(found))
"""


def test_imports_load_nothing_that_the_core_does_not_need():
    modules = ("rnnjax", "rnnjax.training", "rnnjax.data")
    found = json.loads(python("-c", LOADED, *modules, "rnnjax.data.series"))
    assert {module: found[module] for module in modules} == {module: ["rnnjax"] for module in modules}
    # The probe is not blind.
    assert "pandas" in found["rnnjax.data.series"]


# What a user does, and the extra that it needs.
NEEDS = {
    "from rnnjax.runs import Session": "training",
    "from rnnjax.compat import event_protos; event_protos()": "training",
    "from rnnjax.data import load_source": "text",
    "from rnnjax.data import hold_out": "text",
    "from rnnjax.data import encode": "text",
    "from rnnjax.data.column_checks import check_column": "text",
    "from rnnjax.data.tab_lines import read_tab_lines": "text",
    "import rnnjax.data.series": "series",
    "from rnnjax.analysis import learning_curves": "plots",
    "import rnnjax.ablations": "ablations",
    "import rnnjax.ablations.study": "ablations",
    "from rnnjax.files import rendered; rendered(None, 'png', 100)": "plots",
    "from rnnjax.commands import parse": "experiments",
    "import jax; from rnnjax.data.digits import Digits; Digits().sample(jax.random.key(0), 1)": "digits",
    "from rnnjax.data.digits import digits; digits()": "digits",
    "from rnnjax.baselines import WeightedNgrams; WeightedNgrams().fit(['a'], [0])": "baselines",
    "from rnnjax.interop.files import read_weights_h5; read_weights_h5('a.weights.h5')": "interop",
    "from rnnjax.interop.files import read_safetensors; read_safetensors('a.safetensors')": "interop",
}
OPTIONAL = ("filelock", "orbax", "tensorboardX", "datasets", "tokenizers", "pyarrow", "pandas", "matplotlib", "tyro")
OPTIONAL += ("tqdm", "rich", "sklearn", "h5py", "safetensors", "vega_datasets", "statsmodels", "ray", "keras")
WITHOUT = """
import json, sys

import flax.linen, jaxtyping, optax  # which import some of the packages where they are there

hidden, statements = map(json.loads, sys.argv[1:])
for name in {name for name in sys.modules if name.partition(".")[0] in hidden} | set(hidden):
    sys.modules[name] = None
found = {}
for statement in statements:
    try:
        exec(compile(statement, "statement", "exec"), {})
    except ModuleNotFoundError as error:
        found[statement] = str(error)
print(json.dumps(found))
"""


def messages(hidden, statements):
    """The errors of the statements that need one of the hidden packages."""
    printed = python("-c", WITHOUT, json.dumps(hidden), json.dumps(statements))
    return json.loads(printed.splitlines()[-1])


@pytest.fixture(scope="module")
def without_extras():
    return messages(OPTIONAL, list(NEEDS))


@pytest.mark.parametrize("statement", NEEDS)
def test_a_missing_package_is_one_line_that_names_the_extra(without_extras, statement):
    message = without_extras[statement]
    assert re.search(rf"expected [\w.]+, not installed: pip install 'rnnjax\[{NEEDS[statement]}\]'$", message)
    assert "\n" not in message


def test_runs_need_the_extra_training_alone():
    hidden = [name for name in OPTIONAL if name not in ("filelock", "orbax", "tensorboardX")]
    shown = "import rnnjax.runs.session, rnnjax.runs.comparing, rnnjax.runs.listing\n"
    shown += "from rnnjax.runs.report import Progress\nwith Progress(1) as bar: bar.say('a line')"
    needed = "from rnnjax.data import load_vocabulary"
    found = messages(hidden, [shown, needed])
    assert list(found) == [needed]
    assert found[needed].endswith("pip install 'rnnjax[text]'")


@pytest.mark.slow
def test_ablations_need_the_extra_ablations_alone(tmp_path):
    needed = ("filelock", "orbax", "tensorboardX", "pyarrow", "matplotlib", "tqdm")
    needed += ("pandas",)  # pyarrow looks for it, and takes what hides it here for the package
    study = f"""
from pathlib import Path
from rnnjax.ablations import Study, Trials, Variant, ablate
from rnnjax.runs import RunConfig
train = lambda config, seeds: [0.5 + seed for seed in seeds]
ablate(Study("?", "score", Trials(train), [Variant("a", "?", RunConfig())]), Path({str(tmp_path)!r}))
"""
    assert messages([name for name in OPTIONAL if name not in needed], [study]) == {}
    assert "| a | 3 | 1.5000 |" in (tmp_path / "report.md").read_text()


def test_a_command_without_its_packages_ends_with_one_line():
    command = "import sys; sys.modules['tyro'] = None; from rnnjax.start import check_packages as check; "
    command += "check('experiments.memory')"
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    message = "experiments.memory: expected tyro, not installed: pip install 'rnnjax[experiments]'\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_every_extra_that_is_named_is_there():
    for folder in ("rnnjax", "experiments", "benchmarks"):
        for path in (ROOT / folder).glob("**/*.py"):
            text = path.read_text(encoding="utf-8")
            named = re.findall(r'\bextra\("(\w+)"', text) + re.findall(r"rnnjax\[(\w+)\]'", text)
            named += re.findall(r'\b(?:require|missing)\([^,()]+, "(\w+)"', text)
            assert set(named) <= set(EXTRAS), path
    for requirements in EXTRAS.values():
        for names in re.findall(r"rnnjax\[([\w,]+)\]", " ".join(requirements)):
            assert set(names.split(",")) <= set(EXTRAS)


def test_other_errors_pass():
    with pytest.raises(ImportError, match="cannot import name 'nothing'"), extra("text"):
        from rnnjax.extras import nothing  # noqa: F401 # pyright: ignore[reportAttributeAccessIssue]
    require("json", "text")
    with pytest.raises(AttributeError, match=r"^module 'rnnjax.data' has no attribute 'nothing'$"):
        rnnjax.data.nothing  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue]


EVENT_FILES = """
import sys
from pathlib import Path

import rnnjax.runs.session
from rnnjax.runs.tensorboard import TensorBoard

with TensorBoard(Path(sys.argv[1]) / "events") as board:
    board.scalars(1, {"loss": 0.5})
assert not {"torch", "tensorboardX", "matplotlib", "datasets", "tokenizers"} & sys.modules.keys()

import tensorboardX  # all of it, as if it had not been touched

assert "torch" in sys.modules
writer = tensorboardX.SummaryWriter(str(Path(sys.argv[1]) / "theirs"))
writer.add_scalar("loss", 0.5)
writer.close()
print(tensorboardX.proto.event_pb2.Event(step=3).step)
"""


def test_event_files_import_no_pytorch(tmp_path):
    (tmp_path / "torch.py").write_text("class Tensor: ...\n")
    path = f"{tmp_path}:{ROOT}"
    assert python("-c", EVENT_FILES, tmp_path, env={"PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}) == "3\n"
    assert len(list((tmp_path / "events").iterdir())) == 1
