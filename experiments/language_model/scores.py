"""The scores of a language model: perplexity for words, bits per character for characters."""

import numpy as np

from rnnjax.data.tokens import Level
from rnnjax.training.objectives import MEASURES


def measured(loss: float, level: Level) -> dict[str, float]:
    """The score of a mean loss in nats, by its name."""
    return {name: function({"loss": loss}) for name, function in MEASURES[level].items()}


def in_words(loss: float, level: Level) -> str:
    """The score of a mean loss in nats, as text."""
    ((name, value),) = measured(loss, level).items()
    if level == "word":
        return f"{name} {value:.1f}" if value < 1e9 else f"{name} {value:.1e}"
    return f"{value:.3f} {name.replace('_', ' ')}"


def unigram_loss(train: np.ndarray, held_out: np.ndarray, vocabulary: int) -> float:
    """The loss of the token frequencies alone (each count plus one), a baseline without context."""
    counts = np.bincount(train, minlength=vocabulary) + 1
    return float(-np.log(counts / counts.sum())[held_out].mean())
