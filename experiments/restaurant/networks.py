"""The two networks of the restaurant study: the one-unit net and the bidirectional GRU."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.restaurant.options import Restaurant as Restaurant
from rnnjax import GRU, RNN, Bidirectional, Elman, Scan, SequenceClassifier, Unrolled
from rnnjax.data import Batch, LabelledTexts, Plan, Sequences, collate, encode, learn_vocabulary
from rnnjax.data.text import OOV, PAD
from rnnjax.training.cross_validation import Fold


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
