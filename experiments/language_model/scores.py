"""What a language model's loss means: perplexity of words, bits per character."""

import math

import numpy as np

from rnnjax.data.tokens import Level
from rnnjax.training import EpochReport

# Its exponential is the last one that a float holds: a run that goes astray is told of all the same.
LARGEST_LOSS = 709.0


def perplexity(loss: float) -> float:
    """The perplexity of a mean loss in nats, and where no float is as large, nearly the largest one."""
    return math.exp(min(loss, LARGEST_LOSS))


def shown(perplexity: float) -> str:
    """A perplexity, to be read."""
    return f"{perplexity:.1f}" if perplexity < 1e9 else f"{perplexity:.1e}"


def measures(loss: float, level: Level) -> dict[str, float]:
    """A mean loss in nats as what the level is measured in, by name."""
    if level == "word":
        return {"perplexity": perplexity(loss)}
    return {"bits_per_character": loss / math.log(2)}


def in_words(loss: float, level: Level) -> str:
    """The same, to be read."""
    if level == "word":
        return f"perplexity {shown(perplexity(loss))}"
    return f"{loss / math.log(2):.3f} bits per character"


def unigram_loss(train: np.ndarray, held_out: np.ndarray, vocabulary: int) -> float:
    """The loss of token frequencies alone, each count one higher: what a network without memory has to beat."""
    counts = np.bincount(train, minlength=vocabulary) + 1
    return float(-np.log(counts / counts.sum())[held_out].mean())


def epoch_line(report: EpochReport, level: Level) -> str:
    """What is said of an epoch."""
    return (
        f"epoch {report.epoch}{'*' if report.best else ''}: {in_words(report.train.loss, level)} in training, "
        f"{in_words(report.validation.loss, level)} held out; "
        f"accuracy {report.validation.accuracy:.1%}; "
        f"{report.train.seconds:.1f} s, {report.train.tokens_per_second:,.0f} {level}s/s"
    )
