"""The scores of a language model: perplexity for words and sub-words, bits per character for characters."""

import math

import numpy as np

from rnnjax.data import TokenVocabulary
from rnnjax.data.tokens import Level
from rnnjax.training.objectives import MEASURES


def measured(loss: float, level: Level) -> dict[str, float]:
    """The score of a mean loss in nats, by its name."""
    return {name: function({"loss": loss}) for name, function in MEASURES[level].items()}


def in_words(loss: float, level: Level) -> str:
    """The score of a mean loss in nats, as text."""
    ((name, value),) = measured(loss, level).items()
    if level != "character":
        return f"{name} {value:.1f}" if value < 1e9 else f"{name} {value:.1e}"
    return f"{value:.3f} {name.replace('_', ' ')}"


def with_bytes(words: str, loss: float, tokens: np.ndarray, vocabulary: TokenVocabulary) -> str:
    """A score with, for sub-words, the bits per byte, which do not depend on the vocabulary.

    bits per byte = loss * predicted tokens / (ln 2 * bytes of the predicted tokens)
    """
    if vocabulary.level != "subword":
        return words
    lengths = np.array([len(token) for token in vocabulary.tokens])  # a character stands for a byte
    bits = loss * (len(tokens) - 1) / (math.log(2) * lengths[tokens[1:]].sum())
    return f"{words}, {bits:.3f} bits per byte"


def unigram_loss(train: np.ndarray, held_out: np.ndarray, vocabulary: int) -> float:
    """The loss of the token frequencies alone (each count plus one), a baseline without context."""
    counts = np.bincount(train, minlength=vocabulary) + 1
    return float(-np.log(counts / counts.sum())[held_out].mean())
