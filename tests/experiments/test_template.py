"""The study to be copied: it learns, is killed and resumed, and is short."""

import functools
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from complaints import complaint_of, end_of
from small_runs import act_after, lines, terminate

from experiments import template
from rnnjax.commands import parse_run
from rnnjax.runs import RunFolder, load_config
from rnnjax.runs.reading import read_run

ROOT = Path(template.__file__).parent.parent
SMALL = ["--hidden", "8", "--steps", "4", "--devices", "2", "--batch-size", "64", "--learning-rate", "0.01"]


class Command:
    """The template as a Command."""

    PROGRAM = template.PROGRAM
    main = functools.partial(parse_run, template.Template, template.train, template.PROGRAM)


def told(path):
    """The lines of the metrics without times."""
    return [
        {name: line[name] for name in line if "seconds" not in name and "second" not in name} for line in lines(path)
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "whole"
    Command.main([*SMALL, "--epochs", "6", "--run-folder", str(path)])
    return path


def test_it_has_at_most_80_lines():
    assert len(Path(template.__file__).read_text().splitlines()) <= 80


def test_it_learns_and_says_so(whole, capsys):
    run = read_run(whole)
    assert (run.status.status, run.experiment, run.problems) == ("finished", "template", [])
    assert run.score is not None
    assert run.score.name == "loss"
    assert not run.score.higher_is_better
    losses = [line["validation_loss"] for line in run.metrics.epochs]
    assert run.score.value == min(losses) < 0.2 * losses[0]
    assert set(run.metrics.finals["validation"]) >= {"loss", "within_0.1"}
    assert (whole / "figures" / "learning_curves.png").stat().st_size > 0
    assert not (whole / "vocabulary.json").exists()


def test_the_loss_is_that_of_the_last_numbers_minus_the_first():
    config = template.Template(steps=5, batch_size=50)
    batch = next(template.data(config)[1](0, 0))
    rows = np.arange(50)
    np.testing.assert_array_equal(batch.targets, batch.inputs[rows, batch.lengths - 1, 0] - batch.inputs[:, 0, 0])
    assert {1, 5} <= set(batch.lengths.tolist())


@pytest.mark.parametrize("after", [pytest.param(1, marks=pytest.mark.slow), 40])
def test_stopped_and_resumed_it_ends_as_if_it_had_not_been(whole, after, tmp_path):
    path = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, after, terminate)
        assert end_of(Command, *SMALL, "--epochs", "6", "--run-folder", str(path)) == 143
    assert load_config(path, template.Template) == load_config(whole, template.Template)
    Command.main(["--resume", str(path), "--devices", "2"])
    assert told(path) == told(whole)
    assert RunFolder(path).config()["fingerprints"] == RunFolder(whole).config()["fingerprints"]


@pytest.mark.slow
def test_killed_it_goes_on(tmp_path):
    path = tmp_path / "run"
    program = [sys.executable, "-m", template.PROGRAM, *SMALL, "--epochs", "40", "--run-folder", str(path)]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if re.match(r" *2\*? +\d", line))  # the second epoch is done
        process.send_signal(signal.SIGKILL)
    assert read_run(path).status.status == "killed"
    Command.main(["--resume", str(path), "--epochs", "41", "--devices", "2"])
    run = read_run(path)
    assert (run.status.status, run.epoch) == ("finished", 41)
    assert [line["step"] for line in run.metrics.steps] == list(range(1, 41 * 32 + 1))


WHEEL = """
import runpy, sys
sys.modules["experiments"] = None  # as where only the library is installed
sys.argv = ["template.py", *sys.argv[1:]]
runpy.run_path("template.py", run_name="__main__")
"""
REOPEN = """
import sys
sys.modules["experiments"] = None
from rnnjax.runs import open_run
from template import Template, init
run = open_run("run", Template, init)
print(run.config.hidden, sum(leaf.size for leaf in run.params["Dense_0"].values()))
"""


@pytest.mark.slow
def test_a_copy_of_it_needs_nothing_but_the_library(tmp_path):
    (tmp_path / "template.py").write_text(Path(template.__file__).read_text())
    for script, arguments in ((WHEEL, [*SMALL, "--epochs", "1", "--run-folder", "run"]), (REOPEN, [])):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == "8 9\n"
    assert read_run(tmp_path / "run").status.status == "finished"


BAD = {
    "option": (["--epochs", "0"], "epochs: expected at least 1, got 0", 2),
    "devices": (["--batch-size", "3", "--devices", "2"], "batch size: expected a multiple of 2 devices, got 3", 1),
    "other config": (["--resume", "RUN", "--hidden", "9"], "hidden was 8 and is 9", 1),
    "other data": (["--resume", "RUN", "--seed", "9"], "seed was 0 and is 9", 1),
    "no run": (["--resume", "nothing"], "expected config.json in nothing, found none", 1),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_one_line(name, whole, tmp_path, capsys):
    arguments, message, status = BAD[name]
    given = [str(whole) if argument == "RUN" else argument for argument in arguments]
    place = [] if "--resume" in given else ["--run-folder", str(tmp_path / "run")]
    ended, error = complaint_of(Command, capsys, *given, *place)
    assert (ended, message in error) == (status, True), error


def test_a_run_of_another_study_is_no_templates(whole, tmp_path):
    config = json.loads((whole / "config.json").read_text())
    other = RunFolder.create(tmp_path / "other", {"experiment": "mine", "seed": config["seed"]})
    with pytest.raises(ValueError, match="expected the fields of Template, got a run of 'mine' without"):
        load_config(other.path, template.Template)
