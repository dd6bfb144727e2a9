"""Strings and their reversals. Each string is in one part only."""

import dataclasses
import itertools
from typing import TYPE_CHECKING, Literal

import numpy as np

from rnnjax.data import PairBatch
from rnnjax.fields import check_range
from rnnjax.runs import SyntheticTask
from rnnjax.scores import rows_of

if TYPE_CHECKING:
    from rnnjax import EncoderDecoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reversal(SyntheticTask):
    """Reverse strings with an encoder-decoder."""

    letters: int = 12
    """Number of different letters."""
    attention: Literal["general", "additive", "none"] = "general"
    """Attention of the decoder to the encoder outputs."""

    def __post_init__(self):
        super().__post_init__()
        check_range("letters", self.letters, 2)

    @property
    def start(self) -> int:
        """The token at the start of each target. The next token, `end`, is at its end."""
        return self.letters

    @property
    def end(self) -> int:
        return self.letters + 1

    def network(self) -> "EncoderDecoder":
        """A bidirectional encoder, and a decoder with twice as many features."""
        from rnnjax import GRU, RNN, Bidirectional, EncoderDecoder

        encoder = Bidirectional(RNN(GRU(), self.hidden), RNN(GRU(), self.hidden))
        decoder = RNN(GRU(), 2 * self.hidden)
        return EncoderDecoder(self.letters, self.letters + 2, 32, encoder, decoder, self.attention)


def pairs(strings: list[tuple[int, ...]], width: int) -> PairBatch:
    """Strings, with their reversals as targets."""
    lengths = np.array([len(string) for string in strings], np.int32)
    sources, targets = np.zeros((2, len(strings), width), np.int32)
    for row, string in enumerate(strings):
        sources[row, : len(string)], targets[row, : len(string)] = string, string[::-1]
    weights, rows = np.ones(len(strings), np.float32), np.arange(len(strings), dtype=np.int32)
    return PairBatch(sources, lengths, targets, lengths, weights, rows)


def draw(config: Reversal) -> list[PairBatch]:
    """The training, validation and test part: different strings of 1 to `longest` letters.

    Raises ValueError if too few different strings are drawn.
    """
    random, counts = config.random("task"), (config.train, config.validation, config.test)
    wanted = sum(counts)
    drawn = 4 * wanted
    lengths = random.integers(1, config.longest + 1, drawn)
    letters = random.integers(0, config.letters, (drawn, config.longest))
    strings = list(dict.fromkeys(rows_of(letters, lengths)))
    if len(strings) < wanted:
        raise ValueError(
            f"train, validation, test: expected at most {len(strings):,} strings in all, the number of different "
            f"strings among {drawn:,} random ones, got {wanted:,}; use more letters or longer strings"
        )
    # Without the permutation, all short strings would be in the training part.
    shuffled = [strings[row] for row in random.permutation(len(strings))]
    ends = itertools.pairwise(np.cumsum([0, *counts]))
    return [pairs(shuffled[first:last], config.longest) for first, last in ends]
