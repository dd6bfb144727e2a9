"""The README's code runs, and its set-up commands are the two that the gate runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

# What the README's examples should have made, checked behind them.
CHECKS = """
import numpy as np
from rnnjax import Scan
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
assert list(trace) == ["input", "forget", "candidate", "output", "cell", "hidden"]
np.testing.assert_allclose(by_unit.state.hidden.hidden.shape, (8, 64))
assert [variant.name for variant in study.variants] == ["gru", "elman"]
np.testing.assert_allclose(trace["hidden"], np.asarray(hidden), atol=1e-6)
assert [row["status"] for row in rows] == ["measured"] * 6, rows
assert [row["case"]["cell"] for row in rows] == ["gru"] * 3 + ["UpdateGateRNN"] * 3
"""


def test_the_examples_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len(blocks) == 14
    script = tmp_path / "examples.py"
    script.write_text("\n".join([*blocks, CHECKS]))
    environment = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # compiling is most of the time
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_are_two_set_up_commands():
    commands = [line for line in TEXT.splitlines() if line.startswith("python3 -m venv")]
    assert [command.split("&&")[-1].strip() for command in commands] == [
        ".venv/bin/python -m experiments.sentiment",
        ".venv/bin/pytest",
    ]


def test_modules_that_are_named_are_there():
    for module in set(re.findall(r"python -m ((?:experiments|benchmarks)[\w.]*)", TEXT)):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()
