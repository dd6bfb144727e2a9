"""Texts that stay on disk: rows of a memory-mapped column; only row numbers are in memory."""

import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np

if TYPE_CHECKING:
    import datasets

# The number of rows read at once: only these are in memory, and fewer would be slower.
BATCH_ROWS = 1000
Value = TypeVar("Value")


class StoredTexts(Sequence[str]):
    """Rows of a column of texts, in any order; compares equal to any sequence of the same texts."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __init__(self, table: "datasets.Dataset", column: str, rows: np.ndarray | None = None):
        self._table, self._column = table, column
        self.rows = np.arange(len(table)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return self._read(self.rows[index])
        return self._read(self.rows[[operator.index(index)]])[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BATCH_ROWS):
            yield from self[start : start + BATCH_ROWS]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(map(operator.eq, self, other))

    def __repr__(self) -> str:
        return f"StoredTexts({len(self)} rows of column {self._column!r})"

    def take(self, chosen: np.ndarray) -> "StoredTexts":
        """The chosen rows, in this order."""
        return StoredTexts(self._table, self._column, self.rows[chosen])

    def _read(self, rows: np.ndarray) -> list[str]:
        if len(rows) == 0:
            return []
        first, last = int(rows[0]), int(rows[-1])
        # If the rows are ordered and dense, reading the whole range is much faster than gathering rows.
        if last - first < 2 * len(rows) and np.all(rows[:-1] < rows[1:]):
            stretch = self._table[self._column][first : last + 1]
            return [stretch[row] for row in rows - first]
        return self._table[self._column][rows.tolist()]


def batches(values: Iterable[Value]) -> Iterator[list[Value]]:
    """The values (usually texts) in lists of at most `BATCH_ROWS`."""
    rest = iter(values)
    while batch := list(itertools.islice(rest, BATCH_ROWS)):
        yield batch


def in_file_order(texts: Sequence[str]) -> tuple[Sequence[str], np.ndarray]:
    """The texts in the order on disk, which is fast to read, and the index of each in `texts`."""
    if not isinstance(texts, StoredTexts):
        return texts, np.arange(len(texts))
    order = np.argsort(texts.rows, kind="stable")
    return texts.take(order), order
