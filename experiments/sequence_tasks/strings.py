"""Strings and their reversals, no string in two parts."""

import dataclasses
import itertools
from typing import Literal

import numpy as np

from experiments.sequence_tasks.config import SequenceTask, check_range
from experiments.sequence_tasks.scores import rows_of
from rnnjax import GRU, RNN, Bidirectional, EncoderDecoder
from rnnjax.data import PairBatch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reversal(SequenceTask):
    """Reverse strings with an encoder-decoder."""

    letters: int = 12
    """Different letters."""
    attention: Literal["general", "additive", "none"] = "general"
    """How the decoder looks at the source."""

    def __post_init__(self):
        super().__post_init__()
        check_range("letters", self.letters, 2)

    @property
    def start(self) -> int:
        """The token that a target begins with; `end`, the one that ends it, is the next one."""
        return self.letters

    @property
    def end(self) -> int:
        return self.letters + 1

    def network(self) -> EncoderDecoder:
        """The network: a bidirectional encoder, a decoder twice as wide."""
        encoder = Bidirectional(RNN(GRU(), self.hidden), RNN(GRU(), self.hidden))
        decoder = RNN(GRU(), 2 * self.hidden)
        return EncoderDecoder(self.letters, self.letters + 2, 32, encoder, decoder, self.attention)


def pairs(strings: list[tuple[int, ...]], width: int) -> PairBatch:
    """Strings with their reversals as targets."""
    lengths = np.array([len(string) for string in strings], np.int32)
    sources, targets = np.zeros((2, len(strings), width), np.int32)
    for row, string in enumerate(strings):
        sources[row, : len(string)], targets[row, : len(string)] = string, string[::-1]
    weights, rows = np.ones(len(strings), np.float32), np.arange(len(strings), dtype=np.int32)
    return PairBatch(sources, lengths, targets, lengths, weights, rows)


def draw(config: Reversal) -> list[PairBatch]:
    """Training, validation and test part: all different strings, of 1 to `longest` letters.

    Raises ValueError where too few different ones are drawn.
    """
    random, counts = config.random("task"), (config.train, config.validation, config.test)
    wanted = sum(counts)
    drawn = 4 * wanted
    lengths = random.integers(1, config.longest + 1, drawn)
    letters = random.integers(0, config.letters, (drawn, config.longest))
    strings = list(dict.fromkeys(rows_of(letters, lengths)))
    if len(strings) < wanted:
        raise ValueError(
            f"train, validation, test: expected at most {len(strings):,} strings in all, which are the different ones "
            f"among {drawn:,}, got {wanted:,}; take more letters or longer strings"
        )
    # Short strings come up early, and would all be in the training part.
    shuffled = [strings[row] for row in random.permutation(len(strings))]
    ends = itertools.pairwise(np.cumsum([0, *counts]))
    return [pairs(shuffled[first:last], config.longest) for first, last in ends]
