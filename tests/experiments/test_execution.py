"""How a run is carried out: its options, and how it ends where something goes wrong."""

import math
import re
import resource
import time

import pytest
from complaints import complaint_of
from small_runs import TWO, act_after, checkpoints, lines, new, read
from tqdm import tqdm

from experiments.sentiment import __main__ as sentiment
from rnnjax.runs.report import Progress
from rnnjax.training import StepReport

pytestmark = pytest.mark.usefixtures("quick_runs")

# How runs end


@pytest.mark.slow
@pytest.mark.parametrize("debug", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_diverged_run_keeps_its_last_good_checkpoint(debug, tmp_path, reviews, capsys):
    path = tmp_path / "run"
    more = ["--learning-rate", "1e38", "--checkpoint-steps", "1", *(["--debug-nans"] if debug else [])]
    status, error = complaint_of(sentiment, capsys, *new(reviews, path, *more))
    assert status == 1
    said = "the parameters .* were not finite before|encountered in" if debug else "debug_nans finds|finite parameters"
    assert re.search(said, error), error
    found = read(path, "status.json")
    assert found["status"] == "diverged"
    assert found["message"] in error
    assert len(checkpoints(path)) >= 1
    for name in checkpoints(path):
        assert read(path / "checkpoints" / name, "position.json")["step"] <= found["step"]


@pytest.mark.slow
def test_a_full_disk_is_named_with_what_is_safe(tmp_path, reviews, capsys):
    path = tmp_path / "run"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        while not (path / "checkpoints" / "epoch001-step00000006").exists():  # its writing must not be cut off
            time.sleep(0.01)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((path / "metrics.jsonl").stat().st_size + 9, hard))

    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, 8, fill)
        try:
            status, error = complaint_of(sentiment, capsys, *new(reviews, path, "--no-tensorboard"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 1
    assert f"{path}: metrics.jsonl, event files or figures could not be written (File too large)" in error
    assert "the checkpoints written before are complete" in error
    sentiment.main(["--resume", str(path), *TWO])
    assert [line["step"] for line in lines(path) if line["kind"] == "step"] == list(range(1, 19))


# Options of how a run is carried out


@pytest.mark.slow
def test_checkpoints_are_as_many_and_as_often_as_asked(tmp_path, reviews, unbroken):
    often = tmp_path / "steps"
    sentiment.main(new(reviews, often, "--keep", "9", "--checkpoint-steps", "4", "--no-tensorboard"))
    steps = [int(name[-8:]) for name in checkpoints(often)]
    assert steps == [0, 4, 6, 10, 12, 16, 18]
    assert not (often / "tensorboard").exists()
    assert lines(often) == lines(unbroken)
    # The newest two, and that of the best epoch where it is neither.
    kept = checkpoints(unbroken)
    assert kept[-2:] == ["epoch002-step00000012", "epoch003-step00000018"]
    best = read(unbroken / "checkpoints" / kept[-1], "position.json")["best"]["epoch"]
    assert [int(name[5:8]) for name in kept] == sorted({best, 2, 3})

    always = tmp_path / "minutes"
    options = ["--keep", "1", "--checkpoint-minutes", "1e-9", "--histograms", "4", "--epochs", "1"]
    written = []
    with pytest.MonkeyPatch.context() as patch:
        act_after(patch, 3, lambda: written.extend(checkpoints(always)))
        sentiment.main(new(reviews, always, *options))
    assert {int(name[-8:]) for name in written} & {1, 2}
    assert checkpoints(always) == ["epoch001-step00000006"]
    (with_them,), (without,) = ((path / "tensorboard").iterdir() for path in (always, unbroken))
    assert b"gradients/embedding" in with_them.read_bytes()
    assert b"gradients/" not in without.read_bytes()


def test_a_skipped_step_leaves_the_running_means_as_they_were(monkeypatch):
    shown = []
    monkeypatch.setattr(tqdm, "set_postfix_str", lambda self, words, refresh: shown.append(words))
    with Progress(3) as progress:
        progress.step(StepReport(1, {"loss": 0.5, "accuracy": 0.25}, gradient_norm=1.0, read=9))
        progress.step(StepReport(2, {"loss": math.nan, "accuracy": 0.0}, gradient_norm=math.nan, read=9, skipped=True))
        progress.step(StepReport(3, {"loss": 0.5, "accuracy": 0.25}, gradient_norm=1.0, read=9))
    assert all(words.startswith("loss 0.500, accuracy 0.250, ") for words in shown)
    assert len(shown) == 2
