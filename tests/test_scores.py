"""Edit distances against a recursion, and the scores that are computed from them."""

import numpy as np
import pytest

from rnnjax.scores import edit_distance, error_rate, rows_of, score_answers, share_right


def distance_by_hand(answer, target):
    """By recursion, as defined."""
    if not answer or not target:
        return len(answer) + len(target)
    (first, *rest), (wanted, *others) = answer, target
    if first == wanted:
        return distance_by_hand(rest, others)
    return 1 + min(distance_by_hand(rest, target), distance_by_hand(answer, others), distance_by_hand(rest, others))


def test_scores_are_edits_per_symbol_and_the_share_of_exact_matches():
    random = np.random.default_rng(0)
    pairs = [[random.integers(0, 3, random.integers(0, 6)).tolist() for _ in range(2)] for _ in range(60)]
    wanted = [distance_by_hand(*pair) for pair in pairs]
    assert [edit_distance(*pair) for pair in pairs] == wanted
    assert len(set(wanted)) > 3
    answers, targets = zip(*pairs, strict=True)
    assert error_rate(answers, targets) == sum(wanted) / sum(map(len, targets))
    assert share_right(answers, targets) == sum(a == t for a, t in pairs) / 60
    assert score_answers({"net": answers, "targets": targets}, targets) == [
        {"model": "net", "exact_match": share_right(answers, targets), "error_rate": error_rate(answers, targets)},
        {"model": "targets", "exact_match": 1, "error_rate": 0},
    ]
    with pytest.raises(ValueError, match="targets: expected at least one symbol, got none"):
        error_rate([[1]], [[]])


def test_rows_of_padded_sequences_have_no_padding():
    assert rows_of(np.array([[3, 1, 0], [2, 0, 0], [0, 0, 0]]), np.array([2, 3, 0])) == [(3, 1), (2, 0, 0), ()]
