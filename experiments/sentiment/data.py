"""The data of a text classifier: its parts as word indices, a table of facts, and batches."""

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from experiments.sentiment.config import TextClassification
from experiments.sentiment.evidence import FOLDS, LinearModels, folds_of, load_models
from rnnjax.commands import printable
from rnnjax.data import (
    Batch,
    LabelledTexts,
    Plan,
    Sequences,
    bucket_widths,
    collate,
    encode,
    hold_out,
    learn_vocabulary,
    load_source,
    plan_epoch,
    share_of,
    without,
    without_rare,
)
from rnnjax.data.stored_texts import batches, in_file_order
from rnnjax.runs import RunFolder
from rnnjax.runs.report import table
from rnnjax.training.capacity import check_capacity
from rnnjax.training.processes import on_first_process

# Widths are multiples of the default chunk, so that no chunk is left over.
WIDTH_MULTIPLE = 20
# The maximum number of classes whose shares are printed.
MOST_SHARES = 10


class Part(NamedTuple):
    """The word indices of a part: the whole texts, and as the network reads them.

    `models` are the numbers of the linear models that give the evidence of the texts, if there is any.
    """

    whole: Sequences
    read: Sequences
    labels: np.ndarray
    models: np.ndarray


class Parts(NamedTuple):
    """The data of a training."""

    tokenizer: Tokenizer
    classes: tuple[str, ...]
    train: Part
    validation: Part
    test: Part | None
    unique_words: int
    duplicates: int
    held_out: str
    fingerprint: str
    linear: LinearModels | None


class Split(NamedTuple):
    """The texts of the training, validation and (if the source has one) test parts."""

    train: LabelledTexts
    validation: LabelledTexts
    test: LabelledTexts | None
    classes: tuple[str, ...]
    duplicates: int


def digest(part: LabelledTexts) -> str:
    """A SHA-256 of the texts and labels of a part, as JSON."""
    value = hashlib.sha256(b"[")
    for values, end in ((part.texts, "], "), (part.labels, "]]")):
        separator = "["
        for batch in batches(values):
            value.update((separator + json.dumps(batch)[1:-1]).encode())
            separator = ", "
        value.update((end if values else f"[{end}").encode())
    return value.hexdigest()


def fingerprint(split: Split) -> str:
    """A SHA-256 of all parts, including the order of their rows."""
    value = hashlib.sha256()
    for part in (split.train, split.validation, split.test):
        if part is not None:
            _, order = in_file_order(part.texts)
            value.update(digest(part.take(order)).encode() + order.tobytes())
        value.update(b";")
    return value.hexdigest()


def split_source(config: TextClassification) -> Split:
    """The source of the config with a validation part, and without duplicates of held-out texts in training."""
    source = load_source(config.source, config.text_column, config.label_column, given=config)
    train = source.train
    if config.rows is not None and config.rows < len(train.texts):
        chosen = np.random.default_rng(config.seed_of_data).permutation(len(train.texts))[: config.rows]
        train = train.take(chosen)
    source = without_rare(source._replace(train=train), config.min_class_rows)
    train, validation = source.train, source.validation
    if validation is None:
        train, validation = hold_out(train, source.classes, config.hold_out, config.seed_of_data)
    kept = without(train, validation, source.test)
    if not kept.texts:
        raise ValueError(f"{config.source}: expected training texts that are not held out too, got none")
    return Split(kept, validation, source.test, source.classes, len(train.texts) - len(kept.texts))


def read_part(tokenizer: Tokenizer, part: LabelledTexts, config: TextClassification) -> Part:
    """The word indices of a part, truncated and ordered as the config says."""
    whole = encode(tokenizer, part.texts)
    read = whole.truncated(config.longest, config.cut).ordered(config.word_order)
    labels = np.asarray(part.labels, np.int32)
    return Part(whole, read, labels, np.full(len(labels), FOLDS))


def prepare(config: TextClassification, earlier: RunFolder | None = None) -> Parts:
    """The data of the config, with a vocabulary and linear models learnt from the training texts only.

    `earlier` is the folder of a run that is resumed: it keeps its linear models.
    """
    source = split_source(config)
    tokenizer, unique_words = learn_vocabulary(
        source.train.texts, config.vocabulary, kind=config.tokens, lowercase=config.lowercase
    )
    train, linear = read_part(tokenizer, source.train, config), None
    if config.ngrams:
        train = train._replace(models=folds_of(train.labels, config.seed_of_data))
        linear = linear_models(config, train, (tokenizer.get_vocab_size(), len(source.classes), config.ngrams), earlier)
    return Parts(
        tokenizer=tokenizer,
        classes=source.classes,
        train=train,
        validation=read_part(tokenizer, source.validation, config),
        test=None if source.test is None else read_part(tokenizer, source.test, config),
        unique_words=unique_words,
        duplicates=source.duplicates,
        held_out=digest(source.validation),
        fingerprint=fingerprint(source),
        linear=linear,
    )


def linear_models(
    config: TextClassification, train: Part, sizes: tuple[int, int, int], earlier: RunFolder | None
) -> LinearModels:
    """The linear models of the training part, the same in all processes. `sizes` are those of `from_json`."""

    def text() -> bytes:
        if earlier is not None:
            return load_models(earlier, sizes).to_json().encode()
        fitted = LinearModels.fit(train.read, train.labels, train.models, *sizes, config.ngram_texts)
        return fitted.to_json().encode()

    return LinearModels.from_json(json.loads(on_first_process(text)), *sizes)


def without_known(tokens: Sequences) -> np.ndarray:
    """The numbers of the texts without a known word: all that is read of them is the unknown word, or nothing."""
    return np.array([n for n in range(len(tokens)) if not (tokens[n] > 1).any()], int)


def class_weights(config: TextClassification, parts: Parts) -> tuple[float, ...] | None:
    """The weight of each class in the training loss; None: 1 each."""
    if not config.balanced:
        return config.class_weights or None
    counts = np.bincount(parts.train.labels, minlength=len(parts.classes))
    return tuple((counts.sum() / (len(counts) * np.maximum(counts, 1))).tolist())


def facts(parts: Parts, config: TextClassification) -> str:
    """A table of the rows, class balance, words and lengths of the data."""
    rows = []
    for name, part in (("training", parts.train), ("validation", parts.validation), ("test", parts.test)):
        if part is not None:
            shares = np.bincount(part.labels, minlength=len(parts.classes)) / len(part.labels)
            lengths = part.whole.lengths
            balance = " ".join(f"{share:.1%}" for share in shares)
            if len(shares) > MOST_SHARES:
                balance = f"{shares.min():.1%} to {shares.max():.1%}"
            cut, unknown = f"{np.sum(lengths > config.longest):,}", f"{len(without_known(part.whole)):,}"
            means = f"{lengths.mean():.1f}", f"{lengths.std():.1f}"
            rows.append((name, f"{len(lengths):,}", balance, *means, cut, unknown))
    words = "words" if config.tokens == "words" else "sub-words"
    headers = ("part", "rows", "balance", f"mean {words}", "sd", f"cut to {config.longest}", "no word known")
    unknown = parts.train.whole.share_of(1)
    return (
        f"classes: {printable(', '.join(parts.classes))}\n{table(headers, rows)}\n"
        f"{parts.unique_words:,} unique {words} in training, {parts.tokenizer.get_vocab_size():,} in the vocabulary "
        f"({unknown:.1%} of the text is outside); {parts.duplicates:,} duplicates of held-out texts left out"
        + (f"\n{len(parts.linear.ngrams.keys):,} n-grams in the linear model" if parts.linear is not None else "")
    )


class Loader:
    """Batches of the parts, with bucket widths chosen on the training part.

    `share` is (process, processes) if each of several processes makes an equal share of the rows of every batch. With
    linear models, the inputs of a batch are `Evidence`. Raises ValueError if the devices cannot be shared evenly.
    """

    def __init__(
        self,
        config: TextClassification,
        train: Sequences,
        devices: int,
        share: tuple[int, int] = (0, 1),
        linear: LinearModels | None = None,
    ):
        if devices % share[1]:
            raise ValueError(f"devices: expected as many in each of {share[1]} processes, got {devices} in all")
        self.config, self.linear = config, linear
        # The network reads padding at the start: a text needs the same amount of it in every batch.
        self.widths = (
            (config.longest,) if config.pad == "start" else bucket_widths(train.lengths, config.buckets, WIDTH_MULTIPLE)
        )
        # Rows of weight 0 fill a batch up to a multiple of the devices.
        self.filled = -(-config.batch_size // devices) * devices
        self.part = share_of(self.filled, *share)

    @property
    def _word_size(self) -> int:
        """The number of inputs of the network at each word."""
        return self.config.embedding + (0 if self.linear is None else self.linear.features)

    def plans(self, part: Part, seed: int | None = None, epoch: int = 0) -> list[Plan]:
        """The plans of the batches of an epoch, shuffled by the seed; without a seed, in file order within each width.

        Raises ValueError if a batch exceeds the memory of this machine.
        """
        widest = max(self.widths[-1], int(part.read.lengths.max(initial=1)))
        # The embedded batch is a lower bound of what it needs. The config may be untrusted.
        check_capacity(
            f"a batch of {self.filled:,} texts of {widest:,} words", 4 * self.filled * widest * self._word_size
        )
        return plan_epoch(
            part.read.lengths,
            self.config.batch_size,
            (*self.widths[:-1], widest),
            seed,
            epoch,
            width_seed=self.config.data_seed,
        )

    def batch(self, part: Part, plan: Plan) -> Batch:
        """The batch of a plan, or the share of this process."""
        batch = collate(part.read, part.labels, plan, self.filled, self.config.pad, self.part)
        if self.linear is None:
            return batch
        models = np.full(self.filled, FOLDS)
        models[: len(plan.rows)] = part.models[plan.rows]
        return batch._replace(inputs=self.linear.inputs(batch.inputs, batch.lengths, models[self.part]))

    def batches(self, part: Part, seed: int | None = None, epoch: int = 0, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, starting with batch number `first`."""
        return (self.batch(part, plan) for plan in self.plans(part, seed, epoch)[first:])
