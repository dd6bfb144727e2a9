"""Event files, read back by the published record format and tensorboardX's own protocol buffers."""

import contextlib
import io
import resource
import struct
from typing import Any

import jax
import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboardX.crc32c import crc32c
from tensorboardX.proto import event_pb2

import rnnjax.runs.tensorboard as module
from rnnjax.runs.tensorboard import TensorBoard
from rnnjax.training.histograms import EDGES, gradient_histograms

Event: Any = getattr(event_pb2, "Event")  # noqa: B009  a type checker does not know it
START = 1


def checksum(data):
    """The masked CRC of a TFRecord."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    """Every event of a file; a record is length, its checksum, the event, its checksum."""
    file = io.BytesIO(path.read_bytes())
    while header := file.read(8):
        assert struct.unpack("<I", file.read(4)) == (checksum(header),)
        data = file.read(*struct.unpack("<Q", header))
        assert struct.unpack("<I", file.read(4)) == (checksum(data),)
        yield Event.FromString(data)


def values(folder):
    """(step, value) of all summaries of a folder's only file."""
    (path,) = folder.iterdir()
    return [(event.step, value) for event in records(path) for value in event.summary.value]


def shown(folder):
    """step -> number by tag, as TensorBoard shows them: a start hides what is of its step or after."""
    numbers: dict[str, dict[int, float]] = {}
    starts = 0
    for path in sorted(folder.iterdir()):
        for event in records(path):
            if event.session_log.status == START:
                starts += 1
                if starts > 1:  # TensorBoard's Python reader takes the first for no restart
                    kept = {tag: {s: x for s, x in of.items() if s < event.step} for tag, of in numbers.items()}
                    numbers = kept
            for value in event.summary.value:
                steps = numbers.setdefault(value.tag, {})
                assert event.step not in steps, "shown twice"
                steps[event.step] = value.simple_value
    return numbers


def test_scalars_by_step_and_name(tmp_path):
    with TensorBoard(tmp_path / "run" / "tensorboard") as board:
        board.scalars(1, {"train/loss": 0.5, "learning rate": 1e-3})
        board.scalars(7, {"train/loss": np.float32(0.25), "tokens": 123_456, "gradient/norm": jax.numpy.float32(3)})
        board.scalars(8, {"train/loss": float("nan"), "train/accuracy": float("inf")})
        board.scalars(9, {})
    got = [(step, value.tag, value.simple_value) for step, value in values(tmp_path / "run" / "tensorboard")]
    expected = [
        *[(1, "train/loss", 0.5), (1, "learning rate", float(np.float32(1e-3)))],
        *[(7, "train/loss", 0.25), (7, "tokens", 123_456), (7, "gradient/norm", 3)],
        *[(8, "train/loss", float("nan")), (8, "train/accuracy", float("inf"))],
    ]
    assert [entry[:2] for entry in got] == [entry[:2] for entry in expected]
    np.testing.assert_array_equal([entry[2] for entry in got], [entry[2] for entry in expected])


def test_the_file_begins_with_its_version(tmp_path):
    TensorBoard(tmp_path).close()
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("events.out.tfevents.")
    version, start = records(path)
    assert (version.file_version, start.session_log.status, start.step) == ("brain.Event:2", START, 0)


def test_a_histogram_is_the_array_that_it_was_made_of(tmp_path):
    array = (np.random.default_rng(0).normal(size=(30, 40)) * 1e-3).astype(np.float32)
    array[:3] = 0
    tree = {"a": {"kernel": array}, "bad": np.array([1, np.nan, -np.inf], np.float32), "worse": array * np.nan}
    with TensorBoard(tmp_path) as board:
        board.histograms(4, jax.jit(gradient_histograms)(tree))
        board.histograms(5, {})
    (_, kernel), (_, bad), *rest = values(tmp_path)
    assert kernel.tag == "a/kernel"
    histogram = kernel.histo
    assert (histogram.min, histogram.max, histogram.num) == (array.min(), array.max(), array.size)
    np.testing.assert_allclose(histogram.sum, array.sum(), rtol=1e-4)
    np.testing.assert_allclose(histogram.sum_squares, (array.astype(np.float64) ** 2).sum(), rtol=1e-5)
    limits = np.array(histogram.bucket_limit)
    below = EDGES[np.searchsorted(EDGES, limits[0]) - 1]
    np.testing.assert_array_equal(histogram.bucket, np.histogram(array, [below, *limits])[0])
    assert histogram.bucket[0] > 0
    assert histogram.bucket[-1] > 0
    assert (bad.tag, bad.histo.num, list(bad.histo.bucket)) == ("bad", 1, [1])
    assert [(step, value.tag, value.simple_value) for step, value in rest] == [
        (4, "bad/not_finite", 2),
        (4, "worse/not_finite", array.size),
    ]


def test_limits_of_a_histogram_are_finite(tmp_path):
    with TensorBoard(tmp_path) as board:
        board.histograms(1, jax.jit(gradient_histograms)({"w": np.array([-3e38, 0, 1e30], np.float32)}))
    ((_, value),) = values(tmp_path)
    limits = np.array(value.histo.bucket_limit)
    assert np.isfinite(limits).all()
    assert (np.diff(limits) > 0).all()
    assert limits[-1] == np.float32(1e30)


def test_a_figure_is_the_image_that_matplotlib_draws(tmp_path):
    figure = Figure(figsize=(2, 1.5), dpi=80)
    figure.subplots().plot([1, 3, 2])
    figure.savefig(tmp_path / "figure.png")
    with TensorBoard(tmp_path / "board") as board:
        board.figure(3, "curves", figure)
    ((step, value),) = values(tmp_path / "board")
    assert (step, value.tag, value.image.width, value.image.height) == (3, "curves", 160, 120)
    image = matplotlib.image.imread(io.BytesIO(value.image.encoded_image_string), format="png")
    np.testing.assert_array_equal(image, matplotlib.image.imread(tmp_path / "figure.png"))


def test_a_resumed_run_shows_no_step_twice(tmp_path):
    with TensorBoard(tmp_path) as board:
        for step in range(1, 9):
            board.scalars(step, {"loss": step, **({"validation": step} if step % 4 == 0 else {})})
    for session in (1, 2):
        with TensorBoard(tmp_path, resumed_at=4) as board:
            for step in (5, 6):
                board.scalars(step, {"loss": 100 * session + step})
    assert shown(tmp_path) == {"loss": {1: 1, 2: 2, 3: 3, 4: 4, 5: 205, 6: 206}, "validation": {4: 4}}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_run_that_starts_again_shows_nothing_of_the_earlier_one(tmp_path):
    for session in (1, 2):
        with TensorBoard(tmp_path) as board:
            board.scalars(1, {"loss": session})
    assert shown(tmp_path) == {"loss": {1: 2}}


def test_what_was_written_is_on_disk_before_the_end(tmp_path, monkeypatch):
    board = TensorBoard(tmp_path)
    board.scalars(1, {"loss": 1})
    board.flush()
    assert len(values(tmp_path)) == 1
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.0)
    board.scalars(2, {"loss": 1})
    assert len(values(tmp_path)) == 2
    board.close()


def test_after_closing_nothing_is_lost_in_silence(tmp_path):
    with TensorBoard(tmp_path) as board:
        board.scalars(1, {"loss": 1})
    board.close()
    for write in (lambda: board.scalars(2, {"loss": 2}), board.flush, lambda: board.histograms(2, {})):
        with pytest.raises(ValueError, match="event file: expected an open file, got a closed one"):
            write()
    assert len(values(tmp_path)) == 1


@pytest.fixture
def full_disk():
    """No file may grow beyond 2,000 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_an_error_while_training(tmp_path, full_disk):
    board = TensorBoard(tmp_path)
    many = {f"loss/{number}": number for number in range(1000)}  # more than a buffer
    with pytest.raises(OSError, match="File too large"):
        board.scalars(1, many)
    with contextlib.suppress(OSError):  # an error where anything is left to write; the file is closed either way
        board.close()


def test_a_full_disk_is_an_error_at_the_end(tmp_path, full_disk):
    def train():
        with TensorBoard(tmp_path) as board:
            for step in range(60):  # less than a buffer, so that closing writes it
                board.scalars(step, {"loss": step})

    with pytest.raises(OSError, match="File too large"):
        train()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        TensorBoard(tmp_path / "file" / "tensorboard")
