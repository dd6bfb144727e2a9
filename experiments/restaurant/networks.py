"""The options of the restaurant study, and its two networks: the one-unit net and the bidirectional GRU."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from rnnjax import GRU, RNN, Bidirectional, Elman, Scan, SequenceClassifier, Unrolled
from rnnjax.data import Batch, LabelledTexts, Plan, Sequences, TextFormat, collate, encode, learn_vocabulary
from rnnjax.data.text import OOV, PAD
from rnnjax.fields import check_fields
from rnnjax.runs import RunPlace
from rnnjax.training.cross_validation import Fold


@dataclasses.dataclass(frozen=True)
class Restaurant(TextFormat):
    """Cross-validate a one-unit Elman net, a bidirectional GRU and a bag of words on labelled sentences."""

    source: tyro.conf.Positional[str]
    """Data file: .txt with lines text<TAB>label, or CSV, TSV, JSON, JSON Lines or Parquet, also compressed."""
    text_column: str = "text"
    """Column of the sentences, in files with columns."""
    label_column: str = "label"
    """Column of the labels: two names or numbers; the later one, by value or the alphabet, is positive."""
    folds: int = 10
    """Number of folds of the cross-validation."""
    choose: bool = False
    """Test on a part of the training rows of each fold instead of its test rows, to choose settings."""
    longest: int = 10
    """Number of words that the one-unit net reads."""
    pad: Literal["start", "end"] = "start"
    """End at which shorter sentences are padded for the one-unit net, which reads padding like words."""
    cut: Literal["start", "end"] = "start"
    """End at which longer sentences are cut for the one-unit net."""
    epochs: int = 500
    """Epochs of the one-unit net."""
    learning_rate: float = 2e-2
    """Step size of Adam for the one-unit net."""
    epsilon: float = 1e-3
    """Epsilon of Adam for the one-unit net. The gradient of its recurrent weight is noise at first; with a value far
    above the usual 1e-8, that noise does not determine the sign of the weight (accuracy 0.70 instead of 0.65 in inner
    folds of two seeds)."""
    hidden: int = 32
    """Units of the bidirectional GRU in each direction."""
    vocabulary: int = 1000
    """Vocabulary size of the bidirectional GRU, including padding and the unknown word."""
    dropout: float = 0.5
    """Dropout of the embedding and the pooled features of the bidirectional GRU."""
    proper_epochs: int = 20
    """Epochs of the bidirectional GRU."""
    proper_learning_rate: float = 3e-3
    """Step size of Adam for the bidirectional GRU."""
    batch_size: int = 32
    """Sentences per update."""
    seed: int = 0
    """Random seed for the folds, the initial parameters, the order of sentences and dropout."""
    execution: RunPlace = dataclasses.field(default_factory=RunPlace)
    """Run folder, and devices, over which the folds are spread."""

    def __post_init__(self):
        self.check()
        check_fields(
            self,
            at_least_one=("longest", "epochs", "hidden", "proper_epochs", "batch_size"),
            shares=("dropout",),
            above_zero=("learning_rate", "epsilon", "proper_learning_rate"),
        )


class OneUnit(nn.Module):
    """An embedding with 64 features, and an Elman net with one sigmoid unit: the probability of the positive class.

    The initial recurrent weight is zero, so the unit has no memory before it is trained.
    """

    vocabulary_size: int

    @nn.compact
    def __call__(self, tokens: jax.Array, lengths: jax.Array | None = None, **options: Any) -> jax.Array:
        """Logits `(B,)`. Padding is read like words, so lengths are ignored; so are the options for dropout."""
        # Nearly zero, so that a word has no effect before it is trained (0.02 better in inner folds).
        small = nn.initializers.normal(0.001)
        inputs = nn.Embed(self.vocabulary_size, 64, embedding_init=small, name="embedding")(tokens)
        cell = Elman(activation="sigmoid", recurrent_init=nn.initializers.zeros)
        _, state = RNN(cell, 1, Unrolled(), name="recurrent")(inputs)
        # The logit is finite in float32; Keras clips at the same values.
        probability = jnp.clip(state.hidden[:, 0], 1e-7, 1 - 1e-7)
        return jnp.log(probability) - jnp.log1p(-probability)


class Entrant(NamedTuple):
    """A network and its input: special words, maximum vocabulary, maximum length, padded and cut end."""

    name: str
    special: tuple[str, ...]
    vocabulary: int | None
    longest: int | None
    pad: Literal["start", "end"]
    cut: Literal["start", "end"]
    model: Callable[[int], nn.Module]
    epochs: int
    optimizer: optax.GradientTransformation


def entrants(options: Restaurant) -> list[Entrant]:
    """The two networks."""

    def proper(vocabulary: int) -> nn.Module:
        layer = RNN(GRU(), options.hidden, Scan())
        both = Bidirectional(layer, layer.clone())
        return SequenceClassifier(
            vocabulary, 64, both, pooling="max", input_dropout=options.dropout, dropout=options.dropout
        )

    adam = optax.adam(options.learning_rate, eps=options.epsilon)
    classic = (None, options.longest, options.pad, options.cut, OneUnit, options.epochs, adam)
    whole = (
        options.vocabulary,
        None,
        "end",
        "end",
        proper,
        options.proper_epochs,
        optax.adam(options.proper_learning_rate),
    )
    return [Entrant("one sigmoid unit", (PAD,), *classic), Entrant("bidirectional GRU", (PAD, OOV), *whole)]


class Read(NamedTuple):
    """All folds as arrays with a leading fold axis, and the size of the largest vocabulary."""

    train: Batch
    test: Batch
    vocabulary: int


def read(texts: LabelledTexts, folds: Sequence[Fold], entrant: Entrant) -> Read:
    """The input of an entrant. The vocabulary of each fold is that of its training rows."""
    labels, sentences = np.asarray(texts.labels), list(texts.texts)
    learn = functools.partial(learn_vocabulary, size=entrant.vocabulary, special=entrant.special)
    tokenizers = [learn([sentences[row] for row in fold.train])[0] for fold in folds]
    # Words outside the vocabulary of the one-unit net have the token 0, and are left out.
    encoded = [
        Sequences.of(sequence[sequence != 0] for sequence in encode(tokenizer, sentences)) for tokenizer in tokenizers
    ]
    width = entrant.longest or max(int(sequences.lengths.max()) for sequences in encoded)

    def stack(parts: Sequence[np.ndarray]) -> Batch:
        filled = max(map(len, parts))
        batches = [
            collate(sequences.truncated(width, entrant.cut), labels, Plan(rows, width), filled, entrant.pad)
            for sequences, rows in zip(encoded, parts, strict=True)
        ]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)

    vocabulary = max(tokenizer.get_vocab_size() for tokenizer in tokenizers)
    return Read(stack([fold.train for fold in folds]), stack([fold.test for fold in folds]), vocabulary)
