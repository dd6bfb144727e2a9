"""The accuracy of the epoch that one half of the validation part chose, measured on the other half.

The best epoch is chosen on the rows that its accuracy is reported on, which is optimistic. Here no row is used for
both.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.sentiment.data import Part
from rnnjax.data import Batch
from rnnjax.runs.metrics import is_whole
from rnnjax.training import EpochReport
from rnnjax.training.cross_validation import deal
from rnnjax.training.objective import Objective, Sums

LINE = "halves"  # the kind of the lines in metrics.jsonl


class TwoFold(NamedTuple):
    """The accuracy over both directions, and the epoch that each half chose."""

    accuracy: float
    epochs: tuple[int, int]


def in_halves(part: Part, seed: int) -> Part:
    """The part with targets `(N, 2)`: the class of a row, and its half, 0 or 1, stratified at random."""
    return part._replace(labels=np.stack([part.labels, deal(part.labels, 2, seed)], axis=1).astype(np.int32))


def by_half(objective: Objective) -> Objective:
    """The classification objective for the targets of `in_halves`; its sum `correct` `(2,)` is the accuracy by half."""

    def sums(params: Any, batch: Batch, key: jax.Array | None) -> Sums:
        targets, half = batch.targets[:, 0], batch.targets[:, 1]

        def weighted(counted: jax.Array) -> Sums:
            return objective(params, batch._replace(targets=targets, weights=batch.weights * counted), key)

        # All rows, and each half. The network, which reads no weights, is not applied three times.
        every = jax.vmap(weighted)(jnp.stack([half >= 0, half == 0, half == 1]))
        return {name: value[0] for name, value in every.items()} | {"correct": every["accuracy"][1:]}

    return dataclasses.replace(objective, sums=sums)


def line_of(report: EpochReport) -> dict[str, Any]:
    """The correct rows of each half after an epoch, as a line of metrics.jsonl."""
    return {"epoch": report.epoch, "correct": report.validation.totals["correct"].round().astype(int).tolist()}


def two_fold(lines: Sequence[Mapping[str, Any]], half: np.ndarray) -> TwoFold | None:
    """Each half `(N,)` chooses its best epoch, the first of equal ones, and the other half measures it.

        accuracy = (correct of half 1 in the epoch of half 0 + correct of half 0 in the epoch of half 1) / N

    `lines` are those of `line_of`, of every epoch of the run. None without a line for every epoch (metrics.jsonl was
    removed before the run was resumed), and for fewer than two rows.
    """
    epochs, pairs = [line.get("epoch") for line in lines], [line.get("correct") for line in lines]
    if not lines or epochs != list(range(1, len(lines) + 1)) or not all(map(_is_pair, pairs)) or len(half) < 2:
        return None
    correct = np.array(pairs)
    first, second = correct.argmax(axis=0)
    accuracy = (correct[first, 1] + correct[second, 0]) / len(half)
    return TwoFold(float(accuracy), (int(first) + 1, int(second) + 1))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_whole, value))
