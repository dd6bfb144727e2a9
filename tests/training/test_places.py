"""Checkpoints that are whole, and not where they belong: refused, with what was expected and what was found."""

import os
import shutil

import jax
import numpy as np
import pytest
from resealed import adopt, change_object
from toy import make_model, make_params

from rnnjax.runs import Checkpoints, RunFolder, load_best
from rnnjax.runs.checkpoints import find_checkpoints
from rnnjax.runs.checksums import seal
from rnnjax.runs.places import MisplacedError
from rnnjax.training import Optimizer, TrainState
from rnnjax.training.position import Best, Position


@pytest.fixture(scope="module")
def state():
    return TrainState.create(
        make_params(make_model()), Optimizer(learning_rate=1e-2).transformation(9), jax.random.key(0)
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory, state):
    """Two runs of one config, whose second epoch of three was the best."""
    runs = [tmp_path_factory.mktemp("runs") / name for name in ("one", "two")]
    for path in runs:
        folder = RunFolder.create(path, {"rate": 0.5, "epochs": 3}, {"vocabulary.json": "{}"})
        with (
            folder.metrics() as log,
            Checkpoints(path / "checkpoints", before=lambda log=log: log.mark, run=folder) as checkpoints,
        ):
            for epoch in (1, 2, 3):
                log.write({"epoch": epoch, "of": path.name})
                params = jax.tree.map(lambda leaf, epoch=epoch: leaf + epoch, state.params)
                best = Best(min(epoch, 2), 4 * min(epoch, 2), 0.5)
                checkpoints.save(state._replace(params=params), Position(epoch, step=4 * epoch, best=best))
            checkpoints.wait()
    return runs


@pytest.fixture
def runs(made, tmp_path):
    return [shutil.copytree(path, tmp_path / path.name) for path in made]


def restore(run, state):
    with Checkpoints(run / "checkpoints", run=RunFolder(run)) as checkpoints:
        return checkpoints.restore(state)[1], checkpoints.log


def best(run, state):
    return load_best(run / "checkpoints", state.params, RunFolder(run).seals())


def test_what_is_where_it_belongs_comes_back(runs, state):
    position, mark = restore(runs[0], state)
    assert (position.epoch, position.step) == (3, 12)
    assert mark.bytes == (runs[0] / "metrics.jsonl").stat().st_size
    for leaf, plain in zip(*map(jax.tree.leaves, (best(runs[0], state), state.params)), strict=True):
        np.testing.assert_array_equal(leaf, plain + 2)
    # Neither what may change nor another folder's name is part of it.
    change_object(runs[0] / "config.json", epochs=9)
    best(runs[0].rename(runs[0].with_name("moved")), state)


def swap(one, two):
    os.rename(one, one.with_name("between"))
    os.rename(two, one)
    os.rename(one.with_name("between"), two)


def swapped(run, twin):
    swap(*find_checkpoints(run / "checkpoints"))


def renamed(run, twin):
    newest = find_checkpoints(run / "checkpoints")[-1]
    newest.rename(newest.with_name("epoch007-step00000020"))


def other_best(run, twin):
    """A whole checkpoint, of this run, under the name of the best one."""
    older, newest = find_checkpoints(run / "checkpoints")
    shutil.rmtree(older)
    shutil.copytree(newest, older)


def other_run(run, twin):
    for own, other in zip(*(find_checkpoints(path / "checkpoints") for path in (run, twin)), strict=True):
        shutil.rmtree(own)
        shutil.copytree(other, own)


def other_runs_best(run, twin):
    own, other = (find_checkpoints(path / "checkpoints")[0] for path in (run, twin))
    shutil.rmtree(own)
    shutil.copytree(other, own)


def other_value(run, twin):
    change_object(run / "config.json", rate=0.25)


def other_words(run, twin):
    (run / "vocabulary.json").write_text('{"a": 1}')


DIGITS = r"[0-9a-f]{12}"
OTHER_NAME = "expected the checkpoint of that name, found the checkpoint epoch"
PLACES = {
    swapped: f"epoch003-step00000012: {OTHER_NAME}002-step00000008",
    renamed: f"epoch007-step00000020: {OTHER_NAME}003-step00000012",
    other_best: f"epoch002-step00000008: {OTHER_NAME}003-step00000012",
    other_run: rf"epoch003.*: expected a checkpoint of this run \(run {DIGITS}\), found one .* another \({DIGITS}\)",
    other_runs_best: rf"epoch002-step00000008: expected a checkpoint of this run \(run {DIGITS}\), found one",
    other_value: rf"of this run \(config.json {DIGITS}\), found one .* another \({DIGITS}\)",
    other_words: rf"of this run \(vocabulary.json {DIGITS}\), found one .* another \({DIGITS}\)",
}


@pytest.mark.parametrize("change", PLACES)
@pytest.mark.parametrize("read", [restore, best])
def test_what_is_not_where_it_belongs_is_refused(read, change, runs, state):
    change(*runs)
    with pytest.raises(MisplacedError, match=PLACES[change]) as refused:
        read(runs[0], state)
    assert "\n" not in str(refused.value)
    assert len(find_checkpoints(runs[0] / "checkpoints")) == 2


def test_a_run_without_a_name_takes_its_checkpoints_by_the_rest(runs, state):
    other_run(*runs)
    (runs[0] / "environment.json").unlink()
    best(runs[0], state)
    # To resume the run, they must also fit its metrics.
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 3: .*of another run; remove the file"):
        restore(runs[0], state)


def test_a_checkpoint_that_does_not_say_how_far_its_log_went_is_refused(runs, state):
    for checkpoint in find_checkpoints(runs[0] / "checkpoints"):
        (checkpoint / "run.json").write_text("{}")
    adopt(runs[0], *find_checkpoints(runs[0] / "checkpoints"))
    with pytest.raises(ValueError, match=r"run.json: mark: expected bytes and a seal, got None"):
        restore(runs[0], state)


def test_a_checkpoint_that_says_nothing_of_its_run_is_damaged(runs, state):
    newest = find_checkpoints(runs[0] / "checkpoints")[-1]
    (newest / "run.json").write_text("[]")
    seal(newest)
    with pytest.warns(UserWarning, match="damaged checkpoint, ignored: .*run.json: expected a JSON object, got list"):
        assert restore(runs[0], state)[0].step == 8
