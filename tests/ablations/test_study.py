"""What a study is, and what its rows say."""

import dataclasses

import numpy as np
import pytest

from experiments.ablations.report import grouped
from experiments.ablations.rows import as_json, read_rows, write_rows
from experiments.ablations.statistics import paired_difference, summary
from experiments.ablations.studies import STUDIES
from experiments.ablations.study import Study, Variant
from experiments.memory_tasks.config import Memory
from experiments.text_classifier.config import build_model, param_shapes
from rnnjax.analysis.ablation_plots import Group, MeanCurve, band, curve_figure

BASE = Memory("recall", time=5, hidden=4)
OTHER = dataclasses.replace(BASE, hidden=5)

BAD = {
    "none": ([], "study: expected at least one variant, got none"),
    "twice": ([Variant("a", "?", BASE), Variant("a", "?", OTHER)], "variant: expected each name once, got 'a' twice"),
    "name": ([Variant("../a", "?", BASE)], r"expected a name of a-z, 0-9, .* got '\.\./a'"),
    "question": ([Variant("a", "", BASE)], "a: expected the question that it answers, got none"),
    "nothing": (
        [Variant("a", "?", BASE), Variant("b", "?", dataclasses.replace(BASE, seed=3), "a")],
        "b: expected a config of its own, got that of 'a': it changes nothing",
    ),
    "base": ([Variant("a", "?", BASE, "b")], "a: expected a base among the variants before it, got 'b'"),
}


@pytest.mark.parametrize(("variants", "message"), BAD.values(), ids=BAD.keys())
def test_a_study_that_makes_no_sense_is_refused(variants, message):
    with pytest.raises(ValueError, match=message):
        Study("?", "accuracy", variants)


def test_chosen_variants_bring_their_bases():
    study = Study("?", "accuracy", [Variant("a", "?", BASE), Variant("b", "?", OTHER, "a")])
    assert [variant.name for variant in study.chosen(["b"])] == ["a", "b"]
    assert [variant.name for variant in study.chosen(["a"])] == ["a"]
    assert study.chosen([]) == list(study.variants)
    with pytest.raises(ValueError, match="variants: expected some of a, b, got 'c'"):
        study.chosen(["c"])


def test_steps_that_stand_on_each_other_are_one_group():
    steps = [
        Variant("a", "?", BASE),
        Variant("b", "?", OTHER, "a"),
        Variant("other", "?", dataclasses.replace(BASE, hidden=6)),
        Variant("c", "?", dataclasses.replace(BASE, hidden=7), "b"),
    ]
    assert [variant.name for variant in Study("?", "accuracy", steps).chosen(["c"])] == ["a", "b", "c"]
    names = [(title, [variant.name for variant in members]) for title, members in grouped(steps)]
    assert names == [("a", ["a", "b", "c"]), ("other", ["other"])]


def test_many_curves_are_drawn_in_panels_that_each_have_the_base():
    curves = [MeanCurve(str(number), [([1, 2], [0.1, 0.2 * number])]) for number in range(8)]
    panels = [axes for axes in curve_figure([Group("all", curves)], "score").axes if axes.lines]
    assert [[line.get_label() for line in axes.lines] for axes in panels] == [list("01234"), list("0567")]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    assert panels[1].get_title() == "all (2 of 2)"


def test_shipped_studies_have_networks():
    for study in STUDIES.values():
        for variant in study.variants:
            if isinstance(variant.config, Memory):
                variant.config.network()
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


def row(variant, seed, **values):
    known = {"variant": variant.name, "seed": seed, "score": 0.5, "curve_steps": [1], "curve_scores": [0.5]}
    return {**known, "config": as_json(variant), **values}


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
    with pytest.raises(ValueError, match=r"a\.parquet: expected rows of 'a' as the study has it now, got "):
        read_rows(tmp_path, Variant("a", "?", OTHER))
    (tmp_path / "rows" / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"a\.parquet: expected the rows of a variant, got: "):
        read_rows(tmp_path, variant)
    (tmp_path / "rows" / "a.parquet").unlink()
    (tmp_path / "rows" / "a.parquet").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="expected a file or folder, got a symbolic link"):
        read_rows(tmp_path, variant)


def test_a_band_keeps_the_last_score_of_a_seed_that_stopped():
    steps, mean, low, high = band([([1, 2, 3], [0.0, 0.2, 0.4]), ([1, 2], [0.2, 1.0]), ([], [])])
    assert steps.tolist() == [1, 2, 3]
    np.testing.assert_allclose(mean, [0.1, 0.6, 0.7])
    np.testing.assert_allclose(low, [0.0, 0.2, 0.4])
    np.testing.assert_allclose(high, [0.2, 1.0, 1.0])
    assert all(len(part) == 0 for part in band([([], [])]))
