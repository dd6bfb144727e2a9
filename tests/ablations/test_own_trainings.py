"""Studies of trainings of your own: any config, any function of config and seeds, any cell."""

import dataclasses
import functools
import importlib.util
import json
import signal
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

from rnnjax import GRU, LSTM, Cell, Elman, identity
from rnnjax.ablations import Outcome, Study, Trainer, Trials, Variant, ablate, plan, report
from rnnjax.ablations.trainers import described
from rnnjax.runs import RunFolder
from rnnjax.runs.execution import as_json
from rnnjax.runs.listing import run_table
from rnnjax.runs.reading import read_run
from rnnjax.training import Interrupted


@dataclasses.dataclass(frozen=True)
class Mine:
    """A config that the library does not know."""

    cell: Cell = LSTM()  # noqa: RUF009 (frozen)
    rate: float = 0.5
    seed: int = 0


def score(config: Mine, seeds) -> list[float]:
    """A number that every field changes, and each seed, too."""
    size = sum(leaf.size for leaf in jax.tree.leaves(config.cell.init_params(jax.random.key(0), 2, 3)))
    return [config.rate * size + seed for seed in seeds]


def diverging(config: Mine, seeds):
    return [np.nan if seed == 1 else Outcome(seed, 0.25, steps=7) for seed in seeds]


CELLS = {"lstm": LSTM(), "gru": GRU(), "irnn": Elman(activation="relu", recurrent_init=identity())}
GRID = Study.grid("Which cell?", "score", Trials(score), Mine(), cell=CELLS, rate=(0.5, 2.0), seeds=2)


def test_a_grid_is_every_combination_beside_the_first():
    assert [variant.name for variant in GRID.variants] == [
        *("lstm-0.5", "lstm-2.0", "gru-0.5", "gru-2.0", "irnn-0.5", "irnn-2.0")
    ]
    assert [variant.base for variant in GRID.variants] == [None, *["lstm-0.5"] * 5]
    assert GRID.variants[3].config == Mine(GRU(), 2.0)
    assert GRID.variants[3].question == "cell gru, rate 2.0"
    rates = Study.grid("?", "score", Trials(score), Mine(), cell=CELLS, rate=np.array([0.5, -2.0]))
    assert (rates.variants[1].name, rates.variants[1].config) == ("lstm--2.0", Mine(LSTM(), -2.0))
    assert type(rates.variants[1].config.rate) is float
    none: tuple[dict[str, Any], ...] = ({}, {"rate": ()})
    for axes in none:
        with pytest.raises(ValueError, match="grid: expected axes of at least one value each, got none"):
            Study.grid("?", "score", Trials(score), Mine(), **axes)
    with pytest.raises(ValueError, match=r"expected a variant that changes something, got the computation of '0.5'"):
        Study.grid("?", "score", Trials(score), Mine(), rate={"0.5": 0.5, "half": 0.5})


def test_a_grid_is_planned_run_resumed_and_reported(tmp_path, capsys):
    folder = tmp_path / "grid"
    assert plan(GRID, folder) == 0.0
    assert "6 of 6 variants to run" in capsys.readouterr().out
    assert not folder.exists()
    ablate(GRID, folder, variants=["gru-0.5"])
    table = ablate(GRID, folder)
    assert "4 of 6 variants to run" in capsys.readouterr().out
    for variant in GRID.variants:
        rows = pd.read_parquet(folder / "rows" / f"{variant.name}.parquet")
        assert rows.score.tolist() == score(variant.config, [0, 1])
        config = json.loads(rows.config[0])
        assert config["rate"] == variant.config.rate
        assert config["cell"]["type"].endswith(type(variant.config.cell).__name__)
        assert "0x" not in rows.config[0]
    text = (folder / "report.md").read_text()
    assert text.startswith("# Which cell?\n")
    assert table in text
    assert all(f"| {variant.name} | 2 |" in table for variant in GRID.variants)
    assert "solved" not in table
    base, other = (np.mean(score(GRID.variants[i].config, [0, 1])) for i in (0, 3))
    assert f"| {other - base:+.4f} |" in table
    assert report(GRID, folder) == table


def test_a_list_of_runs_knows_a_study(tmp_path, monkeypatch):
    folder = tmp_path / "grid"
    ablate(GRID, folder, variants=["lstm-2.0"])
    listed = read_run(folder)
    assert (listed.experiment, listed.problems) == ("ablation-grid", [])
    means = [np.mean(score(variant.config, [0, 1])) for variant in GRID.variants]
    assert listed.status.status == "finished"
    assert listed.status.message == f"2 of 6 variants; score {means[0]:.4g} to {means[1]:.4g}"
    assert listed.config["variants"] == [variant.name for variant in GRID.variants]
    assert "ablation-grid" in run_table([listed], {folder: "grid"})

    def stopped(config, seeds):
        assert read_run(folder).status.status == "running"
        raise Interrupted(signal.SIGTERM)

    halted = dataclasses.replace(GRID, trainer=Trials(score), seeds=3)
    monkeypatch.setattr(Trials, "run", lambda self, config, seeds, progress: stopped(config, seeds))
    with pytest.raises(Interrupted):
        ablate(halted, folder)
    assert read_run(folder).status.status == "stopped"
    RunFolder(folder).write_status("running", None)
    assert read_run(folder).status.status == "killed"


def test_the_folder_of_a_run_is_not_that_of_a_study(tmp_path):
    RunFolder.create(tmp_path / "run", {"experiment": "memory-smoke"})
    with pytest.raises(FileExistsError, match="folder: expected a new one or that of a study, got that of a run"):
        ablate(GRID, tmp_path / "run")
    assert read_run(tmp_path / "run").experiment == "memory-smoke"


def test_more_seeds_are_added_and_fewer_than_one_are_refused(tmp_path):
    small = Study("?", "score", Trials(score), [Variant("a", "?", Mine())], seeds=1)
    ablate(small, tmp_path)
    assert "| a | 3 |" in ablate(small, tmp_path, seeds=3)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=f"seeds: expected at least 1, got {wrong}"):
            ablate(small, tmp_path, seeds=wrong)


def twice(config, seeds):
    """Another training."""
    return [2 * value for value in score(config, seeds)]


def test_rows_of_another_training_are_not_taken_for_those_of_a_variant(tmp_path):
    ablate(Study("?", "score", Trials(score), [Variant("a", "?", Mine())]), tmp_path)
    with pytest.raises(ValueError, match=r"expected rows of 'a' .* got rows with another config or training"):
        ablate(Study("?", "score", Trials(twice), [Variant("a", "?", Mine())]), tmp_path)


BAD_GRIDS = {
    "field": ({"rates": [1]}, "grid: expected fields of Mine, got 'rates'"),
    "cells": ({"cell": [Elman()]}, "grid: expected a mapping of names to values for cell, since the names would be "),
    "number": ({"rate": 0.5}, "grid: expected a sequence or mapping of values for rate, got 0.5"),
    "word": ({"rate": "0.5"}, "grid: expected a sequence or mapping of values for rate, got '0.5'"),
    "empty": ({"rate": []}, "grid: expected axes of at least one value each, got none"),
}


@pytest.mark.parametrize(("axes", "message"), BAD_GRIDS.values(), ids=BAD_GRIDS)
def test_axes_that_make_no_grid(axes, message):
    with pytest.raises(ValueError, match=message):
        Study.grid("?", "score", Trials(score), Mine(), **axes)


@pytest.mark.parametrize("base", [Mine, {"rate": 0.5}])
def test_a_grid_needs_a_config(base):
    with pytest.raises(ValueError, match="grid: expected a config, an object of a dataclass, got "):
        Study.grid("?", "score", Trials(score), base, rate=[0.5])


def test_a_function_is_no_trainer():
    with pytest.raises(ValueError, match=r"trainer: expected a Trainer, such as Trials\(function\), got <function"):
        Study("?", "score", score, [Variant("a", "?", Mine())])  # pyright: ignore[reportArgumentType]


def test_an_executor_that_is_none(tmp_path):
    study = Study("?", "score", Trials(score), [Variant("a", "?", Mine())])
    with pytest.raises(ValueError, match="executor: expected one of local, ray, got 'slurm'"):
        ablate(study, tmp_path, executor="slurm")  # pyright: ignore[reportArgumentType]


def test_rows_of_another_cell_are_not_taken_for_those_of_a_variant(tmp_path):
    ablate(GRID, tmp_path, variants=["lstm-0.5"])
    other = Study("?", "score", Trials(score), [Variant("lstm-0.5", "?", Mine(GRU()))])
    with pytest.raises(ValueError, match=r"expected rows of 'lstm-0.5' with its current config, got rows with another"):
        ablate(other, tmp_path)


class Own(Trainer):
    """A trainer that defines no more than it must."""

    note = "Scores are made up"

    def run(self, config, seeds, progress):
        return [Outcome(seed, 0.5, parameters=1_234) for seed in seeds]


def test_a_trainer_needs_no_more_than_a_run(tmp_path):
    study = Study("?", "score", Own(), [Variant("a", "?", Mine()), Variant("b", "?", Mine(GRU()), "a")])
    assert "| 1,234 |" in ablate(study, tmp_path)
    assert "How to read it: Scores are made up. Mean, sample" in (tmp_path / "report.md").read_text()
    with pytest.raises(ValueError, match="b: expected a variant that changes something, got the computation of 'a'"):
        Study("?", "score", Own(), [Variant("a", "?", Mine()), Variant("b", "?", Mine(seed=3), "a")])


def test_a_seed_without_a_score_diverged():
    found = Trials(diverging).run(Mine(), [0, 1], lambda share: None)
    assert [(outcome.score, outcome.diverged, outcome.steps) for outcome in found] == [(0.25, None, 7), (None, 0, 0)]


WRONG: dict[str, tuple[Any, str]] = {
    "too few": (lambda config, seeds: [0.5], "train: expected a score for each of 2 seeds, got 1"),
    "none": (lambda config, seeds: None, "train: expected a sequence of scores, one for each seed, got None"),
    "by seed": (lambda config, seeds: dict.fromkeys(seeds, 0.5), "train: expected a sequence of scores"),
    "text": (lambda config, seeds: "55", "train: expected a sequence of scores, one for each seed, got '55'"),
    "texts": (lambda config, seeds: ["0.5", "0.5"], "train: expected a number or an Outcome for each seed, got '0.5'"),
    "nothing": (lambda config, seeds: [None, 0.5], "train: expected a number or an Outcome for each seed, got None"),
    "other seeds": (
        lambda config, seeds: [Outcome(seed + 1, 0.5) for seed in seeds],
        "train: expected the outcome of seed 0, got that of 1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_scores_are_named(name):
    train, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        Trials(train).run(Mine(), [0, 1], lambda share: None)


class Plain:
    """An object that is no dataclass, and prints as its address."""

    def __init__(self, size):
        self.size = size

    def __call__(self):
        return self.size


class Other(Plain):
    """Another callable object with the same fields."""


def test_json_values_tell_values_apart_and_are_the_same_again():
    def made(number):
        return lambda x: x * number

    values = [
        *(LSTM(), GRU(), Elman(), Elman(activation="relu"), Elman(recurrent_init=identity())),
        *(functools.partial(score, seeds=[1]), functools.partial(score, seeds=[2]), score, made(1), made(2)),
        *(Plain(1), Plain(2), Other(1), Mine, np.arange(2), jax.numpy.arange(3), np.float32(0.25)),
        *({"x", "y"}, frozenset("xz"), 1, 1.5, "1", None, True, (1, 2), {"a": 1}, {"a": 2}),
    ]
    texts = [json.dumps(as_json(value)) for value in values]
    assert len(set(texts)) == len(texts)
    assert not any("0x" in text for text in texts)
    assert as_json(made(1)) == as_json(made(1))
    assert as_json(Elman(recurrent_init=identity())) == as_json(Elman(recurrent_init=identity()))
    assert described(Mine(seed=1)) == described(Mine(seed=2)) == {"kind": "Mine", "cell": as_json(LSTM()), "rate": 0.5}


# A user of the wheel has no folder `experiments`: an own cell, own data and an own training, in a script.
SCRIPT = '''
import dataclasses, sys
from pathlib import Path
from typing import ClassVar

sys.modules["experiments"] = None  # an import of it fails
import jax, jax.numpy as jnp, numpy as np, optax
from rnnjax import RNN, Cell, Elman, HiddenState, PointwiseCell
from rnnjax.ablations import Study, Trials, ablate, plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaky(PointwiseCell):
    """A leaky integrator."""

    gates: ClassVar[int] = 1
    keep: float = 0.5

    def update(self, extras, inputs, recurrent, state):
        return HiddenState(self.keep * state.hidden + (1 - self.keep) * jnp.tanh(inputs + recurrent))


@dataclasses.dataclass(frozen=True)
class Mine:
    cell: Cell = Leaky()
    updates: int = 30


def train(config, seeds):
    """The negative error in the mean of 6 numbers, after training on it."""
    layer, optimizer = RNN(config.cell, 8), optax.adam(3e-2)
    inputs = jnp.asarray(np.random.default_rng(0).normal(size=(64, 6, 1)), jnp.float32)

    def loss(params):
        outputs, _ = layer.apply({"params": params}, inputs)
        return ((outputs[:, -1].mean(-1) - inputs.mean((1, 2))) ** 2).mean()

    def step(carry, _):
        value, gradients = jax.value_and_grad(loss)(carry[0])
        updates, state = optimizer.update(gradients, carry[1])
        return (optax.apply_updates(carry[0], updates), state), value

    def one(seed):
        params = layer.init(jax.random.key(seed), inputs)["params"]
        return jax.lax.scan(step, (params, optimizer.init(params)), length=config.updates)[1]

    losses = np.array([jax.jit(one)(seed) for seed in seeds])
    assert (losses[:, -1] < losses[:, 0]).all(), losses
    return -losses[:, -1]


cells = {"leaky": Leaky(), "slow": Leaky(keep=0.9), "elman": Elman()}
study = Study.grid("Does a leak help?", "minus error", Trials(train), Mine(), cell=cells, seeds=2)

if __name__ == "__main__":
    folder, executor = Path(sys.argv[1]), sys.argv[2]
    plan(study, folder)
    ablate(study, folder, variants=["leaky"])
    ablate(study, folder, executor=executor)
    assert ablate(study, folder)
'''


def ran_script(folder, executor):
    script = folder / "own.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "own.py", "sweep", executor]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_script_sweeps_an_own_cell_and_training_without_experiments(tmp_path):
    out = ran_script(tmp_path, "local")
    assert [f"{left} of 3 variants to run" in out for left in (3, 2, 1, 0)] == [True, True, False, True]
    frame = pd.concat(pd.read_parquet(file) for file in sorted((tmp_path / "sweep" / "rows").glob("*.parquet")))
    assert sorted(set(frame.variant)) == ["elman", "leaky", "slow"]
    assert frame.score.lt(0).all()
    assert json.loads(frame.config.iloc[-1])["cell"]["keep"] == 0.9
    text = (tmp_path / "sweep" / "report.md").read_text()
    assert "Commands: `python own.py sweep local`. " in text
    assert all(f"| {name} | 2 | -0." in text for name in ("leaky", "slow", "elman"))


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'rnnjax[ray]'")
def test_ray_runs_a_script_of_your_own(tmp_path):
    ran_script(tmp_path, "ray")
    assert len(list((tmp_path / "sweep" / "rows").glob("*.parquet"))) == 3
