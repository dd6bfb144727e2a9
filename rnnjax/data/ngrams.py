"""Word n-grams of texts as indices."""

import dataclasses

import numpy as np

from rnnjax.data.sequences import Sequences


@dataclasses.dataclass(frozen=True)
class NgramVocabulary:
    """The known n-grams of 1 to `longest` tokens; their indices are 1 to N, 0 stands for any other.

    An n-gram of tokens below V is the number with the digits token + 1 in base V + 1, so that n-grams of different
    lengths differ. `keys` are these numbers, ascending. Raises ValueError for `longest` below 1, and if such a number
    would not fit 63 bits.
    """

    keys: np.ndarray  # (N,) int64
    longest: int
    tokens: int

    def __post_init__(self):
        if self.longest < 1:
            raise ValueError(f"ngrams: expected at least 1 token, got {self.longest}")
        if self.longest > 62 or (self.tokens + 1) ** self.longest >= 2**63:
            raise ValueError(f"ngrams: expected at most 63 bits for n-grams of {self.tokens:,} tokens, got more")

    @classmethod
    def learn(cls, sequences: Sequences, tokens: int, longest: int, least: int) -> "NgramVocabulary":
        """The n-grams that are in at least `least` of the sequences, whose tokens are 0 to `tokens` - 1.

        Raises ValueError for `least` below 1, and as the class.
        """
        if least < 1:
            raise ValueError(f"least: expected at least 1, got {least}")
        empty = cls(np.empty(0, np.int64), longest, tokens)
        found = [np.unique(empty.numbers(sequences[n])) for n in range(len(sequences))]
        keys, counts = np.unique(np.concatenate([empty.keys, *found]), return_counts=True)
        return dataclasses.replace(empty, keys=keys[(counts >= least) & (keys > 0)])

    def numbers(self, tokens: np.ndarray) -> np.ndarray:
        """The numbers of the n-grams that end at each of T tokens, `(T, longest)`; 0 where the text has no such one."""
        found = np.zeros((len(tokens), self.longest), np.int64)
        digits = tokens.astype(np.int64) + 1
        found[:, 0] = digits
        for size in range(1, min(self.longest, len(tokens))):
            found[size:, size] = found[size - 1 : -1, size - 1] * (self.tokens + 1) + digits[size:]
        return found

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        """The indices `(T, longest)` of the n-grams that end at each of T tokens, where each occurs first; else 0."""
        numbers = self.numbers(tokens).ravel()
        different, first = np.unique(numbers, return_index=True)
        places = np.searchsorted(self.keys, different)
        known = places < len(self.keys)
        known[known] = self.keys[places[known]] == different[known]
        indices = np.zeros(len(numbers), np.int32)
        indices[first[known]] = places[known] + 1
        return indices.reshape(-1, self.longest)
