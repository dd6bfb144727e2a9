"""Batches whose answer is a sequence too: a tag for every step, or a sequence of a length of its own."""

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np


class TaggedBatch(NamedTuple):
    """B sequences padded to T steps, with a tag for every step."""

    inputs: np.ndarray  # (B, T) int32 tokens, or (B, T, F) float32 features
    lengths: np.ndarray  # (B,) int32
    tags: np.ndarray  # (B, T) int32
    weights: np.ndarray  # (B,) float32
    rows: np.ndarray  # (B,) int32, the position within the whole batch


class PairBatch(NamedTuple):
    """B sequences padded to T steps, each with a target sequence padded to N."""

    inputs: np.ndarray  # (B, T) int32 tokens, or (B, T, F) float32 features
    lengths: np.ndarray  # (B,) int32
    targets: np.ndarray  # (B, N) int32
    target_lengths: np.ndarray  # (B,) int32
    weights: np.ndarray  # (B,) float32
    rows: np.ndarray  # (B,) int32, the position within the whole batch


SequenceBatch = TypeVar("SequenceBatch", TaggedBatch, PairBatch)


def cut_batches(
    data: SequenceBatch, batch_size: int, seed: int | None = None, epoch: int = 0, first: int = 0
) -> Iterator[SequenceBatch]:
    """One epoch of data that is held as one large batch, cut into batches, from the batch `first` on.

    The order follows from `seed` and `epoch`; without a seed rows stay as they are. The last batch is filled up with
    rows of length and weight 0. Raises ValueError for a batch size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch size: expected at least 1, got {batch_size}")
    count = len(data.weights)
    order = np.arange(count) if seed is None else np.random.default_rng([seed, epoch]).permutation(count)
    numbers = np.arange(batch_size, dtype=np.int32)
    for start in range(first * batch_size, count, batch_size):
        chosen = order[start : start + batch_size]
        missing = batch_size - len(chosen)
        leaves = (np.pad(leaf[chosen], [(0, missing)] + [(0, 0)] * (leaf.ndim - 1)) for leaf in data)
        yield type(data)(*leaves)._replace(rows=numbers)
