"""Which rows go into which batch, how wide batches are, and what stands in them."""

import itertools

import numpy as np
import pytest
from fuzz import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.data import Plan, Sequences, bucket_widths, collate, plan_epoch

few_examples = settings(max_examples=at_most(60), deadline=None, database=None)

# (lengths, batch size, widths, seed, epoch); the widest bucket holds the longest sequence.
epochs = st.tuples(
    st.lists(st.integers(0, 30), max_size=60).map(lambda lengths: np.array(lengths, np.int64)),
    st.integers(1, 9),
    st.lists(st.integers(1, 29), max_size=3).map(lambda widths: [*widths, 30]),
    st.none() | st.integers(0, 2**32),
    st.integers(0, 5),
)


def as_lists(plans):
    return [(plan.rows.tolist(), plan.width) for plan in plans]


@few_examples
@given(epochs)
def test_every_row_is_in_one_batch_that_is_wide_enough_and_full(epoch):
    lengths, batch_size, widths, *_ = epoch
    plans = plan_epoch(*epoch)
    rows = [row for plan in plans for row in plan.rows]
    assert sorted(rows) == list(range(len(lengths)))
    for plan in plans:
        assert plan.width in widths
        assert lengths[plan.rows].max() <= plan.width
        # Only the widest bucket may have a batch that is not full.
        assert len(plan.rows) == batch_size or plan.width == max(widths)
    assert sum(len(plan.rows) < batch_size for plan in plans) <= 1
    assert len(plans) == -(-len(lengths) // batch_size)


@few_examples
@given(epochs)
def test_no_width_holds_more_than_a_batch_of_rows_from_narrower_buckets(epoch):
    lengths, batch_size, widths, *_ = epoch
    plans = plan_epoch(*epoch)
    for narrow, width in itertools.pairwise(sorted(set(widths))):
        moved_up = sum((lengths[plan.rows] <= narrow).sum() for plan in plans if plan.width >= width)
        assert moved_up < batch_size


@few_examples
@given(epochs)
def test_a_plan_follows_from_its_arguments_alone(epoch):
    assert as_lists(plan_epoch(*epoch)) == as_lists(plan_epoch(*epoch))


def test_seed_and_epoch_each_change_rows_and_order():
    lengths = np.random.default_rng(0).integers(1, 30, 64)
    plans = {
        (seed, epoch): as_lists(plan_epoch(lengths, 4, (10, 30), seed, epoch)) for seed in (0, 1) for epoch in (0, 1)
    }
    for one, other in itertools.combinations(plans.values(), 2):
        assert [width for _, width in one] != [width for _, width in other]
        assert {frozenset(rows) for rows, _ in one}.isdisjoint(frozenset(rows) for rows, _ in other)


def test_without_a_seed_rows_keep_their_order():
    lengths = np.array([3, 9, 1, 8, 2, 7, 4, 5])
    assert as_lists(plan_epoch(lengths, 3, (9,))) == [([0, 1, 2], 9), ([3, 4, 5], 9), ([6, 7], 9)]
    # The two rows that do not fill a batch of width 4 move up.
    assert as_lists(plan_epoch(lengths, 3, (9, 4))) == [([0, 2, 4], 4), ([6, 1, 3], 9), ([5, 7], 9)]


def test_plan_epoch_rejects_what_it_cannot_do():
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        plan_epoch(np.array([1]), 0, (4,))
    with pytest.raises(ValueError, match="lengths: expected at most 4, the widest bucket, got 5"):
        plan_epoch(np.array([1, 5]), 2, (4, 2))


def padded_steps(lengths, widths):
    """Steps of all batches' rows together, each sequence in the narrowest width that holds it."""
    return sum(min(width for width in widths if width >= length) for length in lengths)


@few_examples
@given(st.lists(st.integers(0, 14), min_size=1, max_size=20), st.integers(1, 4), st.integers(1, 3))
def test_bucket_widths_pad_least(lengths, buckets, multiple):
    widths = bucket_widths(np.array(lengths), buckets, multiple)
    assert list(widths) == sorted(set(widths))
    assert 1 <= len(widths) <= buckets
    assert all(width >= 1 and width % multiple == 0 for width in widths)
    # No wider than the longest sequence asks for.
    widest = max(-(-max(lengths) // multiple), 1) * multiple
    assert widths[-1] == widest
    candidates = range(multiple, widest, multiple)
    best = min(
        padded_steps(lengths, [*chosen, widest])
        for count in range(min(buckets, len(candidates) + 1))
        for chosen in itertools.combinations(candidates, count)
    )
    assert padded_steps(lengths, widths) == best


def test_bucket_widths_of_a_case_worked_by_hand():
    lengths = np.array([1, 2, 2, 9, 10, 10])
    assert bucket_widths(lengths, 1) == (10,)
    assert bucket_widths(lengths, 2) == (2, 10)
    assert bucket_widths(lengths, 2, multiple=4) == (4, 12)
    assert bucket_widths(lengths, 99) == (1, 2, 9, 10)
    assert bucket_widths(np.array([0, 0]), 3) == (1,)


def test_bucket_widths_rejects_what_it_cannot_do():
    with pytest.raises(ValueError, match="lengths: expected at least one sequence, got none"):
        bucket_widths(np.array([], int), 2)
    with pytest.raises(ValueError, match="buckets: expected at least 1, got 0"):
        bucket_widths(np.array([1]), 0)
    with pytest.raises(ValueError, match="multiple: expected at least 1, got 0"):
        bucket_widths(np.array([1]), 1, 0)


SEQUENCES = Sequences.of([[7], [5, 6, 7], [], [8, 9]])
LABELS = np.array([1, 0, 1, 2])
PLAN = Plan(np.array([3, 1, 2]), 4)


def test_collate_pads_the_end_and_fills_up_the_batch():
    batch = collate(SEQUENCES, LABELS, PLAN, 5)
    want = [[8, 9, 0, 0], [5, 6, 7, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(batch.inputs, want)
    np.testing.assert_array_equal(batch.lengths, [2, 3, 0, 0, 0])
    np.testing.assert_array_equal(batch.targets, [2, 0, 1, 0, 0])
    np.testing.assert_array_equal(batch.weights, [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(batch.rows, [0, 1, 2, 3, 4])
    assert [field.dtype.name for field in batch] == ["int32", "int32", "int32", "float32", "int32"]


def test_a_sequence_may_have_several_labels():
    batch = collate(SEQUENCES, np.stack([LABELS, LABELS + 5], axis=1), PLAN, 5, part=slice(1, 5))
    np.testing.assert_array_equal(batch.targets, [[0, 5], [1, 6], [0, 0], [0, 0]])


def test_collate_pads_the_start_so_that_padding_is_read():
    batch = collate(SEQUENCES, LABELS, PLAN, 5, pad="start")
    want = [[0, 0, 8, 9], [0, 5, 6, 7], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(batch.inputs, want)
    np.testing.assert_array_equal(batch.lengths, [4, 4, 4, 0, 0])
    np.testing.assert_array_equal(batch.targets, [2, 0, 1, 0, 0])
    np.testing.assert_array_equal(batch.weights, [1, 1, 1, 0, 0])


def test_collate_rejects_another_padding():
    with pytest.raises(ValueError, match="pad: expected 'start' or 'end', got 'left'"):
        collate(SEQUENCES, LABELS, PLAN, 5, pad="left")  # pyright: ignore[reportArgumentType]


@few_examples
@given(epochs, st.sampled_from(["start", "end"]))
def test_an_epochs_batches_hold_every_sequence_once(epoch, pad):
    lengths, batch_size, *_ = epoch
    # Sequence n holds n + 1 alone, so that tokens tell where they come from.
    sequences = Sequences.of([[n + 1] * length for n, length in enumerate(lengths)])
    labels = np.arange(len(lengths)) + 100
    batches = [collate(sequences, labels, plan, batch_size, pad) for plan in plan_epoch(*epoch)]
    counts = np.bincount(
        np.concatenate([[0], *(batch.inputs.ravel() for batch in batches)]), minlength=len(lengths) + 1
    )
    np.testing.assert_array_equal(counts[1:], lengths)
    real = [label for batch in batches for label in batch.targets[batch.weights == 1]]
    assert sorted(real) == labels.tolist()


@few_examples
@given(epochs, st.sampled_from(["start", "end"]), st.integers(1, 4))
def test_the_parts_of_a_batch_are_the_whole_batch(epoch, pad, parts):
    lengths, batch_size, *_ = epoch
    sequences = Sequences.of([[n + 1] * length for n, length in enumerate(lengths)])
    labels = np.arange(len(lengths)) + 100
    bounds = np.linspace(0, batch_size, parts + 1).astype(int)
    for plan in plan_epoch(*epoch):
        whole = collate(sequences, labels, plan, batch_size, pad)
        shares = [collate(sequences, labels, plan, batch_size, pad, slice(*bounds[n : n + 2])) for n in range(parts)]
        for field, *pieces in zip(whole, *shares, strict=True):
            np.testing.assert_array_equal(np.concatenate(pieces), field, strict=True)


def test_rows_outside_a_part_are_not_read():
    sequences = Sequences(SEQUENCES.tokens, SEQUENCES.starts, SEQUENCES.ends)
    read = []

    class Watched(Sequences):
        def __getitem__(self, n):
            read.append(int(n))
            return sequences[n]

    watched = Watched(sequences.tokens, sequences.starts, sequences.ends)
    batch = collate(watched, LABELS, PLAN, 4, part=slice(1, 3))
    assert read == [1, 2]
    np.testing.assert_array_equal(batch.rows, [1, 2])
    np.testing.assert_array_equal(batch.inputs, [[5, 6, 7, 0], [0, 0, 0, 0]])


def test_seeds_may_share_which_width_comes_when():
    lengths = np.random.default_rng(0).integers(0, 40, 200)
    first, second = (plan_epoch(lengths, 8, (10, 20, 40), seed, 3, width_seed=7) for seed in (1, 2))
    assert [plan.width for plan in first] == [plan.width for plan in second]
    assert [len(plan.rows) for plan in first] == [len(plan.rows) for plan in second]
    assert any((one.rows != other.rows).any() for one, other in zip(first, second, strict=True))
    assert sorted(np.concatenate([plan.rows for plan in first])) == list(range(200))
    other = plan_epoch(lengths, 8, (10, 20, 40), 1, 3, width_seed=8)
    assert [plan.width for plan in first] != [plan.width for plan in other]
