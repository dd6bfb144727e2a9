"""Held-out texts: how many of each class, which, and that training has not seen them."""

import pytest

from rnnjax.data import LabelledTexts, hold_out, without

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
