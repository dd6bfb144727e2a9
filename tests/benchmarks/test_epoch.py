"""The epoch benchmark in its smallest setting: everyone runs, and a wrong network is caught before it is timed."""

import csv
import dataclasses
import json
import sys
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from benchmarks import epoch
from benchmarks.epochs import flax
from benchmarks.epochs.contestant import Pass
from benchmarks.epochs.ours import waited
from benchmarks.epochs.pipeline import WIDTH_MULTIPLE, evenly
from benchmarks.epochs.table import report
from benchmarks.timing import in_turn
from experiments.sentiment import __main__ as sentiment
from experiments.sentiment import data as parts
from rnnjax.commands import run
from rnnjax.data import Plan

SIZES = {"longest": 50, "embedding": 3, "hidden": 4, "batch_size": 8, "buckets": 1, "devices": 2}
BUCKETED = {"rnnjax", "keras-bucketed", "flax-bucketed", "rnnjax-one-device"}
FLAGS = [word for name, size in SIZES.items() for word in (f"--{name}", str(size))]


@pytest.fixture(autouse=True)
def little_memory():
    """Keeps what was compiled, unlike in other files: one fixture compiles, and another one measures."""


@pytest.fixture(scope="module", autouse=True)
def compile_quickly(quick_compile):
    """For every test of this file."""


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """60 texts of 1 to 40 random words: the bucketed batches need fewer steps than the longest."""
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    random = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(60):
            words = (f"w{number}" for number in random.integers(0, 20, random.integers(1, 41)))
            writer.writerow([" ".join(words), row % 2])
    return path


def options_of(reviews, **changes):
    return epoch.Epoch(**{**SIZES, "source": str(reviews), "rounds": 1, **changes})


@pytest.fixture(scope="module")
def problem(reviews):
    return epoch.make_problem(options_of(reviews))


@pytest.fixture(scope="module")
def ready(reviews, problem):
    """Every contestant, checked: compiling them is what most of these tests cost."""
    return dict(epoch.prepare(options_of(reviews), problem))


@pytest.fixture(scope="module")
def timed(ready):
    """Two rounds, and how often anything was compiled in them."""
    compiled = []

    def hear(event: str, duration_secs: float, **rest: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(hear)
    epochs = list(in_turn({name: entry.contestant.epoch for name, entry in ready.items()}, rounds=2))
    count = len(compiled)
    jax.jit(lambda x: x + 1).lower(jax.numpy.zeros(3)).compile()
    jax.monitoring.unregister_event_duration_listener(hear)
    assert len(compiled) > count  # it does hear
    return epochs, count


def test_it_is_the_sentiment_studys_preset():
    _, preset = sentiment.PRESETS["lstm"]
    shared = {field.name for field in dataclasses.fields(preset)} & {
        field.name for field in dataclasses.fields(epoch.Epoch)
    }
    own = epoch.Epoch()
    names = shared - {"rows"}  # a count of texts there, a file here
    assert len(names) == 17
    assert {name: getattr(own, name) for name in names} == {name: getattr(preset, name) for name in names}
    assert WIDTH_MULTIPLE == parts.WIDTH_MULTIPLE


@pytest.mark.slow
def test_everyone_is_right_and_keeps_its_own_batches(ready):
    assert list(ready) == list(epoch.Epoch().contestants)
    for name, entry in ready.items():
        assert isinstance(entry, epoch.Ready), f"{name}: {entry}"
        assert entry.facts["batches"] == ("bucketed" if name in BUCKETED else "padded to 50")
    assert {name: entry.facts["devices"] for name, entry in ready.items() if entry.facts["devices"] > 1} == {
        "rnnjax": 2,
        "rnnjax-padded": 2,
    }
    assert ready["rnnjax"].facts["padding"] < ready["keras"].facts["padding"]
    assert ready["rnnjax"].facts["tokens"] == ready["keras"].facts["tokens"]
    # Six of the 54 texts that are not held out are left over: to Keras a shape of their own.
    assert {name: ready[name].facts["shapes"] for name in ("rnnjax", "keras", "flax")} == {
        "rnnjax": 1,
        "keras": 2,
        "flax": 1,
    }


@pytest.mark.slow
def test_an_epoch_trains_everyone_alike_and_compiles_nothing(timed):
    epochs, compilations = timed
    assert compilations == 0
    losses = {}
    for entry in epochs:
        losses.setdefault(entry.name, []).append(entry.result.loss)
    for name, own in losses.items():
        # Keras draws its own order of rows, so that the means of an epoch differ a little.
        same = "rnnjax" if name in BUCKETED else "rnnjax-padded"
        np.testing.assert_allclose(own, losses[same], rtol=1e-2 if name == "keras" else 1e-4)
        assert own[1] < own[0]
    assert [entry.name for entry in epochs[:7]] == [entry.name for entry in epochs[7:]][::-1]


def test_only_this_librarys_epochs_know_how_long_the_device_waited(timed):
    for entry in timed[0]:
        if entry.name.startswith("rnnjax"):
            assert 0 < entry.result.device_wait < entry.seconds
        else:
            assert entry.result.device_wait is None


def test_the_device_waits_from_the_end_of_a_step_to_the_handing_over_of_the_next():
    # The fastest call takes 1: the first step is handed over at 3, the second at 11 in time, the third at 26, late.
    calls = [(2.0, 5.0), (10.0, 11.0), (25.0, 30.0)]
    assert waited(0.0, calls, [15.0, 20.0, 40.0]) == 3 + 0 + 6


def test_padding_is_keras_own(problem):
    import keras as library

    (batch, *_) = problem.padded.batches(problem.padded.plans())
    (plan, *_) = problem.padded.plans()
    texts = [problem.padded.texts.sequences[row] for row in plan.rows]
    np.testing.assert_array_equal(batch.inputs, library.utils.pad_sequences(texts, maxlen=50))


def test_a_share_is_drawn_evenly_from_narrow_to_wide():
    plans = [Plan(np.array([row]), width) for row, width in enumerate((60, 20, 20, 40, 20, 60, 20, 40))]
    half = evenly(plans, 0.5)
    assert sorted(plan.width for plan in half) == [20, 20, 40, 60]
    assert [plan.rows[0] for plan in half] == sorted(plan.rows[0] for plan in half)
    assert evenly(plans, 1.0) == plans
    assert len(evenly(plans, 1e-6)) == 1


def test_a_share_gives_both_pipelines_the_same_rows(reviews, problem):
    part = epoch.make_problem(options_of(reviews, share=0.5, buckets=2))
    assert len({plan.width for plan in part.bucketed.plans()}) == 2
    ours, theirs = (sorted(row for plan in way.plans() for row in plan.rows) for way in (part.bucketed, part.padded))
    assert ours == theirs
    whole = sum(len(plan.rows) for plan in problem.bucketed.plans())
    assert 0.3 * whole < len(ours) < 0.7 * whole


def shifted_forget_gate(monkeypatch):
    """Another function: the forget gate's bias is not 1."""
    real = flax.to_flax

    def to_flax(layer, params):
        weights = real(layer, params)
        weights["cell"]["hf"]["bias"] = weights["cell"]["hf"]["bias"] + 0.01
        return weights

    monkeypatch.setattr(flax, "to_flax", to_flax)


def frozen_embedding(monkeypatch):
    """The same function, other steps: words do not learn."""
    real = flax.nn.Embed.__call__
    monkeypatch.setattr(flax.nn.Embed, "__call__", lambda self, tokens: jax.lax.stop_gradient(real(self, tokens)))


@pytest.fixture(scope="module")
def reference(problem):
    """The right losses, which no test's mistake has a part in."""
    return epoch.reference_losses(problem, problem.padded)


@pytest.mark.parametrize("mistake", [shifted_forget_gate, frozen_embedding])
def test_a_wrong_contestant_is_not_timed(mistake, monkeypatch, reviews, problem, reference, capsys):
    mistake(monkeypatch)
    monkeypatch.setattr(epoch, "make_problem", lambda options: problem)
    monkeypatch.setattr(epoch, "reference_losses", lambda *arguments: reference)
    with pytest.raises(SystemExit) as stop:
        run("benchmarks.epoch", lambda: epoch.main(["--source", str(reviews), "--contestants", "flax", *FLAGS]))
    printed = capsys.readouterr()
    assert stop.value.code == 1
    assert (
        printed.err == "benchmarks.epoch: flax: expected the losses of the reference, got others, and was not timed\n"
    )
    (line,) = (line for line in printed.out.splitlines() if line.startswith("| `flax`"))
    assert "| wrong: its losses deviate by " in line
    assert line.endswith("expected at most 2e-05 |" + "  |" * 8)


def test_keras_that_is_not_there_is_a_row_that_says_so(monkeypatch, reviews, problem, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setattr(epoch, "make_problem", lambda options: problem)
    file = tmp_path / "new" / "rows.jsonl"
    epoch.main(["--source", str(reviews), "--contestants", "keras", "--rows", str(file), *FLAGS])
    (row,) = map(json.loads, file.read_text().splitlines())
    assert (row["contestant"], row["reason"]) == ("keras", "expected keras, not installed: pip install 'rnnjax[peers]'")
    assert row["benchmark"] == "epoch"
    assert row["settings"]["hidden"] == 4
    assert "| `keras` | expected keras, not installed: pip install 'rnnjax[peers]' |" in capsys.readouterr().out


def test_rows_are_appended_and_rendered(monkeypatch, reviews, problem, ready, tmp_path, capsys):
    """The command, on contestants that are compiled and checked."""
    monkeypatch.setattr(epoch, "make_problem", lambda options: problem)
    chosen = ("rnnjax", "flax-bucketed")
    monkeypatch.setattr(epoch, "prepare", lambda options, problem: ((name, ready[name]) for name in chosen))
    file = tmp_path / "rows.jsonl"
    for _ in range(2):
        epoch.main(["--source", str(reviews), "--rows", str(file), "--rounds", "2", *FLAGS])
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["contestant"], row["round"]) for row in rows[:4]] == [
        ("rnnjax", 0),
        ("flax-bucketed", 0),
        ("flax-bucketed", 1),
        ("rnnjax", 1),
    ]
    assert len(rows) == 8
    assert rows[0]["steps"] == len(problem.bucketed.plans())
    assert 0 < rows[0]["device_wait"] < 1
    printed = capsys.readouterr().out
    assert printed.count("| `rnnjax` | bucketed | 2 |") == printed.count("| `flax-bucketed` | bucketed | 1 |") == 2
    assert report(rows[:4]) in printed


def test_a_loss_that_is_no_number_ends_the_run(monkeypatch, reviews, problem, ready):
    diverged: Any = SimpleNamespace(epoch=lambda: Pass(float("nan")))
    monkeypatch.setattr(epoch, "make_problem", lambda options: problem)
    monkeypatch.setattr(epoch, "prepare", lambda *arguments: [("flax", epoch.Ready(diverged, ready["flax"].facts))])
    with pytest.raises(epoch.DivergedError, match="flax: expected a finite loss, got nan"):
        list(epoch.measure(options_of(reviews)))


def test_a_loss_that_is_no_number_deviates():
    assert epoch.deviation([0.7, np.nan], np.array([0.7, 0.6])) == np.inf


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--share", "0"], "share: expected a number above 0, up to 1, got 0.0"),
        (["--share", "1.5"], "share: expected a number above 0, up to 1, got 1.5"),
        (["--share", "nan"], "share: expected a number above 0, up to 1, got nan"),
        (["--rounds", "0"], "rounds: expected at least 1, got 0"),
        (["--contestants", "torch"], "torch"),
        (["--contestants", "flax", "flax"], "contestants: expected each one once, got flax flax"),
        (["--contestants"], "contestants: expected at least one, got none"),
        (["--rows", "."], "expected a file, got a folder"),
        (["--source", "nowhere.csv"], "source: expected 'reviews', 'imdb' or a path that exists, got 'nowhere.csv'"),
    ],
)
def test_a_bad_option_is_one_line(flags, message, capsys):
    with pytest.raises(SystemExit) as stop:
        run("benchmarks.epoch", lambda: epoch.main([*FLAGS, *flags]))
    assert stop.value.code in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("benchmarks.epoch: ")
    assert message in line


def test_three_classes_are_refused(tmp_path):
    path = tmp_path / "three.csv"
    path.write_text("text,label\na,0\nb,1\nc,2\n")
    with pytest.raises(ValueError, match=r"three.csv: expected two classes, got 3: 0, 1, 2"):
        epoch.make_problem(options_of(path))
