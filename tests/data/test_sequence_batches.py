"""Batches of plain arrays: what is refused, and what lengths and weights may be."""

import numpy as np
import pytest

from rnnjax.data import batches

INPUTS, TARGETS = np.zeros((4, 3, 2), np.float32), np.zeros(4, np.float32)
BAD = {
    "too long": (
        {"lengths": [1, 2, 3, 4]},
        "lengths: expected integers from 0 to 3, the steps of the inputs, got 4",
    ),
    "negative": ({"lengths": [1, 2, 3, -1]}, "lengths: expected integers from 0 to 3"),
    "part": ({"lengths": [1, 2, 3, 1.5]}, "lengths: expected integers from 0 to 3"),
    "nan": ({"lengths": [1, 2, 3, np.nan]}, "lengths: expected integers from 0 to 3"),
    "one length": ({"lengths": 3}, r"lengths: expected one number for each row, got an array of shape \(\)"),
    "two axes": (
        {"weights": np.ones((4, 1))},
        r"weights: expected one number for each row, got an array of shape \(4, 1\)",
    ),
    "negative weight": ({"weights": [1, 1, 1, -1]}, "weights: expected finite numbers of at least 0, got -1"),
    "weight nan": ({"weights": [1, 1, 1, np.nan]}, "weights: expected finite numbers of at least 0, got nan"),
    "rows": ({"weights": [1, 1, 1]}, "inputs, targets, lengths, weights: expected 4 rows in each, got 3"),
    "batch_size": ({"batch_size": 0}, "batch_size: expected at least 1, got 0"),
    "words": ({"lengths": ["1", "2", "3", "3"]}, "lengths: expected numbers, got an array of <U1"),
    "batch_size of a kind": ({"batch_size": 2.5}, "batch_size: expected an integer, got 2.5"),
    "seed": ({"seed": -1}, "seed: expected at least 0, got -1"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        batches(INPUTS, TARGETS, **{"batch_size": 2, **options})


def test_lengths_from_none_to_all_and_weights_of_nothing():
    lengths, weights = np.array([0, 1, 3, 3]), np.array([0, 1, 2, 0.5])
    data = batches(INPUTS, TARGETS, lengths, batch_size=3, weights=weights)
    first, last = data()
    np.testing.assert_array_equal(np.concatenate([first.lengths, last.lengths]), [0, 1, 3, 3, 0, 0])
    np.testing.assert_array_equal(np.concatenate([first.weights, last.weights]), [0, 1, 2, 0.5, 0, 0])


def test_nobody_knows_the_steps_of_a_tree():
    data = batches(
        {"constant": np.zeros((4, 1)), "series": np.zeros((4, 9))}, TARGETS, np.array([9, 9, 9, 0]), batch_size=4
    )
    np.testing.assert_array_equal(next(data()).lengths, [9, 9, 9, 0])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (INPUTS.tolist(), r"expected arrays with an axis of rows, got none or single numbers \(as in a list"),
        (np.array(["a"] * 4), "inputs, targets: expected arrays of numbers, got <U1"),
        (np.array([None] * 4), "inputs, targets: expected arrays of numbers, got object"),
    ],
)
def test_inputs_that_are_no_arrays_of_numbers(inputs, message):
    with pytest.raises(ValueError, match=message):
        batches(inputs, TARGETS, batch_size=2)
