"""Where a run stands: the numbers survive JSON, and whatever else is found there is named."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rnnjax.runs import RunFolder
from rnnjax.runs.checksums import CHECKSUMS, check_seal, seal
from rnnjax.training import processes
from rnnjax.training.position import Best, Position
from rnnjax.training.processes import arrays_from_first, from_first, is_first, on_first_process

FINITE = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**31 - 1)
SUMS = st.dictionaries(
    st.text(max_size=8), arrays(np.float64, array_shapes(min_dims=0, max_dims=2, max_side=3), elements=FINITE)
)
POSITIONS = st.builds(
    Position,
    *(COUNTS, COUNTS, COUNTS, SUMS, FINITE),
    *(st.none() | st.builds(Best, COUNTS, COUNTS, FINITE), COUNTS, st.none() | FINITE),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def bits(position):
    """A position's parts with every float as its bytes: -0.0 is not 0.0."""
    sums = {name: (value.shape, value.tobytes()) for name, value in position.sums.items()}
    return position._replace(sums=sums), str(position.seconds), str(position.best)


@given(POSITIONS)
@settings(deadline=None)
def test_every_number_survives_json(position):
    back = Position.from_json(json.loads(json.dumps(position.to_json(), allow_nan=False)))
    assert bits(back) == bits(position)


@given(JSON)
@settings(deadline=None)
def test_anything_else_is_named(value):
    with pytest.raises(ValueError, match=r"^position: expected the fields epoch, batch, "):
        Position.from_json(value)


FITS = {
    **dict.fromkeys(("epoch", "batch", "step", "waited"), lambda value: type(value) is int and 0 <= value < 2**31),
    "seconds": lambda value: type(value) in (int, float) and abs(value) < 1e308,
    "sums": lambda value: value == {},
    "best": lambda value: value is None,
}


@given(st.sampled_from(sorted(FITS)), JSON)
@settings(deadline=None)
def test_a_field_that_holds_another_thing_is_named(name, value):
    values = Position().to_json() | {name: value}
    try:
        back = Position.from_json(values)
    except ValueError as error:
        # A sum is named by itself.
        names = [name, *value] if name == "sums" and isinstance(value, dict) else [name]
        assert str(error).startswith(tuple(f"{name}: expected " for name in names))  # noqa: PT017
    else:
        if name == "sums":
            assert all(np.isfinite(total).all() for total in back.sums.values())
        else:
            assert FITS[name](value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sums": {"loss": "1"}}, "loss: expected numbers, got 1"),
        ({"sums": {"loss": True}}, "loss: expected numbers, got True"),
        ({"sums": {"loss": [[1.0], [2.0, 3.0]]}}, "loss: expected numbers, got "),
        ({"sums": {"loss": [1.0, 10**400]}}, "loss: expected numbers, got "),
        ({"sums": {"loss": None}}, "loss: expected numbers, got None"),
        ({"sums": {"loss": math.nan}}, "loss: expected finite numbers, got "),
        ({"seconds": 10**400}, "seconds: expected a finite number, got 1000"),
        ({"best": {"epoch": 1, "step": 1}}, "best: expected the fields epoch, step, score, got others"),
        ({"best": {"epoch": 1, "step": -1, "score": 0.5}}, "step: expected an integer from 0, got -1"),
        ({"best": {"epoch": 1, "step": 1, "score": "1"}}, "score: expected a finite number, got 1"),
        ({"colour": 1}, "position: expected the fields "),
    ],
)
def test_what_is_wrong_is_said(change, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Position.from_json(Position().to_json() | change)


def test_sums_stay_exact_where_float32_stops_counting():
    position = Position(sums={name: np.asarray(2.0**24) for name in ("correct", "steps")})
    for _ in range(3):
        position = position.plus({"correct": np.float32(1), "confusion": np.eye(2, dtype=np.float32)})
    assert (position.batch, position.step) == (3, 3)
    assert position.sums["correct"] == 2**24 + 3
    assert position.sums["steps"] == 2**24 + 3
    np.testing.assert_array_equal(position.sums["confusion"], 3 * np.eye(2))


def test_a_skipped_step_is_counted_and_adds_nothing():
    before = Position().plus({"loss": np.float32(2)})
    after = before.plus(None).plus(None)
    assert after.sums == {"loss": 2.0, "steps": 1.0, "skipped": 2.0}
    assert (after.batch, after.step) == (3, 3)
    assert before.sums == {"loss": 2.0, "steps": 1.0}
    assert Position().sums == {}


def test_an_epoch_begins_anew_and_remembers_the_best_one():
    position, seen = Position(), []
    for score in (0.5, 0.5, 0.7, 0.6, math.nextafter(0.7, 1)):
        position = position.plus({"loss": 1.0})._replace(seconds=3.0).after_epoch(score)
        seen.append((position.epoch, position.step, position.best, position.waited))
    first, third, last = Best(1, 1, 0.5), Best(3, 3, 0.7), Best(5, 5, math.nextafter(0.7, 1))
    assert seen == [(1, 1, first, 0), (2, 2, first, 1), (3, 3, third, 0), (4, 4, third, 1), (5, 5, last, 0)]
    assert (position.batch, position.sums, position.seconds) == (0, {}, 0.0)


# Checksums


@pytest.fixture
def sealed(tmp_path):
    folder = tmp_path / "sealed"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_bytes(b"bytes")
    (tmp_path / "outside").write_bytes(b"bytes")
    seal(folder)
    check_seal(folder)
    return folder


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "inner/../../outside", "inner", "", CHECKSUMS])
def test_a_checksum_of_what_is_outside_is_refused(name, sealed):
    sums = json.loads((sealed / CHECKSUMS).read_text())
    (sealed / CHECKSUMS).write_text(json.dumps({**sums, name: sums["inner/file"]}))
    with pytest.raises(ValueError, match="expected a file of the checkpoint, found none"):
        check_seal(sealed)


@pytest.mark.parametrize("checksum", [None, 5, [], "", "0" * 64])
def test_a_checksum_that_is_none_is_refused(checksum, sealed):
    (sealed / CHECKSUMS).write_text(json.dumps({"inner/file": checksum}))
    with pytest.raises(ValueError, match=r"inner/file: expected the bytes that were written, got others"):
        check_seal(sealed)


# Run folders


def test_a_run_in_use_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnjax.runs.folder.LOCK_SECONDS", 0.05)
    folder = RunFolder(tmp_path)
    message = f"^{tmp_path}: expected a run that no other process uses, got one in use$"
    with folder.lock(), pytest.raises(BlockingIOError, match=message):
        RunFolder(tmp_path).lock()
    RunFolder(tmp_path).lock().release()


def test_one_process_has_what_it_has():
    tree = {"a": np.arange(3)}
    assert is_first()
    assert from_first(b"\x00bytes") == b"\x00bytes"
    assert arrays_from_first(tree, tree) is tree
    assert on_first_process(lambda: b"alone") == b"alone"
    with pytest.raises(KeyError, match="alone"):
        on_first_process(lambda: {}["alone"])


def test_what_process_0_is_refused_the_others_hear_of(monkeypatch):
    sent = []
    monkeypatch.setattr("jax.process_count", lambda: 2)
    monkeypatch.setattr(processes, "from_first", lambda data: sent.append(data) or sent[0])

    def refuse() -> bytes:
        raise FileExistsError(17, "File exists", "run")

    with pytest.raises(FileExistsError):
        on_first_process(refuse)
    monkeypatch.setattr("jax.process_index", lambda: 1)
    with pytest.raises(ValueError, match=r"^process 0 has ended the run: run: File exists$"):
        on_first_process(refuse)
    sent[0] = b"+found"
    assert on_first_process(refuse) == b"found"
