"""Length-bucketed batches with a reproducible order and width.

`plan_epoch` is a pure function of its arguments (lengths, batch_size, seed, epoch, ...), so any batch of any epoch can
be computed without the previous ones.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from rnnjax.data.sequences import Sequences


class Plan(NamedTuple):
    """The plan of one batch: its rows of the data, and its width in steps."""

    rows: np.ndarray
    width: int


class Batch(NamedTuple):
    """B sequences padded to T steps, and their targets. Rows that fill up the batch have weight and length 0.

    Targets depend on the objective: classes `(B,)`, a tag for every step `(B, T)`, or numbers `(B, ...)`.
    """

    inputs: Any  # (B, T) int32 tokens, (B, T, F) float32 features, or a tree of arrays
    lengths: np.ndarray  # (B,) int32
    targets: Any
    weights: np.ndarray  # (B,) float32
    rows: np.ndarray  # (B,) int32, the position within the whole batch


def bucket_widths(lengths: np.ndarray, buckets: int, multiple: int = 1) -> tuple[int, ...]:
    """At most `buckets` batch widths, multiples of `multiple`, with the least padding in total for these sequences.

    Each width is a separate batch shape, and every shape is compiled once. Raises ValueError for numbers below 1 or no
    sequences.
    """
    if len(lengths) == 0:
        raise ValueError("lengths: expected at least one sequence, got none")
    for name, number in (("buckets", buckets), ("multiple", multiple)):
        if number < 1:
            raise ValueError(f"{name}: expected at least 1, got {number}")
    widths, counts = np.unique(np.maximum(-(-lengths // multiple), 1) * multiple, return_counts=True)
    shorter = np.concatenate([[0], np.cumsum(counts)])
    # padded[j] is the least number of padded steps for all sequences up to width j; each round adds one bucket.
    padded, choices = widths * shorter[1:], []
    for _ in range(min(buckets, len(widths)) - 1):
        from_bucket = np.concatenate([[0], padded[:-1]])
        total = from_bucket[None, :] + widths[:, None] * (shorter[1:, None] - shorter[None, :-1])
        total = np.where(np.tri(len(widths), dtype=bool), total, np.iinfo(np.int64).max)
        choices.append(total.argmin(axis=1))
        padded = total.min(axis=1)
    chosen, last = [], len(widths) - 1
    for choice in reversed(choices):
        chosen.append(int(widths[last]))
        last = int(choice[last]) - 1
        if last < 0:
            break
    else:
        chosen.append(int(widths[last]))
    return tuple(reversed(chosen))


def plan_epoch(
    lengths: np.ndarray,
    batch_size: int,
    widths: Sequence[int],
    seed: int | None = None,
    epoch: int = 0,
    *,
    width_seed: int | None = None,
) -> list[Plan]:
    """The batches of one epoch: every row once, each batch no wider than its bucket.

    Rows are shuffled, assigned to the smallest sufficient width and cut into batches. The remainder of a bucket moves
    to the next wider one, so only the widest bucket may have a batch that is not full. The order of batches is shuffled
    too. With seed None, rows stay in order, for evaluation. With a `width_seed`, only it determines the order of
    widths: runs with different seeds and the same `width_seed` have batches of the same shapes. Raises ValueError for
    batch_size below 1 or a sequence longer than the widest bucket.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    widths = sorted(widths)
    if not widths:
        raise ValueError("widths: expected at least one, got none")
    if len(lengths) and lengths.max() > widths[-1]:
        raise ValueError(f"lengths: expected at most {widths[-1]}, the widest bucket, got {lengths.max()}")
    random = None if seed is None else np.random.default_rng([seed, epoch])
    order = np.arange(len(lengths)) if random is None else random.permutation(len(lengths))
    bucket = np.searchsorted(widths, lengths[order])
    plans, left = [], order[:0]
    for i, width in enumerate(widths):
        rows = np.concatenate([left, order[bucket == i]])
        full = len(rows) if i == len(widths) - 1 else len(rows) - len(rows) % batch_size
        plans += [Plan(rows[start : start + batch_size], width) for start in range(0, full, batch_size)]
        left = rows[full:]
    if random is not None:
        widths_random = random if width_seed is None else np.random.default_rng([width_seed, epoch])
        plans = [plans[i] for i in widths_random.permutation(len(plans))]
    return plans


def collate(
    sequences: Sequences,
    labels: np.ndarray,
    plan: Plan,
    batch_size: int,
    pad: Literal["start", "end"] = "end",
    part: slice = slice(None),
) -> Batch:
    """The batch of a plan, filled up to `batch_size` rows, or only the rows in `part`; only these are read.

    The labels are integers, one `(N,)` or several `(N, ...)` for each sequence. With padding at the end, the lengths
    give the end of each sequence. With padding at the start, padding is treated like any other step, as in networks
    without masks, and every length is the width. Raises ValueError for a `pad` other than "start" or "end".
    """
    if pad not in ("start", "end"):
        raise ValueError(f"pad: expected 'start' or 'end', got {pad!r}")
    rows = np.arange(batch_size, dtype=np.int32)[part]
    chosen = plan.rows[rows[rows < len(plan.rows)]]
    tokens = np.zeros((len(rows), plan.width), np.int32)
    lengths = np.zeros(len(rows), np.int32)
    for b, row in enumerate(chosen):
        sequence = sequences[row]
        lengths[b] = len(sequence)
        if pad == "end":
            tokens[b, : len(sequence)] = sequence
        else:
            tokens[b, plan.width - len(sequence) :] = sequence
    if pad == "start":
        lengths[: len(chosen)] = plan.width
    filled = np.zeros((len(rows), *labels.shape[1:]), np.int32)
    filled[: len(chosen)] = labels[chosen]
    weights = (rows < len(plan.rows)).astype(np.float32)
    return Batch(tokens, lengths, filled, weights, rows)


def share_of(rows: int, process: int, processes: int) -> slice:
    """The rows of a batch for one of several processes: the same number for each, in the order of the processes.

    Raises ValueError for a process number that is out of range.
    """
    if not 0 <= process < processes:
        raise ValueError(f"share: expected a process of 0 to {processes - 1}, got {process}")
    own = rows // processes
    return slice(process * own, (process + 1) * own)
