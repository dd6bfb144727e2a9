"""Held-out texts: how many of each class, which, and that training has not seen them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnjax.data import LabelledTexts, Source, hold_out, without, without_rare

# 10 of class 0, 20 of class 1, 30 of class 2, in an order that mixes them.
LABELS = [label for _ in range(10) for label in (0, 1, 1, 2, 2, 2)]
TRAIN = LabelledTexts([f"text {n}" for n in range(60)], LABELS)
CLASSES = ("low", "middle", "high")


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5])
def test_hold_out_keeps_each_classs_share(fraction):
    kept, held = hold_out(TRAIN, CLASSES, fraction, seed=0)
    for label, count in enumerate((10, 20, 30)):
        assert held.labels.count(label) == round(fraction * count)
        assert kept.labels.count(label) == count - round(fraction * count)


def test_every_text_is_on_one_side_with_its_own_label():
    kept, held = hold_out(TRAIN, CLASSES, 0.3, seed=0)
    pairs = [*zip(*kept, strict=True), *zip(*held, strict=True)]
    assert sorted(pairs) == sorted(zip(*TRAIN, strict=True))


def test_the_seed_fixes_the_split():
    assert hold_out(TRAIN, CLASSES, 0.3, seed=1) == hold_out(TRAIN, CLASSES, 0.3, seed=1)
    _, one = hold_out(TRAIN, CLASSES, 0.3, seed=1)
    _, other = hold_out(TRAIN, CLASSES, 0.3, seed=2)
    assert set(one.texts) != set(other.texts)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5])
def test_a_fraction_outside_its_range_is_an_error(fraction):
    with pytest.raises(ValueError, match=rf"hold-out fraction: expected 0 < fraction < 1, got {fraction}"):
        hold_out(TRAIN, CLASSES, fraction, seed=0)


def test_too_few_rows_for_every_class_are_an_error():
    with pytest.raises(ValueError, match=r"hold-out of 0\.01: expected .* got 1 of 60 rows held out, of 3 classes; .*"):
        hold_out(TRAIN, CLASSES, 0.01, seed=0)
    with pytest.raises(ValueError, match=r"hold-out of 0\.5: expected at least 2 rows of every class, got 1 of 'x'$"):
        hold_out(LabelledTexts(["a", "b", "c"], [0, 1, 1]), ("x", "y"), 0.5, seed=0)


def test_without_drops_what_is_held_spaces_and_case_aside():
    train = LabelledTexts(["A  good\tfilm ", "a bad film", "good film", "Seen TWICE", "agoodfilm"], [1, 0, 1, 0, 1])
    held = LabelledTexts(["a Good film", "unseen"], [1, 0])
    assert without(train, held) == LabelledTexts(["a bad film", "good film", "Seen TWICE", "agoodfilm"], [0, 1, 0, 1])
    also = LabelledTexts(["\nseen twice"], [1])
    assert without(train, held, None, also) == LabelledTexts(["a bad film", "good film", "agoodfilm"], [0, 1, 1])


def test_without_nothing_held_everything_stays():
    assert without(TRAIN) == without(TRAIN, None) == TRAIN


@given(st.integers(2, 60), st.integers(2, 9), st.floats(0.001, 0.999))
def test_a_share_that_is_said_to_do_does(classes, each, fraction):
    """Whatever share and numbers of rows and classes: what the message names is accepted."""
    train = LabelledTexts([f"text {n}" for n in range(classes * each)], [*range(classes)] * each)
    names = tuple(map(str, range(classes)))
    try:
        kept, held = hold_out(train, names, fraction, seed=0)
    except ValueError as error:
        found = re.search(r"got [\d,]+ of [\d,]+ rows held out, of \d+ classes; --hold-out (\S+) would do$", str(error))
        assert found
        kept, held = hold_out(train, names, float(found[1]), seed=0)
    assert {*kept.labels} == {*held.labels} == {*range(classes)}


def test_rare_classes_are_left_out_of_all_parts():
    train = LabelledTexts([*"abcdef"], [0, 1, 1, 2, 3, 3])
    validation, test = LabelledTexts([*"gh"], [2, 3]), LabelledTexts([*"ij"], [1, 0])
    source = Source(train, validation, test, ("w", "x", "y", "z"))
    assert without_rare(source, 1) is source
    with pytest.warns(UserWarning, match=r"fewer than 2 training rows left out, .*: 'w' \(1\), 'y' \(1\)$"):
        common = without_rare(source, 2)
    assert common == Source(
        LabelledTexts([*"bcef"], [0, 0, 1, 1]), LabelledTexts(["h"], [1]), LabelledTexts(["i"], [0]), ("x", "z")
    )
    with pytest.raises(ValueError, match=r"min_class_rows: expected at least two classes with 3 or more .*, got 0"):
        without_rare(source, 3)
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="in every part, got none in one"):
        without_rare(source._replace(test=LabelledTexts(["i"], [0])), 2)
    with pytest.raises(ValueError, match=r"got 1 of 'w', 'y'; --min-class-rows 2 leaves such classes out$"):
        hold_out(train, source.classes, 0.5, seed=0)
