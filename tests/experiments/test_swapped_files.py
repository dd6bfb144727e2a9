"""A run folder in which something was changed by hand: refused on going on and on predicting, and told in its row."""

import json
import os
import re
import shutil

import pytest
from complaints import complaint_of
from made_runs import listed
from resealed import change_object
from small_runs import TWO, files, read

from experiments.sentiment import __main__ as sentiment
from rnnjax.runs.checkpoints import find_checkpoints
from rnnjax.runs.reading import read_run

pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.fixture
def run(unbroken, tmp_path):
    return shutil.copytree(unbroken, tmp_path / "run")


def config(path, **changes):
    """What somebody writes who does not know of seals."""
    (path / "config.json").write_text(json.dumps({**read(path, "config.json"), **changes}, indent=2) + "\n")


def learning_rate(path):
    config(path, learning_rate=0.03)


def pooling(path):
    config(path, pooling="max")


def pooling_resealed(path):
    change_object(path / "config.json", pooling="max")


def epochs(path):
    config(path, epochs=9)


def classes(path):
    config(path, classes=read(path, "config.json")["classes"][::-1])


def classes_resealed(path):
    change_object(path / "config.json", classes=read(path, "config.json")["classes"][::-1])


def words(path):
    vocabulary = read(path, "vocabulary.json")
    numbers = vocabulary["model"]["vocab"]
    first, second = (next(word for word, number in numbers.items() if number == n) for n in (2, 3))
    numbers[first], numbers[second] = 3, 2
    (path / "vocabulary.json").write_text(json.dumps(vocabulary))


def checkpoints(path):
    best, *_, newest = find_checkpoints(path / "checkpoints")
    os.rename(best, path / "between")
    os.rename(newest, best)
    os.rename(path / "between", newest)


CONFIG = r"config\.json: expected what was written \(sha256 \w{12}\), found other values \(\w{12}\)$"
OTHER = r"expected a checkpoint of this run \({} \w{{12}}\), found one that was written with another \(\w{{12}}\)$"
# What is done, and what is said of it on predicting, and on going on.
ATTACKS = {
    learning_rate: (CONFIG, CONFIG),
    pooling: (CONFIG, CONFIG),
    pooling_resealed: (OTHER.format(r"config\.json"), OTHER.format(r"config\.json")),
    epochs: (CONFIG, CONFIG),
    classes: (CONFIG, CONFIG),
    classes_resealed: (OTHER.format(r"config\.json"), r"classes was \['1', '0'\] and is \['0', '1'\]"),
    words: (OTHER.format(r"vocabulary\.json"), r"vocabulary\.json: expected the vocabulary of this data, got another"),
    checkpoints: (*["expected the checkpoint of that name, found the checkpoint epoch"] * 2,),
}


@pytest.mark.quick("pooling_resealed")
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_changed_by_hand_is_refused(attack, run, capsys):
    attack(run)
    before = files(run)
    for arguments, message in zip((["predict", run, "a film"], ["--resume", run, *TWO]), ATTACKS[attack], strict=True):
        status, error = complaint_of(sentiment, capsys, *arguments)
        assert status == 1
        assert re.search(message, error.removesuffix("\n")), error
    assert files(run) == before


def metrics(change):
    def changed(path):
        lines = (path / "metrics.jsonl").read_text().splitlines(keepends=True)
        (path / "metrics.jsonl").write_text("".join(change(lines)))

    return changed


# What is done to metrics.jsonl, which line is wrong to whoever goes on, and to whoever lists the run.
METRICS = {
    "no middle": (metrics(lambda lines: [*lines[:4], *lines[9:]]), 5, "line 5: expected the line that was written"),
    "no beginning": (metrics(lambda lines: lines[3:]), 1, "line 1: expected the line that was written"),
    "another order": (metrics(lambda lines: [lines[1], lines[0], *lines[2:]]), 1, "line 1: expected the line that was"),
    "other bytes": (
        metrics(lambda lines: [*lines[:6], lines[6].replace('"epoch": 1', '"epoch": 2'), *lines[7:]]),
        7,
        "line 7: expected the line that was written",
    ),
    "no end": (metrics(lambda lines: lines[:-4]), 22, "expected a last line with the seal "),
}


@pytest.mark.parametrize(("change", "number", "note"), METRICS.values(), ids=METRICS.keys())
def test_metrics_that_were_changed_are_refused_and_told(change, number, note, run, capsys):
    change(run)
    before = files(run)
    status, error = complaint_of(sentiment, capsys, "--resume", run, *TWO)
    assert status == 1
    assert re.search(
        rf"metrics\.jsonl: line {number}: expected the line that was written, got .* without its lines", error
    )
    assert files(run) == before
    assert listed(capsys, run)[0]["note"].startswith("metrics.jsonl: ")
    (problem,) = read_run(run).problems
    assert problem.startswith(f"metrics.jsonl: {note}")
