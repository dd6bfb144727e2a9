"""Symbols rendered as patterns that are held for a while, under noise."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from experiments.sequence_tasks.config import Part, SequenceTask, check_range
from experiments.sequence_tasks.scores import error_rate, rows_of
from rnnjax.data import PairBatch
from rnnjax.training import ctc_decode

BLANK = 0
WINDOWS = (1, 3, 5, 7)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendering(SequenceTask):
    """Read symbols out of noisy frames with CTC."""

    symbols: int = 8
    """Different symbols."""
    features: int = 6
    """Real numbers of a frame."""
    shortest: int = 2
    """Frames that a symbol is held for at least."""
    held: int = 5
    """Frames that a symbol is held for at most."""
    silence: int = 2
    """Frames of silence before a symbol at most; between two equal ones there is at least one."""
    noise: float = 0.4
    """Standard deviation of the noise on every number of a frame; patterns have the norm 1."""

    def __post_init__(self):
        super().__post_init__()
        check_range("symbols", self.symbols, 1)
        check_range("features", self.features, 1)
        check_range("shortest", self.shortest, 1)
        check_range("held", self.held, self.shortest)
        check_range("silence", self.silence, 1)
        if not 0 <= self.noise < np.inf:
            raise ValueError(f"noise: expected a number of at least 0, got {self.noise}")

    def patterns(self) -> np.ndarray:
        """What each symbol looks like, `(S + 1, F)`, the first being silence."""
        patterns = self.random("task").normal(size=(self.symbols, self.features))
        return np.concatenate([np.zeros((1, self.features)), patterns / np.linalg.norm(patterns, axis=1)[:, None]])


def draw(config: Rendering, part: Part, count: int) -> PairBatch:
    """Frames and symbols, from 1 on: 1 to `longest` of them a sequence."""
    random, patterns = config.random(part), config.patterns()
    width = config.longest * (config.held + config.silence)
    frames, lengths = np.zeros((count, width), np.int32), np.zeros(count, np.int32)
    target_lengths = random.integers(1, config.longest + 1, count).astype(np.int32)
    targets = np.zeros((count, config.longest), np.int32)
    for row, number in enumerate(target_lengths):
        symbols = random.integers(1, config.symbols + 1, number)
        before = random.integers(0, config.silence + 1, number)
        before[1:] = np.where(symbols[1:] == symbols[:-1], np.maximum(before[1:], 1), before[1:])
        held = random.integers(config.shortest, config.held + 1, number)
        shown = np.repeat(np.stack([np.zeros_like(symbols), symbols], 1).ravel(), np.stack([before, held], 1).ravel())
        frames[row, : len(shown)], lengths[row], targets[row, :number] = shown, len(shown), symbols
    noise = config.noise * random.normal(size=(count, width, config.features))
    inputs = np.where((np.arange(width) < lengths[:, None])[..., None], patterns[frames] + noise, 0).astype(np.float32)
    weights, rows = np.ones(count, np.float32), np.arange(count, dtype=np.int32)
    return PairBatch(inputs, lengths, targets, target_lengths, weights, rows)


def nearest_patterns(config: Rendering, data: PairBatch, window: int) -> list[tuple[int, ...]]:
    """Each frame's nearest pattern, repeats merged and silence dropped; frames are means over a window first."""
    half, steps = window // 2, data.inputs.shape[1]
    padded = np.pad(data.inputs, ((0, 0), (half, half), (0, 0)))
    smooth = np.mean([padded[:, i : i + steps] for i in range(window)], axis=0)
    distances = ((smooth[:, :, None] - config.patterns()) ** 2).sum(axis=-1)
    return rows_of(*map(np.asarray, ctc_decode(jnp.asarray(-distances), data.lengths, BLANK)))


def best_window(config: Rendering, data: PairBatch) -> int:
    """The window of `WINDOWS` with which the nearest patterns are wrong least."""
    known = rows_of(data.targets, data.target_lengths)
    return min(WINDOWS, key=lambda window: error_rate(nearest_patterns(config, data, window), known))
