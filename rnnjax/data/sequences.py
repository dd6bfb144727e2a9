"""Integer sequences of any length: views into one array, in memory or in a memory-mapped file."""

import dataclasses
import zlib
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import numpy as np

Order = Literal["true", "reversed", "shuffled"]


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Integer sequences of any length. Sequence n is `tokens[starts[n] : ends[n]]`, read in `order`.

    `tokens` may contain more than the sequences. If it is a memory-mapped file, sequences are read on access.
    """

    tokens: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    order: Order = "true"

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int] | np.ndarray]) -> "Sequences":
        """From separate sequences, concatenated in memory."""
        arrays = [np.asarray(sequence, np.int32) for sequence in sequences]
        offsets = np.cumsum([0, *map(len, arrays)])
        return cls(np.concatenate([np.empty(0, np.int32), *arrays]), offsets[:-1], offsets[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, n: int) -> np.ndarray:
        if not 0 <= n < len(self):
            raise IndexError(f"sequence: expected 0 to {len(self) - 1}, got {n}")
        steps = self.tokens[self.starts[n] : self.ends[n]]
        if self.order == "reversed":
            return steps[::-1]
        if self.order == "shuffled":
            # Seeded by its tokens: a sequence has the same order at any position.
            return np.random.default_rng(zlib.crc32(steps.tobytes())).permutation(steps)
        return steps

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each sequence."""
        return self.ends - self.starts

    def truncated(self, longest: int, cut: Literal["start", "end"]) -> "Sequences":
        """At most `longest` steps of each sequence, with the rest cut off at the start or end.

        Raises ValueError for `longest` below 1 or an unknown `cut`.
        """
        if longest < 1:
            raise ValueError(f"longest: expected at least 1, got {longest}")
        if cut == "start":
            return dataclasses.replace(self, starts=np.maximum(self.starts, self.ends - longest))
        if cut == "end":
            return dataclasses.replace(self, ends=np.minimum(self.ends, self.starts + longest))
        raise ValueError(f"cut: expected 'start' or 'end', got {cut!r}")

    def ordered(self, order: Order) -> "Sequences":
        """The same steps, read in a different order. Raises ValueError for an unknown order."""
        if order not in get_args(Order):
            raise ValueError(f"order: expected one of {', '.join(get_args(Order))}, got {order!r}")
        return dataclasses.replace(self, order=order)

    def share_of(self, token: int) -> float:
        """The share of this token among all steps; 0 if there are no steps."""
        # In storage order, so that every page of a memory-mapped file is read once.
        counts = (np.count_nonzero(self[n] == token) for n in np.argsort(self.starts, kind="stable"))
        return sum(counts) / max(int(self.lengths.sum()), 1)
