"""The data of an epoch: tokenised reviews in memory, and the two ways to make batches of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from benchmarks.epochs.options import Epoch
from rnnjax import data

# Widths are multiples of the default chunk, as in the sentiment study.
WIDTH_MULTIPLE = 20


class Texts(NamedTuple):
    """Training texts as integers, cut to the longest, their classes (0 or 1), and the size of the vocabulary."""

    sequences: data.Sequences
    labels: np.ndarray
    vocabulary: int


def read_texts(options: Epoch) -> Texts:
    """The training texts of the sentiment study: without those that are held out, and copies of these.

    Raises ValueError unless the source has two classes, and as `load_source` and `hold_out` do.
    """
    source = options.source
    loaded = data.load_source(source, options.text_column, options.label_column, given=options)
    if len(loaded.classes) != 2:
        raise ValueError(f"{source}: expected two classes, got {len(loaded.classes)}: {', '.join(loaded.classes)}")
    train, validation = loaded.train, loaded.validation
    if validation is None:
        train, validation = data.hold_out(train, loaded.classes, options.hold_out, options.seed)
    train = data.without(train, validation, loaded.test)
    if not train.texts:
        raise ValueError(f"{source}: expected training texts that are not held out too, got none")
    tokenizer, _ = data.learn_vocabulary(train.texts, options.vocabulary)
    sequences = data.encode(tokenizer, train.texts).truncated(options.longest, "start")
    return Texts(sequences, np.asarray(train.labels, np.int32), tokenizer.get_vocab_size())


class Pipeline(NamedTuple):
    """A way to make batches: `plans` deals the rows of an epoch, `pad` is the padded end of the texts.

    With padding at the end, lengths mark the end of a text. Padding at the start is read like words.
    """

    name: str
    texts: Texts
    plans: Callable[[], list[data.Plan]]
    batch_size: int
    pad: Literal["start", "end"]

    def batches(self, plans: Iterable[data.Plan], fill: int | None = None) -> Iterator[data.Batch]:
        """The batches of the plans, made one by one. Each is filled up to `fill` rows; None: the last is smaller."""
        sequences, labels, _ = self.texts
        return (data.collate(sequences, labels, plan, fill or len(plan.rows), self.pad) for plan in plans)

    def samples(self) -> list[data.Plan]:
        """One plan of every batch shape of an epoch, the narrow ones first."""
        shapes = {(plan.width, len(plan.rows)): plan for plan in self.plans()}
        return [shapes[shape] for shape in sorted(shapes)]

    def tokens(self) -> int:
        """The tokens of an epoch, without padding."""
        return sum(int(self.texts.sequences.lengths[plan.rows].sum()) for plan in self.plans())

    def padding(self) -> float:
        """The share of an epoch's steps that are padding."""
        return 1 - self.tokens() / sum(len(plan.rows) * plan.width for plan in self.plans())


def evenly(plans: Sequence[data.Plan], share: float) -> list[data.Plan]:
    """This share of the plans, at least one, drawn evenly from narrow to wide, in their original order."""
    count = max(1, round(share * len(plans)))
    by_width = sorted(range(len(plans)), key=lambda i: plans[i].width)
    drawn = ((np.arange(count) + 0.5) * len(plans) / count).astype(int)
    return [plans[i] for i in sorted(by_width[place] for place in drawn)]


def bucketed(texts: Texts, options: Epoch) -> Pipeline:
    """rnnjax's own batches, of texts of similar length: a share of those of the first epoch."""
    lengths = texts.sequences.lengths
    widths = data.bucket_widths(lengths, options.buckets, WIDTH_MULTIPLE)

    def plans() -> list[data.Plan]:
        return evenly(data.plan_epoch(lengths, options.batch_size, widths, options.seed), options.share)

    return Pipeline("bucketed", texts, plans, options.batch_size, "end")


def padded(other: Pipeline, options: Epoch) -> Pipeline:
    """The same rows in another order, every batch padded at the start to the longest."""
    rows = np.sort(np.concatenate([plan.rows for plan in other.plans()]))
    lengths = other.texts.sequences.lengths[rows]

    def plans() -> list[data.Plan]:
        epoch = data.plan_epoch(lengths, options.batch_size, (options.longest,), options.seed)
        return [data.Plan(rows[plan.rows], plan.width) for plan in epoch]

    return Pipeline(f"padded to {options.longest}", other.texts, plans, options.batch_size, "start")
