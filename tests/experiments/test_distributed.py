"""Several processes, started for real, train as one does: the same losses, and none waits for one that is gone."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from complaints import last_of_each
from tiny_reviews import write_reviews

from experiments.sentiment import __main__ as sentiment
from experiments.sentiment.data import prepare
from experiments.sentiment.train import train
from experiments.sentiment.trained import open_run
from rnnjax.runs.execution import Execution
from rnnjax.training import processes as meeting

ROOT = Path(__file__).parents[2]
# Two and four processes sum in another order than one (measured: 1.3e-7).
PROCESSES_TOLERANCE = 2e-6
# Linear models are fitted in float32 by process 0, and stored in float16 (measured: 0; float16 rounds by 5e-4).
LINEAR_TOLERANCE = 1e-3
# A process that dies takes its connections along; those that hang are noticed by JAX's heartbeats only.
SECONDS_TO_NOTICE = 30


def start(run, reviews, processes, *options, resume=False, own=()):
    """The processes of one run, each with one CPU device; `own` are options of the last one alone."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    place = ["--resume" if resume else "--run-folder", str(run)]
    command, first = [sys.executable, "-m", "experiments.sentiment"], []
    sizes = ["--hidden", "4", "--embedding", "4", "--batch-size", "10", "--buckets", "1", "--dropout", "0.3"]
    if not resume:
        command += ["smoke"]
        first = ["--source", str(reviews), "--no-tensorboard", "--learning-rate", "0.01", *sizes]
    environment = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "HF_DATASETS_CACHE": str(run.parent / "cache")}

    def process(number):
        mine = own if number == processes - 1 else ()
        told = ["--distributed", "--coordinator", f"127.0.0.1:{port}", "--processes", processes, "--process", number]
        return subprocess.Popen(
            [*command, *last_of_each([*first, *place, *options, *mine, "--devices", "1", *told])],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return [process(number) for number in range(processes)]


def finish(processes):
    """What each printed; all of them must end well."""
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return [out for out, _ in outputs]


def lines(run, kind):
    every = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in every if line["kind"] == kind]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, reviews):
    """The run of one process, this one, on one device."""
    run = tmp_path_factory.mktemp("alone") / "run"
    _, smoke = sentiment.PRESETS["smoke"]
    sizes = {"hidden": 4, "embedding": 4, "batch_size": 10, "buckets": 1, "dropout": 0.3}
    execution = Execution(run_folder=run, devices=1, tensorboard=False)
    train(
        dataclasses.replace(smoke, source=str(reviews), learning_rate=0.01, epochs=3, execution=execution, **sizes),
        "sentiment-smoke",
    )
    return run


def assert_same_losses(run, alone):
    for kind, names in (("step", ("loss", "gradient_norm")), ("epoch", ("train_loss", "validation_loss"))):
        ours, wanted = lines(run, kind), lines(alone, kind)
        assert [line["step"] for line in ours] == [line["step"] for line in wanted]
        for name in names:
            np.testing.assert_allclose(
                [line[name] for line in ours], [line[name] for line in wanted], rtol=PROCESSES_TOLERANCE
            )


def correct(run):
    """Of each epoch and half of the validation part: whole numbers, which no order of summation changes."""
    return [line["correct"] for line in lines(run, "halves")], lines(run, "final")[0]["two_fold_accuracy"]


@pytest.mark.slow
def test_four_processes_give_the_losses_of_one(alone, reviews, tmp_path):
    outputs = finish(start(tmp_path / "run", reviews, 4, "--epochs", "3"))
    assert_same_losses(tmp_path / "run", alone)
    assert correct(tmp_path / "run") == correct(alone)
    assert "4 devices" in outputs[0]
    assert "best epoch" in outputs[0]
    assert not any(line for out in outputs[1:] for line in out.splitlines() if not line.startswith("[Gloo]"))


@pytest.mark.slow
def test_two_processes_have_the_linear_models_of_one(reviews, tmp_path):
    run = tmp_path / "run"
    finish(start(run, reviews, 2, "--epochs", "1", "--ngrams", "2"))
    trained = open_run(run)
    assert trained.linear is not None
    linear = prepare(trained.config).linear
    assert linear is not None
    assert linear.ngrams.keys.tolist() == trained.linear.ngrams.keys.tolist()
    np.testing.assert_allclose(trained.linear.weights, linear.weights, atol=LINEAR_TOLERANCE)
    np.testing.assert_allclose(trained.linear.biases, linear.biases, atol=LINEAR_TOLERANCE)
    one = train(dataclasses.replace(trained.config, execution=Execution(run_folder=tmp_path / "one", devices=1)), "one")
    assert_same_losses(run, one)


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed_stop_and_go_on(alone, reviews, tmp_path):
    run = tmp_path / "run"
    processes = start(run, reviews, 2, "--epochs", "500", "--checkpoint-steps", "5")
    log = run / "metrics.jsonl"
    while not (log.exists() and log.read_text().count("\n") > 15):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    processes[1].send_signal(signal.SIGKILL)
    _, errors = processes[0].communicate(timeout=SECONDS_TO_NOTICE)
    processes[1].communicate()
    assert processes[0].returncode == 1
    last = errors.splitlines()[-1]
    assert "another process of the run was lost" in last
    assert f"resume with: python -m experiments.sentiment --resume {run}" in last
    assert "Traceback" not in errors
    assert json.loads((run / "status.json").read_text())["status"] == "failed"
    before = lines(run, "step")[-1]["step"]

    processes = start(run, reviews, 2, "--epochs", "500", resume=True)
    while lines(run, "step")[-1]["step"] <= before + 3:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    processes[1].terminate()  # a signal to any of them stops all after the same step, as a scheduler does
    outputs = [process.communicate(timeout=SECONDS_TO_NOTICE) for process in processes]
    assert [process.returncode for process in processes] == [128 + signal.SIGTERM] * 2, outputs
    assert "stopped by SIGTERM after step" in outputs[0][1]
    steps = lines(run, "step")
    assert [line["step"] for line in steps] == list(range(1, len(steps) + 1))
    both = list(zip(steps, lines(alone, "step"), strict=False))  # whichever has more of them
    assert len(both) > 15
    ours, wanted = ([line["loss"] for line in column] for column in zip(*both, strict=True))
    np.testing.assert_allclose(ours, wanted, rtol=PROCESSES_TOLERANCE)


@pytest.mark.slow
def test_processes_with_other_options_or_data_end_with_one_line(reviews, tmp_path):
    other = tmp_path / "other.csv"
    write_reviews(other, seed=1)
    for own, name in ((("--seed", "1"), "seed"), (("--source", str(other)), "data (held_out)")):
        processes = start(tmp_path / "run", reviews, 2, own=own)
        said = [process.communicate(timeout=120)[1] for process in processes]
        assert [process.returncode for process in processes] == [1, 1], said
        for error in said:
            words = f"experiments.sentiment: {name}: expected the same in every process, got"
            assert [line for line in error.splitlines() if words in line] == error.splitlines(), error
            assert len(error.splitlines()) == 1, error
    assert not (tmp_path / "run").exists()


WRONG = {
    "port": (("localhost", 2, 0), "coordinator: expected HOST:PORT, got 'localhost'"),
    "process": (("localhost:1", 2, 2), "process: expected 0 to 1, got 2"),
    "negative": (("localhost:1", 2, -1), "process: expected 0 to 1, got -1"),
    "some": ((None, 2, None), "coordinator, processes, process: expected all three or none"),
}


@pytest.mark.parametrize("case", WRONG)
def test_processes_that_cannot_meet(case):
    arguments, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        meeting.join(*arguments)


def test_a_process_0_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(meeting, "CONNECT_SECONDS", 0)
    with pytest.raises(ConnectionError, match=r"127.0.0.1:9: expected process 0 within 0 s, got no answer \("):
        meeting.join("127.0.0.1:9", 2, 1)


def test_processes_without_distributed():
    with pytest.raises(ValueError, match="coordinator, processes, process: expected --distributed with them"):
        Execution(processes=2)


@pytest.mark.slow
def test_no_cluster_and_no_coordinator_is_one_line(reviews):
    command = [sys.executable, "-m", "experiments.sentiment", "smoke", "--source", reviews, "--distributed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "coordinator, processes, process: expected all three outside a cluster" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
