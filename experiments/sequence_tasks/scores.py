"""How far answers are from what they should be: edit distances, and errors a symbol."""

from collections.abc import Sequence

import numpy as np


def edit_distance(answer: Sequence[int], target: Sequence[int]) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence of the other.

    Source: Levenshtein 1966, "Binary Codes Capable of Correcting Deletions, Insertions, and Reversals".
    """
    row = list(range(len(target) + 1))
    for i, symbol in enumerate(answer, 1):
        above, row = row, [i]
        for j, wanted in enumerate(target, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (symbol != wanted)))
    return row[-1]


def rows_of(tokens: np.ndarray, lengths: np.ndarray) -> list[tuple[int, ...]]:
    """Padded sequences `(B, T)` without their padding."""
    return [tuple(row[:length].tolist()) for row, length in zip(np.asarray(tokens), lengths, strict=True)]


def error_rate(answers: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> float:
    """Edits a symbol: the edit distances of all answers over the symbols of all targets.

    Raises ValueError where there is no symbol.
    """
    symbols = sum(map(len, targets))
    if not symbols:
        raise ValueError("targets: expected at least one symbol, got none")
    return sum(edit_distance(answer, target) for answer, target in zip(answers, targets, strict=True)) / symbols


def share_right(answers: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> float:
    """The share of answers that are right in full."""
    return sum(tuple(a) == tuple(t) for a, t in zip(answers, targets, strict=True)) / len(targets)
