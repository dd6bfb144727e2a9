"""Studies that train in blocks on the devices survive SIGTERM and SIGKILL, and end as those never stopped."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from complaints import complaint_of, end_of
from small_runs import lines, terminate

from experiments.forecast import __main__ as forecast
from experiments.forecast.config import Forecast
from experiments.memory import __main__ as memory
from experiments.memory.config import Memory
from rnnjax.runs import RunFolder, load_config
from rnnjax.runs.log import Log
from rnnjax.runs.reading import read_run

ROOT = Path(memory.__file__).parents[2]
SMALL = {
    "memory": ["--time", "4", "--updates", "120", "--block", "10", "--no-stop", "--recurrence", "scan", "--seeds", "3"],
    "forecast": ["--epochs", "8", "--patience", "9", "--hidden", "4", "--seeds", "3"],
}
STUDIES = {"memory": memory, "forecast": forecast}
# The killed process compiles as a user's does, the tests' own with less optimisation: 1.1e-6 measured.
PROCESSES = 1e-4
BLOCKS = {"memory": 12, "forecast": 8}


def act_after(patch, count, act):
    """Has the training do something once so many blocks have their lines."""
    plain, seen = Log.epoch, []

    def patched(self, *arguments):
        plain(self, *arguments)
        seen.append(0)
        if len(seen) == count:
            act()

    patch.setattr(Log, "epoch", patched)


def arguments(name, path, *more):
    return ["smoke", *SMALL[name], "--devices", "2", "--run-folder", str(path), *more]


@pytest.fixture(scope="module", params=STUDIES)
def whole(request, tmp_path_factory):
    """The study's name, and a run that was never stopped."""
    path = tmp_path_factory.mktemp("whole") / "run"
    STUDIES[request.param].main(arguments(request.param, path))
    return request.param, path


def assert_same(path, whole):
    name, other = whole
    assert lines(path) == lines(other)
    assert read_run(path).status.status == "finished"
    if name == "forecast":
        for file in ("forecasts.csv", "test_forecasts.csv"):
            assert (path / file).read_bytes() == (other / file).read_bytes()


@pytest.mark.quick("memory-5")
@pytest.mark.parametrize("after", [1, 5])
def test_stopped_and_resumed_it_ends_as_if_it_had_not_been(whole, after, tmp_path, capsys):
    name, path = whole[0], tmp_path / "run"
    study = STUDIES[name]
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, after, terminate)
        status, error = complaint_of(study, capsys, *arguments(name, path))
    assert status == 143
    assert f"resume {path}" in error.replace("--", "")
    assert read_run(path).status.status == "stopped"
    assert read_run(path).epoch == after
    study.main(["--resume", str(path), "--devices", "2"])
    assert f"{after} {'epochs' if name == 'forecast' else 'blocks'}: " in capsys.readouterr().out
    assert read_run(path).epoch == BLOCKS[name]
    assert_same(path, whole)


@pytest.mark.quick("memory")
def test_what_was_written_after_the_checkpoint_is_written_again(whole, tmp_path):
    """As SIGKILL leaves it: lines of blocks that no checkpoint knows of, and half a line."""
    name, path = whole[0], tmp_path / "run"
    study = STUDIES[name]
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, 3, terminate)
        assert end_of(study, *arguments(name, path)) == 143
    with (path / "metrics.jsonl").open("a") as file:
        file.write((path / "metrics.jsonl").read_text().splitlines()[-1] + '\n{"kind": "ep')
    study.main(["--resume", str(path), "--devices", "2"])
    assert_same(path, whole)


@pytest.mark.quick("memory")
def test_a_finished_run_is_resumed_to_the_same_end(whole, tmp_path, capsys):
    name, path = whole
    before = lines(path)
    STUDIES[name].main(["--resume", str(path), "--devices", "2"])
    assert " are done\n" in capsys.readouterr().out
    assert lines(path) == before


@pytest.mark.slow
def test_killed_it_goes_on(whole, tmp_path):
    name, path = whole[0], tmp_path / "run"
    program = [sys.executable, "-m", STUDIES[name].PROGRAM, *arguments(name, path, "--checkpoint-steps", "1")]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:  # until the third block has its checkpoint
            if len([file for file in path.glob("checkpoints/epoch*") if file.name > "epoch002"]):
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
    assert read_run(path).status.status in ("killed", "finished")
    STUDIES[name].main(["--resume", str(path), "--devices", "2"])
    assert read_run(path).status.status == "finished"
    own, other = ([line for line in lines(run) if line["kind"] == "epoch"] for run in (path, whole[1]))
    assert [line.keys() for line in own] == [line.keys() for line in other]
    for one, another in zip(own, other, strict=True):
        for field in set(one) & {"train_loss", "validation_loss"}:
            np.testing.assert_allclose(one[field], another[field], rtol=PROCESSES)


@pytest.mark.slow
def test_a_run_that_had_ended_early_has_nothing_left(tmp_path, capsys):
    path = tmp_path / "run"
    options = ["--time", "3", "--updates", "2000", "--recurrence", "scan", "--run-folder", str(path), "--devices", "2"]
    memory.main(["smoke", *options])
    before = lines(path)
    assert before[-3]["step"] < 2000
    memory.main(["--resume", str(path), "--devices", "2"])
    assert lines(path) == before


def test_another_config_or_other_data_is_refused(whole, capsys):
    name, path = whole
    study, before = STUDIES[name], lines(whole[1])
    option = {"memory": ["--hidden", "9"], "forecast": ["--hidden", "9"]}[name]
    status, error = complaint_of(study, capsys, "--resume", str(path), *option)
    assert (status, "and is 9" in error) == (1, True), error
    assert lines(path) == before
    other = STUDIES["forecast" if name == "memory" else "memory"]
    status, error = complaint_of(other, capsys, "--resume", str(path))
    assert (status, f"got a run of '{name}-smoke'" in error) == (1, True), error


def test_a_run_is_opened_from_python(whole):
    name, path = whole
    config = load_config(path, {"memory": Memory, "forecast": Forecast}[name])
    assert (config.seeds, config.execution.devices) == (3, None)
    assert json.loads((path / "config.json").read_text())["experiment"] == f"{name}-smoke"
    assert RunFolder.open(path).config()["execution"]["checkpoint_minutes"] == pytest.approx(1 / 6)
    run = read_run(path)
    assert (run.problems, run.epoch, run.experiment) == ([], BLOCKS[name], f"{name}-smoke")
    assert run.score is not None
    assert run.score.name == {"memory": "score", "forecast": "loss"}[name]


@pytest.mark.slow
def test_the_option_of_checkpoints_by_updates_writes_more_of_them(tmp_path):
    saved = {}
    for steps in (20, 60):
        path = tmp_path / str(steps)
        memory.main(arguments("memory", path, "--checkpoint-steps", str(steps), "--keep", "99"))
        saved[steps] = sorted(int(child.name[-8:]) for child in (path / "checkpoints").iterdir())
    assert set(saved[20]) >= set(range(0, 121, 20))
    assert set(saved[60]) >= {0, 60, 120}
    assert len(saved[60]) < len(saved[20])
