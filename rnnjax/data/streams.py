"""Long texts as streams: cut into rows that continue from window to window, for truncated back-propagation."""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rnnjax.data.batching import share_of


class Window(NamedTuple):
    """T steps of B rows, and the token after each step. Steps after the length of a row are padding.

    A `carried` row starts from the final state of the previous window; other rows start from the initial state.
    `resets[b, t]` restores the initial state before step t; None means never.
    """

    tokens: np.ndarray  # (B, T) int32
    targets: np.ndarray  # (B, T) int32
    lengths: np.ndarray  # (B,) int32
    rows: np.ndarray  # (B,) int32, the position within the whole batch
    carried: np.ndarray  # (B,) bool
    resets: np.ndarray | None  # (B, T) bool


@dataclasses.dataclass(frozen=True)
class Stream:
    """A text of N tokens as a batch of `rows` contiguous pieces, in windows of at most `steps` steps.

    Every token except the first is predicted once: row b predicts tokens `1 + b L` to `(b + 1) L`, where L is the same
    for all rows except the last ones, which may be shorter. `resets (N,)` marks the tokens before which the initial
    state is restored. Empty rows are added up to a multiple of `multiple`. `share` is (process, processes) if each of
    several processes makes a part of the rows. Raises ValueError for fewer than two tokens, rows or steps below 1, or
    resets of a different length than the tokens.
    """

    tokens: np.ndarray
    rows: int
    steps: int
    resets: np.ndarray | None = None
    multiple: int = 1
    share: tuple[int, int] = (0, 1)

    def __post_init__(self):
        if len(self.tokens) < 2:
            raise ValueError(f"tokens: expected at least 2, one to read and one to predict, got {len(self.tokens)}")
        for name in ("rows", "steps", "multiple"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.resets is not None and self.resets.shape != self.tokens.shape:
            raise ValueError(f"resets: expected shape {self.tokens.shape}, got {self.resets.shape}")

    @property
    def length(self) -> int:
        """The number of steps of a row, L."""
        return math.ceil((len(self.tokens) - 1) / self.rows)

    @property
    def filled(self) -> int:
        """The number of rows, including empty ones."""
        return math.ceil(self.rows / self.multiple) * self.multiple

    def __len__(self) -> int:
        return math.ceil(self.length / self.steps)

    def __iter__(self) -> Iterator[Window]:
        return self.windows()

    def windows(self, first: int = 0, carried: bool = False) -> Iterator[Window]:
        """The windows, starting with window number `first`.

        In window 0, rows start from the initial state or, with `carried`, all except row 0 from a given state.
        """
        rows = np.arange(self.filled, dtype=np.int32)[share_of(self.filled, *self.share)]
        width = min(self.steps, self.length)
        ends = np.minimum((rows + 1) * self.length, len(self.tokens) - 1)
        for window in range(first, len(self)):
            start = rows * self.length + window * width
            places = start[:, None] + np.arange(width)
            lengths = np.clip(ends - start, 0, width)
            inside = np.arange(width) < lengths[:, None]
            places = np.where(inside, places, 0)
            yield Window(
                np.where(inside, self.tokens[places], 0).astype(np.int32),
                np.where(inside, self.tokens[places + 1], 0).astype(np.int32),
                lengths.astype(np.int32),
                rows,
                (rows > 0) & carried if window == 0 else np.ones(len(rows), bool),
                None if self.resets is None else self.resets[places] & inside,
            )
