"""The command that runs a study: plan, rows, resumption, report, and what it refuses."""

import dataclasses
import functools
import importlib.util
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import datasets
import numpy as np
import pandas as pd
import pytest
from complaints import complaint_of

from experiments.ablations import __main__ as ablations
from experiments.ablations import trials
from experiments.ablations.command import run_studies
from experiments.ablations.studies import STUDIES
from experiments.ablations.text_studies import SMALL
from experiments.ablations.trials import ClassifierTrainer, MemoryTrainer
from rnnjax.ablations import Study, Variant, runner
from rnnjax.runs import RunFolder
from rnnjax.training import Objective
from rnnjax.training.seeds import SeedEpoch

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
    assert diverged.seconds.isna().all()  # of one block, of which compiling is a part
    assert (frame[frame.variant != "diverged"].seconds > 0).all()
    assert frame[frame.variant != "diverged"].score.between(0, 1).all()
    again = datasets.load_dataset("parquet", data_files=str(folder / "rows" / "*.parquet"), split="train")
    assert sorted(again["variant"]) == sorted(frame.variant)
    config = json.loads(again[0]["config"])
    assert (config["task"], config["hidden"]) == ("recall", 8)
    assert json.loads(again[0]["environment"])["versions"]["jax"]


def test_the_report_has_a_line_a_variant(folder):
    text = (folder / "report.md").read_text()
    for line in ("| base | 2 | 0.", "| lower | 2 | 0.", "| diverged | 2 |  |  |  |  |  | 0/2 |  | 2 (from step "):
        assert line in text
    assert "Commands: `python " in text
    base, lower = (np.mean(pd.read_parquet(folder / "rows" / f"{name}.parquet").score) for name in ("base", "lower"))
    assert f"| {lower - base:+.4f} |" in text
    for name in ("curves.png", "scores.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_what_has_been_run_is_not_run_again(folder, monkeypatch, capsys):
    asked = []
    plain = MemoryTrainer.run

    def noted(self, config, seeds, progress):
        asked.append((config.learning_rate, tuple(seeds)))
        return plain(self, config, seeds, progress)

    monkeypatch.setattr(MemoryTrainer, "run", noted)
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
    monkeypatch.setattr(MemoryTrainer, "run", None)
    ablations.main(["smoke", "--dry-run", "--variants", "base", "--folder", str(tmp_path / "new")])
    out = capsys.readouterr().out
    assert "1 of 1 variants to run, about" in out
    assert not (tmp_path / "new").exists()


def test_the_report_is_of_all_that_has_been_run(folder, tmp_path, capsys):
    place = tmp_path / "copy"
    shutil.copytree(folder, place)
    shutil.copy(place / "rows" / "lower.parquet", place / "rows" / "other.parquet")
    (place / "report.md").unlink()
    ablations.main(["smoke", "--folder", str(place), "--variants", "base"])
    text = (place / "report.md").read_text()
    assert all(f"| {name} | " in text for name in ("base", "lower", "diverged"))
    assert "ignored, because no variant of this study has this name: other.parquet" in capsys.readouterr().out
    (place / "rows" / "diverged.parquet").unlink()
    ablations.main(["smoke", "--folder", str(place), "--report"])
    assert "| diverged | 2 " not in (place / "report.md").read_text()
    assert "measuring" not in capsys.readouterr().out


def test_damaged_rows_of_any_variant_are_refused_before_anything_is_run(folder, tmp_path, monkeypatch):
    place = tmp_path / "copy"
    shutil.copytree(folder, place)
    (place / "rows" / "base.parquet").unlink()
    (place / "rows" / "lower.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(MemoryTrainer, "run", None)
    with pytest.raises(ValueError, match=r"lower\.parquet: expected the rows of a variant, got: "):
        ablations.main(["smoke", "--folder", str(place), "--variants", "base"])
    (place / "rows" / "lower.parquet").unlink()
    (place / "rows" / "lower.parquet").mkdir()
    with pytest.raises(ValueError, match=r"lower\.parquet: expected a file, got a folder"):
        ablations.main(["smoke", "--folder", str(place), "--variants", "base"])


def test_a_report_that_could_not_be_written_is_refused_before_anything_is_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(MemoryTrainer, "estimate", None)
    (tmp_path / "curves.png").mkdir()
    message = "folder: expected to write a file curves.png, got a folder of that name: "
    assert message in complaint(capsys, "smoke", "--folder", tmp_path)[1]


def test_rows_in_a_folder_that_is_a_link_are_neither_read_nor_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(MemoryTrainer, "estimate", None)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "rows").symlink_to(tmp_path / "theirs")
    for option in ([], ["--dry-run"], ["--report"]):
        told = complaint(capsys, "smoke", "--folder", tmp_path / "study", *option)[1]
        assert "rows: expected a folder, got a symbolic link" in told
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_study_of_ones_own_runs_by_the_same_command(tmp_path, capsys):
    base = dataclasses.replace(STUDIES["smoke"].variants[0].config, updates=20)
    own = Study("Does mine run?", "accuracy", MemoryTrainer(), [Variant("mine", "The base.", base)], seeds=1)
    run_studies({"own": own}, ["own", "--folder", str(tmp_path)])
    assert pd.read_parquet(tmp_path / "rows" / "mine.parquet").seed.tolist() == [0]
    assert "| mine | 1 | " in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_what_was_finished_before_a_kill_is_not_run_again(number, status, tmp_path, monkeypatch):
    command = [sys.executable, "-m", "experiments.ablations", "smoke", "--folder", tmp_path]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        while not (tmp_path / "rows" / "base.parquet").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, error = process.communicate()
    assert process.returncode == status
    if number == signal.SIGTERM:
        line = "stopped by SIGTERM; finished rows are kept; the same command resumes"
        assert error == f"experiments.ablations: {line}\n"
    asked = []
    plain = MemoryTrainer.run
    monkeypatch.setattr(
        MemoryTrainer,
        "run",
        lambda self, config, *rest: asked.append(config.learning_rate) or plain(self, config, *rest),
    )
    ablations.main(["smoke", "--folder", str(tmp_path)])
    assert 1e-2 not in asked
    assert len(list((tmp_path / "rows").glob("*.parquet"))) == 3


def test_a_text_classifier_that_would_have_stopped_has_not_diverged(monkeypatch):
    epochs = [
        SeedEpoch(
            number, 10 * number, {"loss": np.ones(2), "accuracy": np.array([score, score])}, [None, diverged], 5, 1.0
        )
        for number, (score, diverged) in enumerate([(0.9, None), (0.8, None), (0.5, None), (0.1, 35)], 1)
    ]

    class Stub:
        parameters, compile_seconds, steps = 7, 0.0, 40
        objective = Objective(lambda *_: {}, best="accuracy", highest=True)

        def epochs(self, watch):
            return epochs

    monkeypatch.setattr(trials, "seed_training", lambda *_: Stub())
    monkeypatch.setattr(trials, "_data", lambda config: None)
    for patience, scores, steps in ((1, [0.9, 0.9], [20, 20]), (None, [0.9, None], [40, 30])):
        config = dataclasses.replace(SMALL, patience=patience)
        found = ClassifierTrainer().run(config, [0, 1], lambda share: None)
        assert [outcome.score for outcome in found] == scores
        assert [outcome.steps for outcome in found] == steps
        assert [outcome.diverged for outcome in found] == [None, None if patience else 35]


@pytest.mark.slow
def test_each_of_several_seeds_is_as_if_alone():
    config = STUDIES["smoke"].variants[0].config
    shares = []
    together = MemoryTrainer().run(config, [4, 1, 7], shares.append)
    (alone,) = MemoryTrainer().run(config, [1], lambda share: None)
    assert shares[-1] == 1.0
    assert together[1].curve_steps == alone.curve_steps == [20, 40, 60]
    np.testing.assert_allclose(together[1].curve_scores, alone.curve_scores, rtol=SEEDS_TOLERANCE)
    assert together[1].loss == pytest.approx(alone.loss, rel=SEEDS_TOLERANCE)
    assert len({outcome.loss for outcome in together}) == 3


BAD = {
    "study": (["smok"], 1, "study: expected one of cells-memory, "),
    "variant": (["smoke", "--variants", "bas"], 1, "variants: expected some of base, lower, diverged, got 'bas'"),
    "seeds": (["smoke", "--seeds", "0"], 2, "seeds: expected at least 1, got 0"),
    "no study": (["--variants", "base"], 2, "study: expected the name of one with other options, got none"),
    "no study, ray": (["--executor", "ray"], 2, "study: expected the name of one with other options, got none"),
    "both": (["smoke", "--report", "--dry-run"], 2, "report: expected none of variants, seeds, dry_run and executor"),
    "report of some": (["smoke", "--report", "--seeds", "1"], 2, "report: expected none of variants, seeds, dry_run"),
    "no rows": (["smoke", "--report", "--folder", "{folder}"], 1, "report: expected rows in "),
    "no folder": (["smoke", "--report", "--folder", "{folder}/new"], 1, "/new, got none"),
    "place": (["smoke", "--folder", "/proc/nowhere"], 1, "folder: expected a place to write to, got /proc/nowhere"),
    "dry place": (
        ["smoke", "--dry-run", "--folder", "/proc/nowhere"],
        1,
        "folder: expected a place to write to, got /p",
    ),
    "file": (["smoke", "--dry-run", "--folder", "/dev/null"], 1, "folder: expected a place to write to, got /dev/null"),
}


@pytest.mark.parametrize(("arguments", "status", "message"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_run_is_one_line(arguments, status, message, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(MemoryTrainer, "estimate", None)
    found, error = complaint(capsys, *(argument.format(folder=tmp_path) for argument in arguments))
    assert (found, message in error) == (status, True), error
    assert not (tmp_path / "new").exists()


def test_a_full_disk_and_a_study_in_use_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("rnnjax.runs.folder.LOCK_SECONDS", 0.05)
    with RunFolder(tmp_path).lock():
        assert "expected a run that no other process uses" in complaint(capsys, "smoke", "--folder", tmp_path)[1]
    monkeypatch.setattr(runner, "SPARE", 2**60)
    message = f"folder: expected {2**60:,} bytes of free disk for {tmp_path}, got "
    assert message in complaint(capsys, "smoke", "--folder", tmp_path)[1]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'rnnjax[ray]'")
def test_ray_runs_a_task_a_variant(folder, tmp_path):
    command = [sys.executable, "-m", "experiments.ablations", "smoke", "--executor", "ray", "--folder", tmp_path]
    done = subprocess.run([*command, "--variants", "lower"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "Commands: `python -m experiments.ablations smoke --executor ray " in (tmp_path / "report.md").read_text()
    for name in ("base", "lower"):
        rows, local = (pd.read_parquet(place / "rows" / f"{name}.parquet") for place in (tmp_path, folder))
        assert rows.seed.tolist() == [0, 1]
        assert json.loads(rows.environment[0])["command"] == ["python", *map(str, command[1:]), "--variants", "lower"]
        # A worker has one core, and so another program than two devices have.
        np.testing.assert_allclose(rows.score, local.score[:2], rtol=SEEDS_TOLERANCE)
