"""Every file of a run with flipped bytes: it is noticed, or nothing that is told, predicted or trained on changes.

`RNNJAX_FLIPS=800 pytest -n 0 -s tests/experiments/test_flipped_runs.py` flips more than the gate does, and counts them.
"""

import os
import shutil
from collections import Counter

import jax
import numpy as np
import pytest
from small_runs import TWO, checkpoints, lines, new

from experiments.runs import __main__ as runs
from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import train as training
from experiments.sentiment.trained import open_run
from rnnjax.data import encode
from rnnjax.models import logits_of
from rnnjax.runs import RunFolder, load_arrays
from rnnjax.runs.checkpoints import PARAMS, find_checkpoints
from rnnjax.runs.comparing import curves, difference_table, score_table
from rnnjax.runs.reading import read_run
from rnnjax.runs.run_files import record
from rnnjax.training import param_shapes

FLIPS = int(os.environ.get("RNNJAX_FLIPS", "24"))
TEXTS = ["the film was great", "a dull plot", "cold actors and lovely scenes 7"]
# Files that something is told of, predicted by or trained on with: flips in them cannot all be without effect.
READ = {"config.json", "environment.json", "status.json", "vocabulary.json", "metrics.jsonl", "checkpoints"}


class Noticed(Exception):
    """One line has said that something is wrong."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, reviews):
    """A run that ended, figures and event files included, in a place of its own: where it lies is told, too."""
    path = tmp_path_factory.mktemp("flipped") / "run"
    sentiment.main(new(reviews, path, "--epochs", "2"))
    return path


def told(path, capsys):
    """What listing and comparing print, and the curves that are drawn."""
    read = read_run(path)
    if read.problems:
        assert all("\n" not in problem for problem in read.problems)
        raise Noticed(read.problems[0])
    capsys.readouterr()
    runs.main([str(path)])
    points = [{name: drawn.tolist() for name, drawn in each.points.items()} for each in curves([read])]
    return capsys.readouterr().out, difference_table([read]), score_table([read]), points


def predicted(path, capsys):
    """The classes and the numbers behind a prediction."""
    run = open_run(path)
    outputs = [logits_of(run.model)(run.params, tokens[None]) for tokens in encode(run.tokenizer, TEXTS)]
    return run.classes, np.array(outputs).tobytes()


def trained(path, capsys):
    """The parameters, metrics and checkpoints of the run after one more epoch."""
    sentiment.main(["--resume", str(path), "--epochs", "3", *TWO])
    assert not read_run(path).problems
    params = load_arrays(find_checkpoints(path / "checkpoints")[-1] / PARAMS, param_shapes(open_run(path).model))
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(params)], lines(path), checkpoints(path)


def result(read, path, capsys):
    """(Whether something was noticed, what came of it)."""
    try:
        return False, read(path, capsys)
    except (Noticed, UserWarning, ValueError, OSError) as error:
        words = str(error)
    assert len(words.splitlines()) == 1, words
    return True, words


def flip(file, random):
    data = bytearray(file.read_bytes())
    place = random.integers(len(data))
    data[place] ^= random.integers(1, 256)
    file.write_bytes(data)


@pytest.mark.slow
def test_no_flipped_byte_goes_unnoticed_that_has_an_effect(finished, tmp_path, capsys, monkeypatch):
    readers = (told, predicted, trained)
    whole = shutil.copytree(finished, tmp_path / "whole")
    monkeypatch.setattr(training, "draw", lambda *_: None)  # figures of a run that went on

    def again():
        shutil.rmtree(finished)
        shutil.copytree(whole, finished)

    wanted = {}
    for read in readers:
        noticed, wanted[read] = result(read, finished, capsys)
        assert not noticed, wanted[read]
        again()
    files = {}
    for file in sorted(path for path in whole.rglob("*") if path.is_file() and path.stat().st_size):
        name = file.relative_to(whole)
        files.setdefault(name.parts[0], []).append(name)
    random, counts = np.random.default_rng(0), {name: Counter() for name in files}
    for number in range(FLIPS):
        group = list(files)[number % len(files)]
        name = files[group][random.integers(len(files[group]))]
        flip(finished / name, random)
        flipped = (finished / name).read_bytes()
        found = set()
        for read in readers:
            noticed, value = result(read, finished, capsys)
            assert noticed or value == wanted[read], f"{name}, flip {number}: {read.__name__} is another one"
            found |= {read.__name__} if noticed else set()
            if read is not readers[-1]:
                assert (finished / name).read_bytes() == flipped
        counts[group].update(found or {"without effect"})
        again()
    with capsys.disabled():
        if "RNNJAX_FLIPS" in os.environ:
            print(
                f"\n{FLIPS} flips, noticed by:", *(f"{name}: {dict(count)}" for name, count in counts.items()), sep="\n"
            )
    assert {name for name, count in counts.items() if count - Counter({"without effect": FLIPS})} >= READ


def test_flips_in_a_run_without_checkpoints_are_noticed_where_it_is_told(tmp_path, capsys):
    folder = RunFolder.create(tmp_path / "run", {"experiment": "tagging", "epochs": 3, "rate": 0.5})
    with folder.metrics() as log:
        for epoch in (1, 2, 3):
            record(
                log, "epoch", {"epoch": epoch, "step": 4 * epoch, "validation_accuracy": 0.1 * epoch, "seconds": 1.0}
            )
        record(log, "final", {"part": "test", "accuracy": 0.25, "loss": 0.5})
    noticed, wanted = result(told, folder.path, capsys)
    assert not noticed, wanted
    random, silent = np.random.default_rng(1), Counter()
    for name in ("config.json", "environment.json", "metrics.jsonl") * max(FLIPS, 100):
        text = (folder.path / name).read_bytes()
        flip(folder.path / name, random)
        noticed, value = result(told, folder.path, capsys)
        assert noticed or value == wanted, name
        silent[name] += not noticed
        (folder.path / name).write_bytes(text)
    # Spaces between values may be others.
    assert max(silent.values()) < 0.1 * max(FLIPS, 100)
