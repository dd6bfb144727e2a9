"""The code of all READMEs runs, their links lead somewhere, and the set-up commands are the two that the gate runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = "README.md"
PACKAGES = ("rnnjax", "experiments", "benchmarks", "tests")
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / README, *(path for package in PACKAGES for path in sorted((ROOT / package).rglob(README))))
}
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
# Lines of README.md at most.
LONGEST = 200

# How many examples each README has; after them, what they should have made.
EXAMPLES = {
    README: 1,
    "rnnjax/README.md": 15,
    "experiments/README.md": 2,
    "experiments/ablations/README.md": 1,
    "benchmarks/README.md": 1,
}
CHECKS = {
    README: """
assert report.epoch == 3
assert report.validation["accuracy"] > 0.9, report
""",
    "rnnjax/README.md": """
import numpy as np
from rnnjax import Scan
from rnnjax.testing import check_cell as checked
checked(GRU(), recurrences=[ByIndex()], dtypes=[], transformations=False, differences=False)
assert outputs.shape == (8, 50, 128)
assert not outputs[1, 3:].any()
np.testing.assert_array_equal(outputs[0, -1, :64], forward.hidden[0])
np.testing.assert_array_equal(outputs[0, 0, 64:], backward.hidden[0])
cell = UpdateGateRNN()
own = RNN(cell, 6, Chunked(20))
variables = own.init(jax.random.key(0), inputs)
gradients = [
    jax.grad(lambda v: (RNN(cell, 6, recurrence).apply(v, inputs, lengths=lengths)[0] ** 2).sum())(variables)
    for recurrence in (Chunked(20), Scan())
]
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *gradients)
assert np.abs(training - evaluation).max() > 0.1
assert model.pooling == "last"
assert (labels.shape, answers.tokens.shape) == ((8, 50), (8, 12))
assert (label_lengths <= lengths).all()
assert losses[-1] < losses[0]
np.testing.assert_allclose(net(inputs, lengths=lengths)[0], same, rtol=1e-6, atol=1e-6)
assert hidden.shape == (8, 50, 64)
assert [w.shape for w in keras_weights] == [(32, 256), (64, 256), (256,)]
np.testing.assert_array_equal(keras_weights[2], params["cell"]["input"]["bias"] + params["cell"]["recurrent"]["bias"])
assert (position.epoch, position.step) == (1, 4)
assert (report.epoch, report.step) == (2, 8)
assert sorted(path.name for path in folder.iterdir())[-1] == "epoch002-step00000008"
assert "| own-0.001 | 4 | 0.5015 |" in table
assert list(trace) == ["input", "forget", "candidate", "output", "cell", "hidden"]
np.testing.assert_allclose(by_unit.state.hidden.hidden.shape, (8, 64))
np.testing.assert_allclose(trace["hidden"], np.asarray(hidden), atol=1e-6)
""",
    "experiments/README.md": """
assert [variant.name for variant in study.variants][:2] == ["gru-0.001", "gru-0.01"]
assert "elman-0.01" in (Path("runs/ablations/mine") / "report.md").read_text()
""",
    "experiments/ablations/README.md": """
assert [variant.name for variant in study.variants] == ["gru", "elman"]
""",
    "benchmarks/README.md": """
assert [row["status"] for row in rows] == ["measured"] * 6, rows
assert [row["case"]["cell"] for row in rows] == ["gru"] * 3 + ["UpdateGateRNN"] * 3
""",
}


def examples(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", TEXTS[name], flags=re.DOTALL)


def anchors(name: str) -> set[str]:
    """The headings of a README as GitHub names them in links."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", TEXTS[name]), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(name: str) -> list[str]:
    """Where the links and images of a README lead, those into the web left out."""
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", TEXTS[name]))
    return [target for target in targets if not target.startswith(("https://", "http://"))]


def place(name: str, target: str) -> tuple[Path, str]:
    """The file and the heading that a link of a README leads to."""
    path, _, heading = target.partition("#")
    return ((ROOT / name).parent / path).resolve() if path else ROOT / name, heading


@pytest.mark.quick("README.md", "experiments/ablations/README.md")
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_run(name, tmp_path):
    script = tmp_path / "examples.py"
    script.write_text("\n".join([*examples(name), CHECKS[name]]))
    # Compiling is most of the time.
    environment = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_readme_with_examples_is_run():
    assert {name: len(examples(name)) for name in TEXTS if examples(name)} == EXAMPLES
    assert set(CHECKS) == set(EXAMPLES)


def test_there_are_two_set_up_commands():
    commands = [line for line in TEXTS[README].splitlines() if line.startswith("python3 -m venv")]
    assert [command.split("&&")[-1].strip() for command in commands] == [
        ".venv/bin/python -m experiments.sentiment",
        ".venv/bin/pytest",
    ]


def test_the_first_readme_is_short():
    assert len(TEXTS[README].splitlines()) <= LONGEST


def test_every_study_has_a_readme_that_says_its_command():
    for main in sorted((ROOT / "experiments").glob("*/__main__.py")):
        study = main.parent.name
        assert f"python -m experiments.{study}" in TEXTS[f"experiments/{study}/README.md"]


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_to_files_and_headings(name):
    for target in links(name):
        path, heading = place(name, target)
        assert path.is_relative_to(ROOT), f"{name}: {target}"
        assert path.exists(), f"{name}: {target}"
        if heading:
            assert heading in anchors(str(path.relative_to(ROOT))), f"{name}: {target}"


def test_every_readme_is_reached_from_the_first_one():
    reached, pending = set(), [README]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            found = [str(place(name, target)[0].relative_to(ROOT)) for target in links(name)]
            pending += [other for other in found if other in TEXTS]
    assert reached == set(TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_modules_and_files_that_are_named_are_there(name):
    for module in set(re.findall(r"python -m ((?:experiments|benchmarks)[\w.]*)", TEXTS[name])):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    for path in set(re.findall(rf"`((?:{'|'.join(PACKAGES)}|\.ci)/[\w/.]+)`", TEXTS[name])):
        assert (ROOT / path).exists(), path
