"""What the restaurant study can be told, and its two networks: the classic one-unit net and a proper one."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from experiments.restaurant.cross_validation import Fold
from rnnjax import GRU, RNN, Bidirectional, Elman, Scan, SequenceClassifier, Unrolled
from rnnjax.data import Batch, LabelledTexts, Plan, Sequences, collate, encode, learn_vocabulary
from rnnjax.data.text import OOV, PAD
from rnnjax.fields import check_fields


@dataclasses.dataclass(frozen=True)
class Restaurant:
    """Cross-validate a one-unit Elman net, a bidirectional GRU and a bag of words on labelled sentences."""

    source: tyro.conf.Positional[str]
    """A .txt file of lines text<TAB>label, or a CSV, TSV, JSON, JSON Lines or Parquet file."""
    text_column: str = "text"
    """Column of the sentences, in files that have columns."""
    label_column: str = "label"
    """Column of the labels: 0 and 1, or two names, of which the second in the alphabet is positive."""
    folds: int = 10
    """Parts of the data, each tested on by networks that were trained on the others."""
    choose: bool = False
    """Score on a part of each fold's own training rows instead: to choose settings by."""
    longest: int = 10
    """Words that the one-unit net reads."""
    pad: Literal["start", "end"] = "start"
    """Which end of a shorter sentence the one-unit net has padded; padding is read like words."""
    cut: Literal["start", "end"] = "start"
    """Which end of a longer sentence the one-unit net has cut off."""
    epochs: int = 500
    """Epochs of the one-unit net."""
    learning_rate: float = 2e-2
    """Adam's step size for the one-unit net."""
    epsilon: float = 1e-3
    """Adam's epsilon for the one-unit net: far above the usual 1e-8, so that the recurrent weight, whose gradient
    is noise at first, does not walk to a sign at random (0.70 against 0.65 in inner folds of two seeds)."""
    hidden: int = 32
    """Units of the proper network in each direction."""
    vocabulary: int = 1000
    """Words that the proper network knows, padding and the unknown word included."""
    dropout: float = 0.5
    """Dropout of the proper network, on its embedding and its pooled features."""
    proper_epochs: int = 20
    """Epochs of the proper network."""
    proper_learning_rate: float = 3e-3
    """Adam's step size for the proper network."""
    batch_size: int = 32
    """Sentences a step."""
    seed: int = 0
    """Seeds the folds, the parameters, the order of sentences and dropout."""
    devices: int | None = None
    """CPU devices that share the folds; one a core unless given."""
    run_folder: Path | None = None
    """Where the run is written: runs/ and its name and time, unless given."""

    def __post_init__(self):
        check_fields(
            self,
            at_least_one=("longest", "epochs", "hidden", "proper_epochs", "batch_size", "devices"),
            shares=("dropout",),
            above_zero=("learning_rate", "epsilon", "proper_learning_rate"),
        )


class OneUnit(nn.Module):
    """Embedding 64, and an Elman net whose one sigmoid unit is at the last step the probability of praise.

    The recurrent weight starts at zero: how far the unit looks back it has to learn.
    """

    vocabulary_size: int

    @nn.compact
    def __call__(self, tokens: jax.Array, lengths: jax.Array | None = None, *, deterministic: bool = True) -> jax.Array:
        """Logits `(B,)`; padding is read like words, so lengths are not."""
        # Nearly zero, so that no word speaks before it was learnt (it gains 0.02 in inner folds).
        small = nn.initializers.normal(0.001)
        inputs = nn.Embed(self.vocabulary_size, 64, embedding_init=small, name="embedding")(tokens)
        cell = Elman(activation="sigmoid", recurrent_init=nn.initializers.zeros)
        _, state = RNN(cell, 1, Unrolled(), name="recurrent")(inputs)
        # As far from 0 and 1 as float32 lets a logit be finite; Keras clips there too.
        probability = jnp.clip(state.hidden[:, 0], 1e-7, 1 - 1e-7)
        return jnp.log(probability) - jnp.log1p(-probability)


class Entrant(NamedTuple):
    """A network with the way it reads sentences: special words, vocabulary cap, longest, padded and cut end."""

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
    """All folds as arrays with a leading fold axis, and how many words the largest vocabulary has."""

    train: Batch
    test: Batch
    vocabulary: int


def read(texts: LabelledTexts, folds: Sequence[Fold], entrant: Entrant) -> Read:
    """Sentences as an entrant reads them, each fold with the words of its own training rows."""
    labels, sentences = np.asarray(texts.labels), list(texts.texts)
    learn = functools.partial(learn_vocabulary, size=entrant.vocabulary, special=entrant.special)
    tokenizers = [learn([sentences[row] for row in fold.train])[0] for fold in folds]
    # A word that is unknown to the classic vocabulary is 0, and left out, as the classics do.
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
