"""Integer sequences of any length: views into one array, in memory or in a mapped file."""

import dataclasses
import zlib
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import numpy as np

Order = Literal["true", "reversed", "shuffled"]


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Integer sequences of any length. Sequence n is `tokens[starts[n] : ends[n]]`, read in `order`.

    `tokens` may hold more than the sequences: where it is a mapped file, they are read as they are asked for.
    """

    tokens: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    order: Order = "true"

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
        steps = self.tokens[self.starts[n] : self.ends[n]]
        if self.order == "reversed":
            return steps[::-1]
        if self.order == "shuffled":
            # By a seed of its own tokens: the same order wherever it stands.
            return np.random.default_rng(zlib.crc32(steps.tobytes())).permutation(steps)
        return steps

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each sequence."""
        return self.ends - self.starts

    def truncated(self, longest: int, cut: Literal["start", "end"]) -> "Sequences":
        """At most `longest` steps of each, the rest cut off at its start or end. Raises ValueError below 1."""
        if longest < 1:
            raise ValueError(f"longest: expected at least 1, got {longest}")
        if cut == "start":
            return dataclasses.replace(self, starts=np.maximum(self.starts, self.ends - longest))
        if cut == "end":
            return dataclasses.replace(self, ends=np.minimum(self.ends, self.starts + longest))
        raise ValueError(f"cut: expected 'start' or 'end', got {cut!r}")

    def ordered(self, order: Order) -> "Sequences":
        """The same steps, read in another order. Raises ValueError for another than the three."""
        if order not in get_args(Order):
            raise ValueError(f"order: expected one of {', '.join(get_args(Order))}, got {order!r}")
        return dataclasses.replace(self, order=order)

    def share_of(self, token: int) -> float:
        """The share of all steps that hold this token; 0 where there is no step."""
        # In the order that they lie in: of a mapped file every page is read once.
        counts = (np.count_nonzero(self[n] == token) for n in np.argsort(self.starts, kind="stable"))
        return sum(counts) / max(int(self.lengths.sum()), 1)
