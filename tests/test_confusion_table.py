"""The confusion of many classes as a table of its worst pairs, against a sort of all pairs."""

import re

import numpy as np
import pytest

from rnnjax.runs.report import MOST_COLUMNS, MOST_PAIRS, confusion_table


def test_few_classes_have_the_matrix():
    counts = np.arange(MOST_COLUMNS**2).reshape(MOST_COLUMNS, -1)
    lines = confusion_table(counts, [f"c{number}" for number in range(MOST_COLUMNS)]).splitlines()
    assert [list(map(int, line.split()[1:])) for line in lines[2:]] == counts.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_many_classes_have_their_worst_pairs(seed):
    random, classes = np.random.default_rng(seed), 100
    counts = random.integers(0, 50, (classes, classes)) * (random.random((classes, classes)) < 0.3)
    names = [f"name {number}" for number in range(classes)]
    first, *rest = confusion_table(counts, names).splitlines()
    assert first == f"{np.trace(counts):,} of {counts.sum():,} rows right; the most frequent confusions"
    pairs = [(int(counts[t, p]), t, p) for t in range(classes) for p in range(classes) if t != p]
    worst = sorted(pairs, key=lambda pair: (-pair[0], *pair[1:]))[:MOST_PAIRS]
    want = [(names[t], names[p], str(c), f"{c / counts[t].sum():.1%}") for c, t, p in worst]
    assert [tuple(re.split("  +", line)) for line in rest[2:]] == want


def test_only_pairs_that_occur_are_listed():
    counts = np.diag(np.full(40, 3))
    names = [str(number) for number in range(40)]
    assert confusion_table(counts, names) == "120 of 120 rows right"
    counts[7, 9] = 1
    assert confusion_table(counts, names).splitlines()[3].split() == ["7", "9", "1", "25.0%"]
