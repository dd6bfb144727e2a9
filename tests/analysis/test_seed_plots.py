"""The figure of several seeds: every number is in its place."""

import numpy as np

from rnnjax.analysis import SeedCurve, seed_curves
from rnnjax.analysis.seed_plots import Panel


def drawn(count=2):
    updates = np.array([10, 20, 30])
    curves = [SeedCurve("seed 0", updates, np.array([3.0, 2.0, 1.0]), np.array([0.1, 0.5, 0.9]), solved=20)]
    lost = np.array([4.0, np.nan, np.nan])
    curves += [SeedCurve(f"seed {i}", updates, lost, lost / 10, diverged=13) for i in range(1, count)]
    panels = Panel("nats", {"chance": 2.5}), Panel("accuracy", {"chance": 0.25, "known solution": 1.0})
    return seed_curves("two seeds", curves, *panels).axes


def names(axes):
    legend = axes.get_legend()
    return [text.get_text() for text in legend.get_texts()]


def test_curves_levels_and_marks():
    left, right = drawn()
    chance, first, solved, second, diverged = left.lines
    np.testing.assert_array_equal(chance.get_ydata(), 2.5)
    np.testing.assert_array_equal(first.get_xydata(), [[10, 3], [20, 2], [30, 1]])
    np.testing.assert_array_equal(solved.get_xydata(), [[20, 2]])
    np.testing.assert_array_equal(second.get_ydata(), [4, np.nan, np.nan])
    np.testing.assert_array_equal(diverged.get_xydata(), [[13, 1]])
    firsts = [np.asarray(line.get_ydata())[0] for line in right.lines]
    np.testing.assert_array_equal(firsts, [0.25, 1, 0.1, 0.5, 0.4, 1])
    assert (left.get_yscale(), left.get_ylabel(), right.get_ylabel()) == ("log", "nats", "accuracy")
    assert names(right) == ["chance (0.25)", "known solution (1)", "seed 0", "seed 1"]


def test_many_seeds_are_not_named_one_by_one():
    _, right = drawn(12)
    assert names(right) == ["chance (0.25)", "known solution (1)"]
