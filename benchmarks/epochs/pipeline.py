"""The data of an epoch: tokenised reviews in memory, and the batches that an epoch makes of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from rnnjax.data import (
    Batch,
    Plan,
    Sequences,
    bucket_widths,
    collate,
    encode,
    hold_out,
    learn_vocabulary,
    load_source,
    plan_epoch,
    without,
)

# Widths are multiples of the default chunk, as in the sentiment study.
WIDTH_MULTIPLE = 20


class Texts(NamedTuple):
    """Training texts as integers, cut to the longest that is read, their classes (0 or 1), and the words known."""

    sequences: Sequences
    labels: np.ndarray
    vocabulary: int


def read_texts(
    source: str,
    text_column: str,
    label_column: str,
    *,
    held_out: float,
    vocabulary: int,
    longest: int,
    seed: int,
) -> Texts:
    """The texts that the sentiment study trains on: without a hold-out and what repeats it.

    Raises ValueError where the source has other than two classes, and as `load_source` and `hold_out` do.
    """
    loaded = load_source(source, text_column, label_column)
    if len(loaded.classes) != 2:
        raise ValueError(f"{source}: expected two classes, got {len(loaded.classes)}: {', '.join(loaded.classes)}")
    train, validation = loaded.train, loaded.validation
    if validation is None:
        train, validation = hold_out(train, loaded.classes, held_out, seed)
    train = without(train, validation, loaded.test)
    if not train.texts:
        raise ValueError(f"{source}: expected training texts that are not held out too, got none")
    tokenizer, _ = learn_vocabulary(train.texts, vocabulary)
    sequences = encode(tokenizer, train.texts).truncated(longest, "start")
    return Texts(sequences, np.asarray(train.labels, np.int32), tokenizer.get_vocab_size())


class Pipeline(NamedTuple):
    """A way of making batches of texts: `plans` deals an epoch's rows anew, `pad` is the end that is filled up.

    Padded at the end, lengths say where a text ends. Padded at the start, the padding is read like words, which is
    another function of the text.
    """

    name: str
    texts: Texts
    plans: Callable[[], list[Plan]]
    batch_size: int
    pad: Literal["start", "end"]

    def batches(self, plans: Iterable[Plan], fill: int | None = None) -> Iterator[Batch]:
        """The batches of the plans, each made when it is asked for.

        `fill` is the rows that a batch is filled up to; None leaves the last rows a smaller batch.
        """
        sequences, labels, _ = self.texts
        return (collate(sequences, labels, plan, fill or len(plan.rows), self.pad) for plan in plans)

    def samples(self) -> list[Plan]:
        """One plan of every batch shape that an epoch has, the narrow ones first."""
        shapes = {(plan.width, len(plan.rows)): plan for plan in self.plans()}
        return [shapes[shape] for shape in sorted(shapes)]

    def tokens(self) -> int:
        """The real tokens of an epoch."""
        return sum(int(self.texts.sequences.lengths[plan.rows].sum()) for plan in self.plans())

    def padding(self) -> float:
        """The share of an epoch's steps that are padding."""
        return 1 - self.tokens() / sum(len(plan.rows) * plan.width for plan in self.plans())


def evenly(plans: Sequence[Plan], share: float) -> list[Plan]:
    """This share of the plans, at least one, drawn evenly from narrow to wide, in the order that they had."""
    count = max(1, round(share * len(plans)))
    by_width = sorted(range(len(plans)), key=lambda i: plans[i].width)
    drawn = ((np.arange(count) + 0.5) * len(plans) / count).astype(int)
    return [plans[i] for i in sorted(by_width[place] for place in drawn)]


def bucketed(texts: Texts, *, batch_size: int, buckets: int, share: float, seed: int) -> Pipeline:
    """This library's own batches: of texts of like length, a share of those of the seed's first epoch."""
    lengths = texts.sequences.lengths
    widths = bucket_widths(lengths, buckets, WIDTH_MULTIPLE)

    def plans() -> list[Plan]:
        return evenly(plan_epoch(lengths, batch_size, widths, seed), share)

    return Pipeline("bucketed", texts, plans, batch_size, "end")


def padded(other: Pipeline, *, longest: int, seed: int) -> Pipeline:
    """The rows of the other pipeline's epoch in any order, every batch padded at the start to the longest."""
    rows = np.sort(np.concatenate([plan.rows for plan in other.plans()]))
    lengths = other.texts.sequences.lengths[rows]

    def plans() -> list[Plan]:
        epoch = plan_epoch(lengths, other.batch_size, (longest,), seed)
        return [Plan(rows[plan.rows], plan.width) for plan in epoch]

    return Pipeline(f"padded to {longest}", other.texts, plans, other.batch_size, "start")
