"""Checkpoints: what is written is what comes back, damage is found, and nothing whole is ever lost."""

import resource
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import make_batch, make_model, make_objective, make_state

from rnnjax.runs import Checkpoints, load_best
from rnnjax.runs import checkpoints as checkpoints_module
from rnnjax.runs.checkpoints import find_checkpoints, newest
from rnnjax.training import DivergedError, Optimizer, TrainState, batch_mesh, train_step
from rnnjax.training.position import Best, Position

MODEL = make_model()
OPTIMIZER = Optimizer(learning_rate=3e-2, schedule="linear").transformation(20)
# Best of the second epoch of three, with sums of a fourth one under way.
POSITION = Position(3, 2, 14, {"loss": np.asarray(0.1), "confusion": np.eye(2) / 3}, 1.5, Best(2, 8, 0.75), 1)


@pytest.fixture(scope="module")
def state():
    """A state after a step: Adam's moments are no zeros."""
    step = train_step(make_objective(MODEL), OPTIMIZER, batch_mesh(2), clip=1.0)
    return jax.device_get(step(make_state(MODEL, OPTIMIZER, step), make_batch())[0])


def filled(path, state, steps=(0, 4, 8), **options):
    """A folder with checkpoints of an epoch each."""
    with Checkpoints(path, keep=9, **options) as checkpoints:
        for epoch, step in enumerate(steps):
            marked = state._replace(params=jax.tree.map(lambda leaf, step=step: leaf + step, state.params))
            checkpoints.save(marked, Position(epoch, step=step))
        checkpoints.wait()
    return path


def names(path):
    return sorted(child.name for child in path.iterdir())


def assert_same(one, two):
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            left, right = jax.random.key_data(left), jax.random.key_data(right)
        np.testing.assert_array_equal(left, right)


def test_the_whole_state_comes_back_bit_for_bit(tmp_path, state):
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        checkpoints.save(state, Position(2, step=8))
        checkpoints.save(state, POSITION)
        checkpoints.wait()
        empty = TrainState.create(jax.tree.map(jnp.zeros_like, state.params), OPTIMIZER, jax.random.key(9))
        back, position = checkpoints.restore(empty)
    assert_same(back, state)
    assert jax.tree.structure(back) == jax.tree.structure(empty)
    assert position._replace(sums={}) == POSITION._replace(sums={})
    assert position.sums.keys() == POSITION.sums.keys()
    for name, value in POSITION.sums.items():
        np.testing.assert_array_equal(position.sums[name], value)


def test_of_an_averaged_state_both_come_back_and_the_average_is_what_is_used(tmp_path, state):
    averaged = state._replace(average=jax.tree.map(lambda leaf: leaf + 1, state.params))
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        checkpoints.save(averaged, Position(3, step=14, best=Best(3, 14, 0.75)))
        checkpoints.wait()
        zeros = jax.tree.map(jnp.zeros_like, state.params)
        back, _ = checkpoints.restore(TrainState.create(zeros, OPTIMIZER, jax.random.key(9), averaged=True))
        assert_same(back, averaged)
        assert_same(checkpoints.best_params(zeros), averaged.average)
        with pytest.raises(ValueError, match="expected"):
            checkpoints.restore(TrainState.create(zeros, OPTIMIZER, jax.random.key(9)))


def test_the_newest_and_the_best_are_kept(tmp_path, state):
    with Checkpoints(tmp_path / "checkpoints", keep=2) as checkpoints:
        for epoch in range(6):
            best = None if epoch == 0 else Best(min(epoch, 2), 10 * min(epoch, 2), 0.5)
            checkpoints.save(state, Position(epoch, step=10 * epoch, best=best))
        checkpoints.wait()
    assert names(tmp_path / "checkpoints") == [
        "epoch002-step00000020",
        "epoch004-step00000040",
        "epoch005-step00000050",
    ]


def test_one_is_due_after_steps_or_minutes(tmp_path, state, monkeypatch):
    now = 0.0
    monkeypatch.setattr("rnnjax.runs.checkpoints.time.monotonic", lambda: now)
    with Checkpoints(tmp_path / "a", steps=3) as checkpoints:
        assert [checkpoints.due() for _ in range(3)] == [False, False, True]
        checkpoints.save(state, POSITION)
        assert not checkpoints.due()
    with Checkpoints(tmp_path / "b", minutes=2) as checkpoints:
        assert not checkpoints.due()
        now = 119.0
        assert not checkpoints.due()
        now = 120.0
        assert checkpoints.due()


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGE = {
    "missing": (lambda file: file.unlink(), "found none"),
    "truncated": (cut, "expected the bytes that were written"),
    "flipped": (flip, "expected the bytes that were written"),
    "added": (lambda file: (file.parent / "more").write_text("x"), "more: expected no such file"),
    "link": (
        lambda file: (file.unlink(), file.symlink_to("/dev/zero")),
        "expected a file or folder, got a symbolic link",
    ),
}


@pytest.mark.parametrize("part", ["params", "training", "position.json"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(damage, part, tmp_path, state):
    path = filled(tmp_path / "checkpoints", state)
    last = path / "epoch002-step00000008"
    files = [last / part] if part.endswith("json") else sorted(f for f in (last / part).rglob("*") if f.is_file())
    harm, message = DAMAGE[damage]
    harm(files[-1])
    with Checkpoints(path) as checkpoints:
        with pytest.warns(UserWarning, match=f"damaged checkpoint, ignored: .*{message}"):
            back, position = checkpoints.restore(state)
        assert position.step == 4
        assert_same(back.params, jax.tree.map(lambda leaf: leaf + 4, state.params))
        assert names(path) == ["damaged-epoch002-step00000008", "epoch000-step00000000", "epoch001-step00000004"]
        # The run comes to that step again.
        checkpoints.save(state, Position(2, step=8))
        checkpoints.wait()
        assert checkpoints.restore(state)[1].step == 8


def test_broken_checksums_are_damage_too(tmp_path, state):
    path = filled(tmp_path / "checkpoints", state)
    for text in ("", "[]", "{" * 10**5):
        (path / "epoch002-step00000008" / "checksums.json").write_text(text)
        with pytest.warns(UserWarning, match=r"checksums\.json: expected"):
            assert newest(path).name == "epoch001-step00000004"


def test_no_whole_checkpoint_is_an_error_and_no_new_beginning(tmp_path, state):
    path = filled(tmp_path / "checkpoints", state)
    for checkpoint in find_checkpoints(path):
        flip(checkpoint / "position.json")
    with Checkpoints(path) as checkpoints, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):  # and again, when somebody looks again
            with pytest.raises(ValueError, match="expected an undamaged checkpoint, got 3, all of them damaged"):
                checkpoints.restore(state)
    with (
        Checkpoints(tmp_path / "empty") as checkpoints,
        pytest.raises(FileNotFoundError, match="expected a checkpoint"),
    ):
        checkpoints.restore(state)


def test_a_checkpoint_of_another_model_is_refused(tmp_path, state):
    path = filled(tmp_path / "checkpoints", state)
    wider = make_model(logits=3)
    step = train_step(make_objective(MODEL), OPTIMIZER, batch_mesh(2), clip=1.0)
    with Checkpoints(path) as checkpoints, pytest.raises(ValueError, match="expected parameters of this model, got: "):
        checkpoints.restore(make_state(wider, OPTIMIZER, step))


def test_the_best_parameters_are_those_of_the_best_epoch(tmp_path, state):
    path = filled(tmp_path / "checkpoints", state)
    with Checkpoints(path) as checkpoints:
        checkpoints.save(state, Position(3, step=12, best=Best(1, 4, 0.5)))
        assert_same(checkpoints.best_params(state.params), jax.tree.map(lambda leaf: leaf + 4, state.params))
    flip(path / "epoch001-step00000004" / "position.json")
    with pytest.warns(UserWarning, match="wrong checksum.*; the newest checkpoint is used"):
        assert_same(load_best(path, state.params), state.params)
    with Checkpoints(path) as checkpoints, pytest.warns(UserWarning, match="best epoch is now chosen"):
        assert checkpoints.restore(state)[1].best is None


def test_parameters_that_were_never_trained_are_nobodys_best(tmp_path, state):
    path = filled(tmp_path / "checkpoints", state, steps=(0, 4))
    flip(path / "epoch001-step00000004" / "position.json")
    with (
        pytest.warns(UserWarning, match="damaged checkpoint, ignored|the newest checkpoint is used"),
        pytest.raises(
            ValueError, match="expected an undamaged checkpoint of trained parameters, got damaged ones only"
        ),
    ):
        load_best(path, state.params)


def test_a_full_disk_is_named_and_leaves_what_was_whole(tmp_path, state):
    path = filled(tmp_path / "checkpoints", state, steps=(0, 4))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpoints(path) as checkpoints:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))  # no file may be longer than so many bytes
            checkpoints.save(state, POSITION)
            with pytest.raises(
                OSError, match=r"the checkpoint could not be written .*; the last complete one is .*step00000004"
            ):
                checkpoints.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert names(path) == ["epoch000-step00000000", "epoch001-step00000004"]  # no half-written one fills the disk
        assert checkpoints.restore(state)[1].step == 4


def test_whoever_reads_a_live_run_looks_again(tmp_path, state, monkeypatch):
    path = filled(tmp_path / "checkpoints", state, steps=(0, 4))
    later = state._replace(params=jax.tree.map(lambda leaf: leaf + 1, state.params))
    plain, moved = checkpoints_module.check_seal, []

    def while_it_is_read(folder):
        if not moved:  # as the writer does: a newer one, and away with the oldest
            moved.append(folder)
            with Checkpoints(path, keep=1) as checkpoints:
                checkpoints.save(later, POSITION._replace(best=None))
                checkpoints.wait()
        plain(folder)

    monkeypatch.setattr(checkpoints_module, "check_seal", while_it_is_read)
    with pytest.warns(UserWarning, match="checkpoint of the best epoch, found none; the newest checkpoint is used"):
        assert_same(load_best(path, state.params), later.params)
    assert not moved[0].exists()


def test_what_a_killed_writer_left_is_cleared(tmp_path, state):
    path = filled(tmp_path / "checkpoints", state, steps=(0,))
    shutil.copytree(path / "epoch000-step00000000", path / ".writing-epoch001-step00000004")
    shutil.copytree(path / "epoch000-step00000000", path / ".removed-epoch001-step00000002")
    (path / "mine").write_text("keep")
    with Checkpoints(path):
        assert names(path) == ["epoch000-step00000000", "mine"]


def test_parameters_that_are_not_finite_are_never_written(tmp_path, state):
    path = filled(tmp_path / "checkpoints", state, steps=(0,))
    bad = state._replace(params=jax.tree.map(lambda leaf: leaf * np.inf, state.params))
    with (
        Checkpoints(path) as checkpoints,
        pytest.raises(DivergedError, match="after step 14: expected finite parameters"),
    ):
        checkpoints.save(bad, POSITION)
    assert names(path) == ["epoch000-step00000000"]


@pytest.mark.parametrize("options", [{"keep": 0}, {"steps": 0}, {"minutes": -1.0}])
def test_numbers_out_of_range_are_named(options, tmp_path):
    with pytest.raises(ValueError, match=f"{next(iter(options))}: expected a number above 0"):
        Checkpoints(tmp_path, **options)
