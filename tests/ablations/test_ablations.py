"""The command that runs a study: plan, rows, resumption, report, and what it refuses."""

import functools
import json
import re
import subprocess
import sys

import datasets
import numpy as np
import pandas as pd
import pytest
from complaints import complaint_of

from experiments.ablations import __main__ as ablations
from experiments.ablations import runner
from experiments.ablations.studies import STUDIES
from experiments.ablations.trials import trained
from rnnjax.training import RunFolder

# Seeds side by side and alone are two programs; measured: 0.
SEEDS_TOLERANCE = 1e-5


@pytest.fixture(scope="module", autouse=True)
def compile_quickly(quick_compile):
    """For every test of this file."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("ablations") / "smoke"
    ablations.main(["smoke", "--folder", str(path)])
    return path


complaint = functools.partial(complaint_of, ablations)


def test_a_study_leaves_a_row_a_run(folder):
    frame = pd.concat(pd.read_parquet(file) for file in sorted((folder / "rows").glob("*.parquet")))
    assert sorted(zip(frame.variant, frame.seed, strict=True)) == [
        (name, seed) for name in ("base", "diverged", "lower") for seed in (0, 1)
    ]
    diverged = frame[frame.variant == "diverged"]
    assert diverged.score.isna().all()
    assert (diverged.diverged >= 1).all()
    assert frame[frame.variant != "diverged"].score.between(0, 1).all()
    again = datasets.load_dataset("parquet", data_files=str(folder / "rows" / "*.parquet"), split="train")
    assert sorted(again["variant"]) == sorted(frame.variant)
    config = json.loads(again[0]["config"])
    assert (config["task"], config["hidden"]) == ("recall", 8)
    assert json.loads(again[0]["environment"])["versions"]["jax"]


def test_the_report_has_a_line_a_variant(folder):
    text = (folder / "report.md").read_text()
    for line in ("| base | 2 | 0.", "| lower | 2 | 0.", "| diverged | 2 |  |  |  |  |  | "):
        assert line in text
    assert "2 (from step " in text
    assert "python -m experiments.ablations" in text
    base, lower = (np.mean(pd.read_parquet(folder / "rows" / f"{name}.parquet").score) for name in ("base", "lower"))
    assert f"| {lower - base:+.4f} |" in text
    for name in ("curves.png", "scores.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_what_has_been_run_is_not_run_again(folder, monkeypatch, capsys):
    asked = []
    plain = runner.trained

    def noted(config, seeds, told):
        asked.append((config.learning_rate, tuple(seeds)))
        return plain(config, seeds, told)

    monkeypatch.setattr(runner, "trained", noted)
    ablations.main(["smoke", "--folder", str(folder)])
    assert asked == []
    assert "0 of 3 variants to run" in capsys.readouterr().out
    (folder / "rows" / "lower.parquet").unlink()
    ablations.main(["smoke", "--folder", str(folder), "--seeds", "3", "--variants", "lower"])
    assert asked == [(1e-2, (2,)), (1e-4, (0, 1, 2))]
    first, second = [line for line in capsys.readouterr().out.splitlines() if re.match("[12]/2 ", line)]
    assert re.search(r"^1/2 base: .* s so far, about \d+ s left$", first)
    assert second.endswith("s so far")
    assert pd.read_parquet(folder / "rows" / "base.parquet").seed.tolist() == [0, 1, 2]


def test_a_dry_run_trains_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "trained", None)
    ablations.main(["smoke", "--dry-run", "--variants", "base", "--folder", str(tmp_path / "new")])
    out = capsys.readouterr().out
    assert "1 of 1 variants to run, at most" in out
    assert not list((tmp_path / "new" / "rows").iterdir())


def test_each_of_several_seeds_is_as_if_alone():
    config = STUDIES["smoke"].variants[0].config
    shares = []
    together = trained(config, [4, 1, 7], shares.append)
    (alone,) = trained(config, [1], lambda share: None)
    assert shares[-1] == 1.0
    assert together[1].curve_steps == alone.curve_steps == [20, 40, 60]
    np.testing.assert_allclose(together[1].curve_scores, alone.curve_scores, rtol=SEEDS_TOLERANCE)
    assert together[1].loss == pytest.approx(alone.loss, rel=SEEDS_TOLERANCE)
    assert len({outcome.loss for outcome in together}) == 3


BAD = {
    "study": (["smok"], 1, "study: expected one of cells-memory, "),
    "variant": (["smoke", "--variants", "bas"], 1, "variants: expected some of base, lower, diverged, got 'bas'"),
    "seeds": (["smoke", "--seeds", "0"], 2, "seeds: expected at least 1, got 0"),
    "place": (["smoke", "--folder", "/proc/nowhere"], 1, "folder: expected a place to write to, got /proc/nowhere"),
}


@pytest.mark.parametrize(("arguments", "status", "message"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_run_is_one_line(arguments, status, message, capsys, monkeypatch):
    monkeypatch.setattr(runner, "estimate", None)
    found, error = complaint(capsys, *arguments)
    assert (found, message in error) == (status, True), error


def test_a_full_disk_and_a_study_in_use_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("rnnjax.training.run_folder.LOCK_SECONDS", 0.05)
    with RunFolder(tmp_path).lock():
        assert "expected a run that nobody else works on" in complaint(capsys, "smoke", "--folder", tmp_path)[1]
    monkeypatch.setattr(runner, "SPARE", 2**60)
    message = f"folder: expected {2**60:,} bytes of free disk for {tmp_path}, got "
    assert message in complaint(capsys, "smoke", "--folder", tmp_path)[1]


def test_ray_runs_a_task_a_variant(folder, tmp_path):
    command = [sys.executable, "-m", "experiments.ablations", "smoke", "--executor", "ray", "--folder", tmp_path]
    done = subprocess.run([*command, "--variants", "lower"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    for name in ("base", "lower"):
        rows, local = (pd.read_parquet(place / "rows" / f"{name}.parquet") for place in (tmp_path, folder))
        assert rows.seed.tolist() == [0, 1]
        # A worker has one core, and so another program than two devices have.
        np.testing.assert_allclose(rows.score, local.score[:2], rtol=SEEDS_TOLERANCE)
