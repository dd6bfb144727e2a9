"""Long texts as streams: cut into rows that go on from window to window, for truncated back-propagation."""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rnnjax.data.batching import share_of


class Window(NamedTuple):
    """T steps of B rows, and the token after each. Past its length a row has nothing that is read or predicted.

    A row that is `carried` goes on from the state that the window before ended with; else it begins from the initial
    state. `resets[b, t]` puts that back before step t; None: never.
    """

    tokens: np.ndarray  # (B, T) int32
    targets: np.ndarray  # (B, T) int32
    lengths: np.ndarray  # (B,) int32
    rows: np.ndarray  # (B,) int32, the position within the whole batch
    carried: np.ndarray  # (B,) bool
    resets: np.ndarray | None  # (B, T) bool


@dataclasses.dataclass(frozen=True)
class Stream:
    """A text of N tokens as `rows` contiguous pieces side by side, in windows of at most `steps` steps.

    Every token but the first is predicted once: row b predicts tokens `1 + b L` to `(b + 1) L`, with L the same for
    all rows but the last ones, which may have less. `resets (N,)` says before which tokens the initial state is put
    back. Rows are filled up with empty ones to a multiple of `multiple`; `share` is (process, processes) where each
    of several processes makes its own rows. Raises ValueError for fewer than two tokens, rows or steps below 1, or
    resets that are not one a token.
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
        """Steps of a row, L."""
        return math.ceil((len(self.tokens) - 1) / self.rows)

    @property
    def filled(self) -> int:
        """Rows, the empty ones included."""
        return math.ceil(self.rows / self.multiple) * self.multiple

    def __len__(self) -> int:
        return math.ceil(self.length / self.steps)

    def __iter__(self) -> Iterator[Window]:
        return self.windows()

    def windows(self, first: int = 0, carried: bool = False) -> Iterator[Window]:
        """The windows from the first one asked for on.

        Rows begin from the initial state; or, where they are `carried`, each but the first one from a state given.
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
