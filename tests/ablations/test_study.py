"""What a study is, and what its rows say."""

import dataclasses
import importlib.machinery
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from damage import damage, edits
from fuzz import at_most
from hypothesis import given, settings

from experiments.ablations.studies import STUDIES
from experiments.ablations.text_studies import SMALL
from experiments.ablations.trials import ClassifierTrainer, MemoryTrainer
from experiments.language_model.config import Language
from experiments.memory.config import Memory
from experiments.sentiment.config import build_model
from rnnjax.ablations import Study, Variant
from rnnjax.ablations.reports import grouped, score_table, write_report
from rnnjax.ablations.rows import SCHEMA, config_of, read_rows, write_rows
from rnnjax.ablations.runner import command_line
from rnnjax.ablations.statistics import paired_difference, summary
from rnnjax.analysis.ablation_plots import Group, MeanCurve, band, curve_figure
from rnnjax.training import param_shapes

BASE = Memory(task="recall", time=5, hidden=4)
OTHER = dataclasses.replace(BASE, hidden=5)
BAG = dataclasses.replace(SMALL, layers=0)
MEMORY = MemoryTrainer()

BAD = {
    "none": ([], "study: expected at least one variant, got none"),
    "twice": ([Variant("a", "?", BASE), Variant("a", "?", OTHER)], "variant: expected each name once, got 'a' twice"),
    "name": ([Variant("../a", "?", BASE)], r"expected a name of a-z, 0-9, .* got '\.\./a'"),
    "question": ([Variant("a", "", BASE)], "a: expected the question that it answers, got none"),
    "nothing": (
        [Variant("a", "?", BASE), Variant("b", "?", dataclasses.replace(BASE, seed=3), "a")],
        "b: expected a variant that changes something, got the computation of 'a'",
    ),
    "in other words": (
        [Variant("a", "?", BASE), Variant("b", "?", dataclasses.replace(BASE, forget_bias=1.0), "a")],
        "b: expected a variant that changes something, got the computation of 'a'",
    ),
    "no patience": (
        [Variant("a", "?", SMALL), Variant("b", "?", dataclasses.replace(SMALL, patience=SMALL.epochs), "a")],
        "b: expected a variant that changes something, got the computation of 'a'",
    ),
    "no layers": (
        [Variant("a", "?", BAG), Variant("b", "?", dataclasses.replace(BAG, cell="gru", zoneout=0.1), "a")],
        "b: expected a variant that changes something, got the computation of 'a'",
    ),
    "no order": (
        [Variant("a", "?", BAG), Variant("b", "?", dataclasses.replace(BAG, word_order="shuffled"), "a")],
        "b: expected a variant that changes something, got the computation of 'a'",
    ),
    "base": ([Variant("a", "?", BASE, "b")], "a: expected a base among the variants before it, got 'b'"),
}


@pytest.mark.parametrize(("variants", "message"), BAD.values(), ids=BAD.keys())
def test_a_study_that_makes_no_sense_is_refused(variants, message):
    trainer = MEMORY if all(isinstance(variant.config, Memory) for variant in variants) else ClassifierTrainer()
    with pytest.raises(ValueError, match=message):
        Study("?", "accuracy", trainer, variants)


def test_a_changed_variant_is_compared_with_the_one_before_the_change():
    base = Variant("a", "?", BASE)
    assert base.changed("b", "Larger?", hidden=5) == Variant("b", "Larger?", OTHER, "a")


def test_a_study_has_seeds():
    for seeds, message in ((0, "at least 1, got 0"), (1.5, "an integer, got 1.5"), (True, "an integer, got True")):
        with pytest.raises(ValueError, match=f"seeds: expected {message}"):
            Study("?", "accuracy", MEMORY, [Variant("a", "?", BASE)], seeds=seeds)  # pyright: ignore[reportArgumentType]


def test_chosen_variants_bring_their_bases():
    study = Study("?", "accuracy", MEMORY, [Variant("a", "?", BASE), Variant("b", "?", OTHER, "a")])
    assert [variant.name for variant in study.chosen(["b"])] == ["a", "b"]
    assert [variant.name for variant in study.chosen(["a"])] == ["a"]
    assert study.chosen([]) == list(study.variants)
    with pytest.raises(ValueError, match="variants: expected some of a, b, got 'c'"):
        study.chosen(["c"])
    with pytest.raises(ValueError, match="variants: expected a sequence of names, got the text 'a'"):
        study.chosen("a")


def test_steps_that_stand_on_each_other_are_one_group():
    steps = [
        Variant("a", "?", BASE),
        Variant("b", "?", OTHER, "a"),
        Variant("other", "?", dataclasses.replace(BASE, hidden=6)),
        Variant("c", "?", dataclasses.replace(BASE, hidden=7), "b"),
    ]
    assert [variant.name for variant in Study("?", "accuracy", MEMORY, steps).chosen(["c"])] == ["a", "b", "c"]
    names = [(title, [variant.name for variant in members]) for title, members in grouped(steps)]
    assert names == [("a", ["a", "b", "c"]), ("other", ["other"])]


def test_many_curves_are_drawn_in_panels_that_each_have_the_base():
    curves = [MeanCurve(str(number), [([1, 2], [0.1, 0.2 * number])]) for number in range(8)]
    panels = [axes for axes in curve_figure([Group("all", curves)], "score").axes if axes.lines]
    assert [[line.get_label() for line in axes.lines] for axes in panels] == [list("01234"), list("0567")]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert panels[1].get_title() == "all (2 of 2)"


@pytest.mark.slow
def test_shipped_studies_have_networks():
    for study in STUDIES.values():
        for variant in study.variants:
            if isinstance(variant.config, Memory):
                variant.config.network()
            elif isinstance(variant.config, Language):
                param_shapes(variant.config.network(100))
            else:
                assert variant.config.data_seed == 0
                param_shapes(build_model(variant.config, 100, 2))


def test_a_summary_is_mean_deviation_and_interval():
    assert summary([]) is None
    assert summary([0.25]) == (1, 0.25, None, None, None)
    # Of two values the resampled means are 0, 1/2 and 1, with shares 1/4, 1/2 and 1/4.
    assert summary([0.0, 1.0]) == (2, 0.5, pytest.approx(np.sqrt(0.5)), 0.0, 1.0)
    many = np.random.default_rng(1).normal(3, 2, 400)
    found = summary(list(many))
    assert found is not None
    error = many.std(ddof=1) / np.sqrt(400)
    expected = tuple(many.mean() + 1.96 * error * np.array([-1, 1]))
    assert (found.low, found.high) == pytest.approx(expected, abs=0.1 * error)


def test_differences_are_paired_by_seed():
    found = paired_difference({0: 0.5, 1: 0.7, 2: 0.9}, {1: 0.5, 2: 0.8, 3: 0.0})
    assert found is not None
    np.testing.assert_allclose([found.size, found.mean], [2, 0.15])
    assert (found.low, found.high) == pytest.approx((0.1, 0.2))
    assert paired_difference({0: 0.5}, {1: 0.5}) is None


FIELDS = {
    "command": ["x"],
    "versions": {},
    "python": "3",
    "system": "s",
    "cores": 2,
    "devices": ["cpu"],
    "commit": None,
}


def row(variant, seed, **values):
    known = {"variant": variant.name, "seed": seed, "score": 0.5, "steps": 1, "curve_steps": [1], "curve_scores": [0.5]}
    made = {"config": config_of(variant), "environment": json.dumps(FIELDS)}
    none = {"loss": None, "solved": None, "diverged": None, "tokens_per_second": None}
    return {**known, **none, "parameters": 3, "seconds": 1.0, "together": 1, **made, **values}


WRONG = {
    "no seed": ({"seed": None}, "without seed"),
    "no curve": ({"curve_steps": None}, "without curve_steps"),
    "another": ({"variant": "b"}, "of 'b'"),
    "twice": ({"seed": 1}, "of seed 1, which occurs twice"),
    "curve": ({"curve_steps": [1, 2]}, "with a curve that lacks a score or a step"),
    "nan": ({"score": float("nan")}, "with numbers that are not finite"),
    "none together": ({"together": 0}, "with numbers that are not finite"),
    "no score": ({"score": None}, "without a score, although it did not diverge"),
    "no JSON": ({"environment": "{"}, "without its environment"),
    "other JSON": ({"environment": "[]"}, "without its environment"),
    "no devices": (
        {"environment": json.dumps({**FIELDS, "devices": None})},
        "without its environment",
    ),
}


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG.keys())
def test_rows_that_were_tampered_with_are_refused(tmp_path, values, message):
    (tmp_path / "rows").mkdir()
    variant = Variant("a", "?", BASE)
    write_rows(tmp_path, variant, [row(variant, 0), row(variant, 1)])
    assert len(read_rows(tmp_path, variant)) == 2
    table = pa.Table.from_pylist([row(variant, 0) | values, row(variant, 1)], schema=SCHEMA)
    parquet.write_table(table, tmp_path / "rows" / "a.parquet")
    with pytest.raises(ValueError, match=rf"a\.parquet: expected the rows of a variant, got one {message}"):
        read_rows(tmp_path, variant)


@settings(max_examples=at_most(150), deadline=None, derandomize=True, database=None)
@given(spots=edits(b"variant", b"curve_scores", b"PAR1", b"config"))
def test_damaged_rows_are_refused_or_rows(spots, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "rows").mkdir()
    variant = Variant("a", "?", BASE)
    write_rows(folder, variant, [row(variant, 0), row(variant, 1)])
    file = folder / "rows" / "a.parquet"
    file.write_bytes(damage(file.read_bytes(), spots))
    rows = message = None
    try:
        rows = read_rows(folder, variant)
    except ValueError as error:
        message = str(error)
    if rows is None:
        assert str(file) in str(message)
    else:
        assert score_table(Study("?", "accuracy", MEMORY, [variant]), [variant], {"a": rows}).count("\n") == 2


def test_a_table_says_what_is_compared_with_what():
    bases = [Variant("a", "one | two?", BASE), Variant("b", "?", OTHER)]
    third = Variant("c", "?", dataclasses.replace(BASE, hidden=6), "b")
    study = Study("?", "x|y", MEMORY, [*bases, third])
    rows = {
        "a": [row(bases[0], 0)],
        "b": [row(bases[1], seed, score=score) for seed, score in enumerate((0.1, 0.2, 0.6))],
        "c": [row(third, seed, score=score, solved=at) for seed, score, at in ((0, 0.3, 10), (1, 0.5, 40))],
    }
    lines = score_table(study, study.variants, rows).splitlines()
    assert lines[0].startswith("| variant | base | seeds | x\\|y | sd | 95% interval | minus base | ")
    assert "| b |  | 3 | 0.3000 |" in lines[3]
    # Two seeds have a pair: 0.2 and 0.3.
    assert "| c | b | 2 | 0.4000 | 0.1414 | 0.3000 to 0.5000 | +0.2500 (2 pairs) | +0.2000 to +0.3000 |" in lines[4]
    assert "| 2/2 | 25 |" in lines[4]
    assert "| 0/1 |  |" in lines[2]
    unrun = score_table(study, study.variants, {**rows, "a": []}).splitlines()
    assert unrun[2].startswith("| a |  | 0 |  |")


def test_a_command_is_recorded_as_it_is_typed(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "mine" / "__main__.py"), "smoke", "--folder", "a b"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", importlib.machinery.ModuleSpec("mine.__main__", None))
    commands.append(command_line())
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "own.py"), "--seeds", "2"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    commands.append(command_line())
    variant = Variant("a", "?", BASE)
    rows = [
        row(variant, seed, environment=json.dumps({**FIELDS, "command": command}))
        for seed, command in enumerate(commands)
    ]
    write_report(Study("?", "accuracy", MEMORY, [variant]), [variant], {"a": rows}, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "`python -m mine smoke --folder 'a b'`, `python own.py --seeds 2`" in text
    assert str(tmp_path) not in text


def test_rows_are_added_and_checked(tmp_path):
    (tmp_path / "rows").mkdir()
    variant = Variant("a", "?", BASE)
    assert read_rows(tmp_path, variant) == []
    write_rows(tmp_path, variant, [row(variant, 2), row(variant, 0, score=None, diverged=7)])
    write_rows(tmp_path, variant, [row(variant, 1)])
    found = read_rows(tmp_path, variant)
    assert [(line["seed"], line["score"], line["diverged"]) for line in found] == [
        (0, None, 7),
        (1, 0.5, None),
        (2, 0.5, None),
    ]
    with pytest.raises(ValueError, match=r"a\.parquet: expected rows of 'a' with its current config, got "):
        read_rows(tmp_path, Variant("a", "?", OTHER))
    (tmp_path / "rows" / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"a\.parquet: expected the rows of a variant, got: "):
        read_rows(tmp_path, variant)
    (tmp_path / "rows" / "a.parquet").unlink()
    (tmp_path / "rows" / "a.parquet").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="expected a file, got a symbolic link"):
        read_rows(tmp_path, variant)


def test_a_band_keeps_the_last_score_of_a_seed_that_stopped():
    steps, mean, low, high = band([([1, 2, 3], [0.0, 0.2, 0.4]), ([1, 2], [0.2, 1.0]), ([], [])])
    assert steps.tolist() == [1, 2, 3]
    np.testing.assert_allclose(mean, [0.1, 0.6, 0.7])
    np.testing.assert_allclose(low, [0.0, 0.2, 0.4])
    np.testing.assert_allclose(high, [0.2, 1.0, 1.0])
    assert all(len(part) == 0 for part in band([([], [])]))
