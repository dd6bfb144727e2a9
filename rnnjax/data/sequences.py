"""Integer sequences of any length: views into one array, in memory or in a mapped file."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Integer sequences of any length. Sequence n is `tokens[starts[n] : ends[n]]`.

    `tokens` may hold more than the sequences: where it is a mapped file, they are read as they are asked for.
    """

    tokens: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int] | np.ndarray]) -> "Sequences":
        """From separate sequences, end to end in memory."""
        arrays = [np.asarray(sequence, np.int32) for sequence in sequences]
        offsets = np.cumsum([0, *map(len, arrays)])
        return cls(np.concatenate([np.empty(0, np.int32), *arrays]), offsets[:-1], offsets[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, n: int) -> np.ndarray:
        if not 0 <= n < len(self):
            raise IndexError(f"sequence: expected 0 to {len(self) - 1}, got {n}")
        return self.tokens[self.starts[n] : self.ends[n]]

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each sequence."""
        return self.ends - self.starts

    def truncated(self, longest: int, cut: Literal["start", "end"]) -> "Sequences":
        """At most `longest` steps of each, the rest cut off at its start or end. Raises ValueError below 1."""
        if longest < 1:
            raise ValueError(f"longest: expected at least 1, got {longest}")
        if cut == "start":
            return Sequences(self.tokens, np.maximum(self.starts, self.ends - longest), self.ends)
        if cut == "end":
            return Sequences(self.tokens, self.starts, np.minimum(self.ends, self.starts + longest))
        raise ValueError(f"cut: expected 'start' or 'end', got {cut!r}")

    def share_of(self, token: int) -> float:
        """The share of all steps that hold this token; 0 where there is no step."""
        # In the order that they lie in: of a mapped file every page is read once.
        counts = (np.count_nonzero(self[n] == token) for n in np.argsort(self.starts, kind="stable"))
        return sum(counts) / max(int(self.lengths.sum()), 1)
