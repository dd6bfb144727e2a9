"""Batches of in-memory arrays, and of pairs of sequences."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from rnnjax.data.batching import Batch
from rnnjax.fields import check_range

if TYPE_CHECKING:
    from jax.typing import ArrayLike


class PairBatch(NamedTuple):
    """B sequences padded to T steps, each with a target sequence padded to N."""

    inputs: np.ndarray  # (B, T) int32 tokens, or (B, T, F) float32 features
    lengths: np.ndarray  # (B,) int32
    targets: np.ndarray  # (B, N) int32
    target_lengths: np.ndarray  # (B,) int32
    weights: np.ndarray  # (B,) float32
    rows: np.ndarray  # (B,) int32, the position within the whole batch


SequenceBatch = TypeVar("SequenceBatch", Batch, PairBatch)


def cut_batches(
    data: SequenceBatch, batch_size: int, seed: int | None = None, epoch: int = 0, first: int = 0
) -> Iterator[SequenceBatch]:
    """One epoch of data stored as one large batch, cut into batches, starting with batch number `first`.

    The order depends on `seed` and `epoch`; without a seed, rows stay in order. The last batch is filled up with rows
    of length and weight 0. Raises ValueError for batch_size below 1.
    """
    import jax

    check_range("batch_size", batch_size, 1)
    count = len(data.weights)
    order = np.arange(count) if seed is None else np.random.default_rng([seed, epoch]).permutation(count)
    numbers = np.arange(batch_size, dtype=np.int32)
    for start in range(first * batch_size, count, batch_size):
        chosen = order[start : start + batch_size]
        missing = batch_size - len(chosen)

        def cut(leaf: np.ndarray, chosen: np.ndarray = chosen, missing: int = missing) -> np.ndarray:
            return np.pad(leaf[chosen], [(0, missing)] + [(0, 0)] * (leaf.ndim - 1))

        yield jax.tree.map(cut, data)._replace(rows=numbers)


@dataclasses.dataclass(frozen=True)
class Batches:
    """Batches of one data set: `batches(epoch, first)` iterates over an epoch from batch `first`.

    By default it iterates over all batches of epoch 0. `len` is the number of batches in an epoch.
    """

    data: Batch
    batch_size: int
    seed: int | None

    def __call__(self, epoch: int = 0, first: int = 0) -> Iterator[Batch]:
        return cut_batches(self.data, self.batch_size, self.seed, epoch, first)

    def __iter__(self) -> Iterator[Batch]:
        return self()

    @property
    def fingerprint(self) -> str:
        """`fingerprint_of` the arrays."""
        return fingerprint_of(self.data)

    def __len__(self) -> int:
        return -(-len(self.data.weights) // self.batch_size)


def fingerprint_of(tree: Any) -> str:
    """The SHA-256 of all arrays of a tree, in their order, with their names, dtypes and shapes."""
    import jax

    value = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(tree):
        value.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}".encode())
        value.update(np.ascontiguousarray(leaf).tobytes())
    return value.hexdigest()


def batches(
    inputs: Any,
    targets: Any,
    lengths: "ArrayLike | None" = None,
    *,
    batch_size: int,
    seed: int | None = None,
    weights: "ArrayLike | None" = None,
) -> Batches:
    """Batches of arrays or trees of arrays, rows first, in an order determined by seed and epoch.

    Without `lengths`, every sequence has all steps (the second axis of the first array of `inputs`); without `weights`,
    every row has weight 1; without a seed, rows stay in order. The last batch is filled up with rows of weight and
    length 0, so that all batches have the same shape and every row is used once. Raises ValueError for arrays with
    different numbers of rows, for no rows, for lengths that are not 0 to the number of steps, for weights that are
    negative or not finite, for batch_size below 1, and for a negative seed.
    """
    import jax

    inputs, targets = jax.tree.map(np.asarray, (inputs, targets))
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves((inputs, targets))]
    if not jax.tree.leaves(inputs) or not all(shapes):
        # A list is a tree of its items for JAX.
        raise ValueError(
            "inputs, targets: expected arrays with an axis of rows, got none or single numbers (as in a list: give "
            "numpy.asarray of it)"
        )
    if wrong := {leaf.dtype for leaf in jax.tree.leaves((inputs, targets)) if leaf.dtype.kind in "OSU"}:
        raise ValueError(f"inputs, targets: expected arrays of numbers, got {', '.join(map(str, wrong))}")
    count, steps = shapes[0][0], shapes[0][1] if len(shapes[0]) > 1 else 1
    given_lengths = np.full(count, steps) if lengths is None else np.asarray(lengths)
    given_weights = np.ones(count) if weights is None else np.asarray(weights)
    for name, given in (("lengths", given_lengths), ("weights", given_weights)):
        if given.dtype.kind not in "biuf":
            raise ValueError(f"{name}: expected numbers, got an array of {given.dtype}")
        if given.ndim != 1:
            raise ValueError(f"{name}: expected one number for each row, got an array of shape {given.shape}")
    for shape in (*shapes, given_lengths.shape, given_weights.shape):
        if shape[0] != count:
            raise ValueError(f"inputs, targets, lengths, weights: expected {count} rows in each, got {shape[0]}")
    if count == 0:
        raise ValueError("inputs: expected at least one row, got none")
    check_range("batch_size", batch_size, 1)
    if seed is not None:
        check_range("seed", seed, 0)
    most = steps if isinstance(inputs, np.ndarray) and inputs.ndim > 1 else np.inf  # of a tree nobody knows
    fitting = (np.mod(given_lengths, 1) == 0) & (given_lengths >= 0) & (given_lengths <= most)
    if not fitting.all():
        other = given_lengths[~fitting][0]
        raise ValueError(f"lengths: expected integers from 0 to {most}, the steps of the inputs, got {other}")
    fitting = np.isfinite(given_weights) & (given_weights >= 0)
    if not fitting.all():
        raise ValueError(f"weights: expected finite numbers of at least 0, got {given_weights[~fitting][0]}")
    data = Batch(
        inputs,
        given_lengths.astype(np.int32),
        targets,
        given_weights.astype(np.float32),
        np.arange(count, dtype=np.int32),
    )
    return Batches(data, batch_size, seed)
