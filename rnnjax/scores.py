"""Scores of predicted sequences: edit distance, error rate, exact match."""

from collections.abc import Mapping, Sequence

import numpy as np


def edit_distance(answer: Sequence[int], target: Sequence[int]) -> int:
    """The smallest number of insertions, deletions and substitutions that turn one sequence into the other.

    Source: Levenshtein 1966, "Binary Codes Capable of Correcting Deletions, Insertions, and Reversals".
    """
    row = list(range(len(target) + 1))
    for i, symbol in enumerate(answer, 1):
        above, row = row, [i]
        for j, wanted in enumerate(target, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (symbol != wanted)))
    return row[-1]


def rows_of(tokens: np.ndarray, lengths: np.ndarray) -> list[tuple[int, ...]]:
    """The rows of padded sequences `(B, T)`, without their padding."""
    return [tuple(row[:length].tolist()) for row, length in zip(np.asarray(tokens), lengths, strict=True)]


def error_rate(answers: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> float:
    """The sum of all edit distances, divided by the number of symbols in all targets.

    Raises ValueError if the targets have no symbols.
    """
    symbols = sum(map(len, targets))
    if not symbols:
        raise ValueError("targets: expected at least one symbol, got none")
    return sum(edit_distance(answer, target) for answer, target in zip(answers, targets, strict=True)) / symbols


def share_right(answers: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> float:
    """The share of answers that equal their target (exact match)."""
    return sum(tuple(a) == tuple(t) for a, t in zip(answers, targets, strict=True)) / len(targets)


def score_answers(
    answers: Mapping[str, Sequence[Sequence[int]]], targets: Sequence[Sequence[int]]
) -> list[dict[str, str | float]]:
    """For each model, by name: `exact_match` (`share_right`) and `error_rate`. Raises as `error_rate`."""
    return [
        {"model": name, "exact_match": share_right(given, targets), "error_rate": error_rate(given, targets)}
        for name, given in answers.items()
    ]
