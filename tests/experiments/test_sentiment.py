"""The main job on a small file: it trains, leaves a whole run folder, predicts and evaluates."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from matplotlib.image import imread
from tiny_reviews import TINY, write_reviews

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import train as training
from experiments.sentiment.config import TextClassification, build_model
from experiments.sentiment.train import train
from rnnjax.runs.execution import Execution
from rnnjax.training import init_params


def lines_of(run_folder, kind):
    lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


# What a config says of the layers themselves.
REGULARISED: dict[str, Any] = {"state_dropout": 0.2, "weight_dropout": 0.3, "zoneout": 0.1}


def test_the_run_folder_is_whole(run_folder):
    assert {path.name for path in run_folder.iterdir()} == {
        "config.json",
        "environment.json",
        "status.json",
        "lock",
        "tensorboard",
        "metrics.jsonl",
        "vocabulary.json",
        "checkpoints",
        "figures",
    }
    config = json.loads((run_folder / "config.json").read_text())
    assert (config["experiment"], config["hidden"], config["classes"]) == ("sentiment-bilstm-max", 8, ["0", "1"])
    steps, epochs = lines_of(run_folder, "step"), lines_of(run_folder, "epoch")
    assert [line["step"] for line in steps] == list(range(1, 7 * 12 + 1))
    assert [line["epoch"] for line in epochs] == list(range(1, 13))
    first = [line["loss"] for line in steps[:7]]
    # 108 training rows: six batches of 16 and one of 12.
    np.testing.assert_allclose(epochs[0]["train_loss"], np.average(first, weights=[16] * 6 + [12]), atol=0.02)
    assert max(line["validation_accuracy"] for line in epochs) > 0.9
    figures = sorted(path.name for path in (run_folder / "figures").iterdir())
    assert figures == ["confusion_validation.png", "learning_curves.png", "lengths.png"]
    assert all(imread(run_folder / "figures" / name).std() > 0.02 for name in figures)


def test_it_prints_facts_model_epochs_scores_and_times(tmp_path, reviews, capsys):
    sentiment.main(["smoke", *TINY, "--source", str(reviews), "--run-folder", str(tmp_path / "run")])
    out = capsys.readouterr().out
    for part in (
        "training     108  50.0% 50.0%",
        "unique words in training",
        "kernel 8x32, bias 32",
        "epoch  train loss",
        "best epoch",
        "true \\ predicted",
        "compile (1 + 1 shapes)",
        "evaluate",
    ):
        assert part in out


def test_predict_scores_arguments_and_lines(run_folder, capsys, monkeypatch):
    texts = ["a lovely film", "an awful plot", "", "zzz"]
    sentiment.main(["predict", str(run_folder), *texts])
    from_arguments = capsys.readouterr().out
    stdin = io.TextIOWrapper(io.BytesIO("".join(f"{text}\n" for text in texts).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    sentiment.main(["predict", str(run_folder)])
    assert capsys.readouterr().out == from_arguments
    rows = [line.split("\t") for line in from_arguments.splitlines()]
    assert [text for _, _, text in rows] == texts
    assert [name for name, _, _ in rows[:2]] == ["1", "0"]
    for _, shares, _ in rows:
        assert sum(float(share.split("=")[1]) for share in shares.split()) == pytest.approx(1, abs=2e-4)


def test_lines_end_at_newlines_only(run_folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("a film\x85a plot\r\nfine\n".encode())))
    sentiment.main(["predict", str(run_folder)])
    assert len(capsys.readouterr().out.split("\n")) == 3


def test_a_line_is_printed_for_every_text(run_folder, capsys):
    sentiment.main(["predict", str(run_folder), "two\nlines", "a\ttab"])
    assert [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()] == ["two lines", "a tab"]


def test_evaluate_gives_the_numbers_that_training_printed(run_folder, capsys):
    sentiment.main(["evaluate", str(run_folder), "--devices", "2"])
    out = capsys.readouterr().out
    (final,) = lines_of(run_folder, "final")
    assert re.search(" +".join(f"{final[name]:.4f}" for name in ("accuracy", "macro_f1", "loss")), out)
    assert "part validation, 12 rows" in out


@pytest.mark.slow
def test_a_run_finds_its_source_again_from_anywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_reviews(tmp_path / "mine.csv")
    run = tmp_path / "run"
    sentiment.main(["smoke", *TINY, "--source", "~/mine.csv", "--run-folder", str(run)])
    monkeypatch.chdir("/")
    sentiment.main(["evaluate", str(run), "--devices", "2"])
    assert f"{tmp_path / 'mine.csv'}, part validation, 12 rows" in capsys.readouterr().out


def test_evaluate_takes_another_source(run_folder, tmp_path, capsys):
    other = write_reviews(tmp_path / "other.csv", rows=40, seed=5)
    sentiment.main(["evaluate", str(run_folder), "--source", str(other), "--devices", "2"])
    assert "part train, 40 rows" in capsys.readouterr().out


@pytest.mark.slow
def test_names_that_figures_could_read_as_formulas_end_no_run(tmp_path):
    source = write_reviews(tmp_path / "reviews.csv", classes=("$1_$2", "\\frac{^"))
    options = ["--source", str(source), "--epochs", "1", "--run-folder", str(tmp_path / "run")]
    sentiment.main(["bilstm-max", *TINY, *options])
    assert json.loads((tmp_path / "run" / "status.json").read_text())["status"] == "finished"
    assert (tmp_path / "run" / "figures" / "confusion_validation.png").stat().st_size > 0


@pytest.mark.slow
def test_a_test_part_is_scored_once_more(tmp_path, reviews, capsys):
    folder = tmp_path / "parts"
    folder.mkdir()
    write_reviews(folder / "train.csv", rows=60, classes=("bad", "good"))
    write_reviews(folder / "validation.csv", rows=20, seed=1, classes=("bad", "good"))
    write_reviews(folder / "test.csv", rows=30, seed=2, classes=("bad", "good"))
    run = tmp_path / "run"
    sentiment.main(["smoke", *TINY, "--source", str(folder), "--run-folder", str(run)])
    assert [line["part"] for line in lines_of(run, "final")] == ["validation", "test"]
    assert (run / "figures" / "confusion_test.png").exists()
    assert "bad, good" in capsys.readouterr().out


def tiny(reviews, path, **changes):
    options = {"source": str(reviews), "embedding": 8, "hidden": 8, "longest": 20, "buckets": 1, "batch_size": 16}
    execution = Execution(run_folder=path, devices=changes.pop("devices", 2))
    return TextClassification(**{**options, "dropout": 0.3, "input_dropout": 0.2, "execution": execution, **changes})


@pytest.mark.slow
def test_the_same_seed_gives_the_same_curve_on_one_device_and_on_two(tmp_path, reviews):
    curves = []
    for devices in (1, 2):
        path = train(tiny(reviews, tmp_path / str(devices), devices=devices, epochs=2, **REGULARISED), "test")
        curves.append([line["loss"] for line in lines_of(path, "step")])
    assert len(curves[0]) == 14
    np.testing.assert_allclose(*curves, rtol=2e-5)
    other = train(tiny(reviews, tmp_path / "other", devices=2, epochs=1, seed=1, **REGULARISED), "test")
    assert abs(lines_of(other, "step")[0]["loss"] - curves[0][0]) > 1e-3


def test_a_config_regularises_every_layer():
    config = TextClassification(layers=2, **REGULARISED)
    stack: Any = build_model(config, 100, 2).recurrent
    for both in stack.layers:
        for layer in (both.forward, both.backward):
            assert {name: getattr(layer, name) for name in REGULARISED} == REGULARISED


def test_the_classic_presets_are_the_networks_of_their_names():
    three, both = (
        jax.eval_shape(
            lambda name=name: init_params(build_model(sentiment.PRESETS[name][1], 100, 2), jax.random.key(0))
        )
        for name in ("gru3", "bilstm2")
    )
    assert [three["recurrent"][f"layers_{i}"]["cell"]["input"]["kernel"].shape for i in range(3)] == [(64, 192)] * 3
    assert three["head"]["kernel"].shape == (64, 1)
    for i, inputs in enumerate((64, 128)):
        for direction in ("forward", "backward"):
            assert both["recurrent"][f"layers_{i}"][direction]["cell"]["input"]["kernel"].shape == (inputs, 256)
    shapes = {name: both[name]["kernel"].shape for name in ("dense_0", "dense_1", "head")}
    assert shapes == {"dense_0": (128, 32), "dense_1": (32, 16), "head": (16, 1)}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["gru3", "bilstm2"])
def test_the_classic_presets_run(preset, tmp_path, reviews, capsys):
    options = ["--epochs", "1", "--source", str(reviews), "--run-folder", str(tmp_path / "run")]
    sentiment.main([preset, *TINY, *options])
    assert "best epoch 1" in capsys.readouterr().out


CHANGES = {
    "cell": {"cell": "gru"},
    "layers": {"layers": 2},
    "bidirectional": {"bidirectional": False},
    "pooling": {"pooling": "mean"},
    "dense": {"dense": (8,)},
    "cut": {"longest": 5, "cut": "end"},
    "pad": {"pad": "start"},
    "dtype": {"dtype": "bfloat16"},
    "bag of words": {"layers": 0},
    "word order": {"word_order": "reversed"},
    "word dropout": {"word_dropout": 0.5},
}


@pytest.fixture(scope="module")
def plain_loss(tmp_path_factory, reviews):
    return first_loss(reviews, tmp_path_factory.mktemp("plain") / "run")


def first_loss(reviews, path, **changes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "draw", lambda *_: None)  # a second each
        train(tiny(reviews, path, devices=2, epochs=1, rows=36, **changes), "test")
    return lines_of(path, "step")[0]["loss"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, id=name, marks=() if name == "word dropout" else pytest.mark.slow)
        for name, change in CHANGES.items()
    ],
)
def test_an_option_changes_something(change, tmp_path, reviews, plain_loss):
    assert first_loss(reviews, tmp_path / "run", **change) != plain_loss


@pytest.mark.slow
def test_the_recurrence_changes_nothing(tmp_path, reviews, plain_loss):
    # float32 sums in another order
    np.testing.assert_allclose(first_loss(reviews, tmp_path / "run", recurrence="scan"), plain_loss, rtol=1e-5)


@pytest.mark.slow
def test_the_commands_run_as_programs(tmp_path, reviews):
    def program(*arguments):
        root = Path(__file__).parents[2]
        environment = {
            **os.environ,
            "HF_DATASETS_CACHE": str(tmp_path / "cache"),
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        }
        command = [sys.executable, "-W", "error:::rnnjax", "-m", *arguments]
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)

    listed = program("experiments")
    assert listed.returncode == 0
    assert "Is a movie review positive or negative?" in listed.stdout
    assert "python -m experiments.sentiment" in listed.stdout
    unknown = program("experiments", "sentimnt")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    assert "options: expected none (a study runs by python -m experiments.NAME), got 'sentimnt'" in unknown.stderr
    run = tmp_path / "run"
    done = program("experiments.sentiment", "smoke", "--source", str(reviews), "--run-folder", str(run))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
    wrong = program("experiments.sentiment", "predict", str(tmp_path))
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert wrong.stderr.startswith("experiments.sentiment: run folder: expected config.json in")
