"""Studies without checkpoints: their runs have a lock and a status, stop in good order, and are listed."""

import json
import os
import signal

import numpy as np
import pytest
from complaints import complaint_of, last_of_each
from made_runs import listed
from small_runs import read, terminate

from experiments.ctc import __main__ as ctc
from experiments.gradient_flow import __main__ as gradient_flow
from experiments.restaurant import __main__ as restaurant
from experiments.reversal import __main__ as reversal
from experiments.tagging import __main__ as tagging
from rnnjax.runs import RunFolder
from rnnjax.runs.log import Log
from rnnjax.runs.reading import read_run

SYNTHETIC = ["smoke", "--train", "16", "--validation", "8", "--test", "8", "--hidden", "4", "--batch-size", "8"]
SYNTHETIC += ["--longest", "4", "--devices", "2"]
FLOW = ["--time", "6", "--hidden", "4", "--batch-size", "2", "--updates", "2", "--train-time", "4", "--scales", "1"]
FOLDS = ["--folds", "2", "--proper-epochs", "1", "--epochs", "1", "--hidden", "4", "--longest", "4", "--devices", "2"]
# The program, the kind of the line after which it is stopped, and the steps that its status knows of then.
STUDIES = {
    "tagging": (tagging, SYNTHETIC, "epoch", 2),
    "reversal": (reversal, SYNTHETIC, "epoch", 2),
    "ctc": (ctc, SYNTHETIC, "epoch", 2),
    "gradient_flow": (gradient_flow, FLOW, "flow", None),
    "restaurant": (restaurant, FOLDS, "outcome", None),
}
every_study = pytest.mark.parametrize("name", STUDIES)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "sentences.txt"
    path.write_text("".join(f"{('bad', 'good')[row % 2]} food {row}\t{row % 2}\n" for row in range(12)))
    return str(path)


def arguments(name, path, sentences, *more):
    source = [sentences] if name == "restaurant" else []
    return last_of_each([*source, *STUDIES[name][1], "--run-folder", path, *more])


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def act_after_line(patch, kind, act):
    """Has the study do something once it has written a line of this kind."""
    plain = Log._line

    def patched(self, found, *more):
        plain(self, found, *more)
        if found == kind:
            act()

    patch.setattr(Log, "_line", patched)


@pytest.mark.quick("ctc")
@every_study
def test_a_run_ends_as_finished_and_is_listed(name, sentences, tmp_path, capsys):
    path, statuses, plain = tmp_path / "runs" / name, [], RunFolder.write_status

    def write_status(self, status, *more):
        plain(self, status, *more)
        statuses.append((status, read_run(self.path).status.status))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "write_status", write_status)
        STUDIES[name][0].main(arguments(name, path, sentences))
    # While it runs, the lock is held: a reader sees that it is running, not killed.
    assert statuses == [("running", "running"), ("finished", "finished")]
    capsys.readouterr()
    (row,) = listed(capsys, tmp_path / "runs")
    assert (row["run"], row["status"]) == (name, "finished")
    assert "note" not in row
    assert read_run(path).problems == []
    with RunFolder(path).lock():  # it is free again
        pass


SIGTERM, CTRL_C = (terminate, signal.SIGTERM), (press_ctrl_c, signal.SIGINT)
SIGNALS = [*((name, *SIGTERM) for name in STUDIES), ("tagging", *CTRL_C), ("gradient_flow", *CTRL_C)]


@pytest.mark.quick("ctc-*")
@pytest.mark.parametrize(("name", "act", "number"), SIGNALS)
def test_a_signal_stops_a_run(name, act, number, sentences, tmp_path, capsys):
    path, (study, _, kind, step) = tmp_path / "run", STUDIES[name]
    with pytest.MonkeyPatch.context() as patch:
        act_after_line(patch, kind, act)
        status, error = complaint_of(study, capsys, *arguments(name, path, sentences))
    message = f"stopped by {number.name}" + ("" if step is None else f" after step {step}")
    # It cannot be resumed, and does not say so.
    assert (status, error) == (128 + number, f"{study.PROGRAM}: {message}\n")
    found = read(path, "status.json")
    assert (found["status"], found["step"], found["message"]) == ("stopped", step, message)
    capsys.readouterr()
    (row,) = listed(capsys, tmp_path)
    assert (row["status"], row["note"]) == ("stopped", message)


DIVERGING = {"tagging": ["--learning-rate", "1e38"], "restaurant": ["--learning-rate", "1e38", "--epochs", "20"]}


@pytest.mark.quick("tagging")
@pytest.mark.parametrize("name", DIVERGING)
def test_a_run_with_a_network_that_diverges_has_diverged(name, sentences, tmp_path, capsys):
    path, study = tmp_path / "run", STUDIES[name][0]
    status, error = complaint_of(study, capsys, *arguments(name, path, sentences, *DIVERGING[name]))
    found = read(path, "status.json")
    assert (status, found["status"]) == (1, "diverged")
    assert error == f"{study.PROGRAM}: {found['message']}\n"
    assert read_run(path).problems == []


def test_an_error_ends_a_run_as_failed(tmp_path, capsys):
    def fail():
        raise OSError(28, "No space left on device", "somewhere")

    path = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        act_after_line(patch, "flow", fail)
        status, error = complaint_of(gradient_flow, capsys, *arguments("gradient_flow", path, ""))
    found = read(path, "status.json")
    assert (status, found["status"]) == (1, "failed")
    assert "No space left on device" in error
    assert "go on with" not in error


@pytest.mark.slow
def test_the_epochs_of_all_networks_of_a_run_are_logged(tmp_path, capsys):
    path = tmp_path / "run"
    tagging.main(arguments("tagging", path, "", "--epochs", "2"))
    printed = capsys.readouterr().out
    epochs = [
        line for line in map(json.loads, (path / "metrics.jsonl").read_text().splitlines()) if line["kind"] == "epoch"
    ]
    networks = ["GRU, forward", "GRU, both directions"]
    assert [(line["network"], line["epoch"]) for line in epochs] == [
        (net, epoch) for net in networks for epoch in (1, 2)
    ]
    for line in epochs:
        assert np.isfinite(line["train_loss"])
        losses = f"training loss {line['train_loss']:.4f}, validation loss {line['validation_loss']:.4f}"
        accuracy = f"accuracy {line['validation_accuracy']:.4f}"
        assert f"{line['network']}, epoch {line['epoch']}: {losses}, {accuracy}\n" in printed
    assert read(path, "status.json")["step"] == 8  # of both networks
