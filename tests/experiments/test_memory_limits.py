"""What is too large for this machine is refused with one line before anything of that size is made."""

import resource
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import pytest

from experiments.forecast.config import Forecast
from experiments.language_model.config import Language
from experiments.memory.config import Memory
from experiments.memory.train import initial_state
from experiments.sentiment.config import TextClassification, build_model
from rnnjax import start
from rnnjax.commands import run
from rnnjax.start import check_address_space
from rnnjax.training import capacity

HUGE: Any = {"hidden": 65_536, "layers": 1_000}
NETWORKS = {
    "classifier": lambda: build_model(TextClassification(**HUGE), 100, 2),
    "language model": lambda: Language(**HUGE).network(100),
    "memory task": lambda: initial_state(Memory(**HUGE), 0),
    "forecast": lambda: Forecast(**HUGE).network(),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_thousand_layers_of_65536_features_are_refused_at_once(network):
    begun = time.perf_counter()
    with pytest.raises(ValueError, match=r"1,000 layers of 65,536 features: expected at most .* got 17,1"):
        NETWORKS[network]()
    assert time.perf_counter() - begun < 1


def test_parameters_are_not_made_where_there_is_no_memory_for_them(monkeypatch):
    monkeypatch.setattr(capacity, "memory", lambda: 100)
    with pytest.raises(ValueError, match=r"parameters: expected at most 100 bytes, .*, got [\d,]{5,}"):
        initial_state(Memory(), 0)


def test_the_memory_of_a_container_and_of_a_limit_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    everything = capacity.memory()
    file = tmp_path / "memory.max"
    monkeypatch.setattr(capacity, "CONTAINER", (file,))
    for words, most in (("max\n", None), ("12345\n", 12345)):
        file.write_text(words)
        assert capacity.memory() == most or (most is None and capacity.memory() >= everything)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1234, 5678))
    assert capacity.memory() == 1234


OUT_OF_MEMORY = {
    "Python": MemoryError("no room"),
    "XLA": jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes."),
    "threads": RuntimeError("can't start new thread"),
}


@pytest.mark.parametrize("case", OUT_OF_MEMORY)
def test_no_memory_is_one_line(case, capsys):
    def command():
        raise OUT_OF_MEMORY[case]

    with pytest.raises(SystemExit) as stopped:
        run("program", command)
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert said == f"program: out of memory ({OUT_OF_MEMORY[case]})\n"


def test_another_error_of_xla_keeps_its_traceback():
    def command():
        raise jax.errors.JaxRuntimeError("INTERNAL: RESOURCE_EXHAUSTED is not what this says")

    with pytest.raises(jax.errors.JaxRuntimeError):
        run("program", command)


def test_too_few_addresses_are_one_line(monkeypatch):
    check_address_space("experiments.sentiment")
    monkeypatch.setattr(start.os, "cpu_count", lambda: 3)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (2**31, 2**31))
    with pytest.raises(SystemExit) as stopped:
        check_address_space("experiments.sentiment")
    assert stopped.value.code == (
        "experiments.sentiment: expected at least 3,833,856 KiB of address space (ulimit -v), got 2,097,152"
    )


def test_a_command_with_too_few_addresses_ends_before_it_imports_anything():
    for program in ("experiments.sentiment", "benchmarks.report"):
        done = subprocess.run(
            ["sh", "-c", f"ulimit -v {2**19}; exec {shlex.quote(sys.executable)} -m {program}"],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith(f"{program}: expected at least ")
        assert done.stderr.count("\n") == 1, done.stderr
