"""Symbols as noisy patterns. A pattern lasts for a random number of frames."""

import dataclasses

import numpy as np

from rnnjax.data import PairBatch
from rnnjax.fields import check_range
from rnnjax.runs import SyntheticTask
from rnnjax.runs.synthetic import Part
from rnnjax.scores import error_rate, rows_of

BLANK = 0
WINDOWS = (1, 3, 5, 7)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendering(SyntheticTask):
    """Recognise symbols in noisy frames, with CTC."""

    symbols: int = 8
    """Number of different symbols."""
    features: int = 6
    """Number of features of a frame."""
    shortest: int = 2
    """Minimum number of frames per symbol."""
    held: int = 5
    """Maximum number of frames per symbol."""
    silence: int = 2
    """Maximum number of silent frames before a symbol. Between two equal symbols there is at least one."""
    noise: float = 0.4
    """Standard deviation of the noise that is added to each feature. The norm of a pattern is 1."""

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
        """The pattern of each symbol, `(S + 1, F)`. The first one is silence."""
        patterns = self.random("task").normal(size=(self.symbols, self.features))
        return np.concatenate([np.zeros((1, self.features)), patterns / np.linalg.norm(patterns, axis=1)[:, None]])


def draw(config: Rendering, part: Part, count: int) -> PairBatch:
    """Frames and their symbols, numbered from 1. A sequence has 1 to `longest` symbols."""
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
    """A baseline: the nearest pattern of each frame, without repeats and silence. Frames are averaged over a window."""
    import jax.numpy as jnp

    from rnnjax.training import ctc_decode

    half, steps = window // 2, data.inputs.shape[1]
    padded = np.pad(data.inputs, ((0, 0), (half, half), (0, 0)))
    smooth = np.mean([padded[:, i : i + steps] for i in range(window)], axis=0)
    distances = ((smooth[:, :, None] - config.patterns()) ** 2).sum(axis=-1)
    return rows_of(*map(np.asarray, ctc_decode(jnp.asarray(-distances), data.lengths, BLANK)))


def best_window(config: Rendering, data: PairBatch) -> int:
    """The window of `WINDOWS` for which `nearest_patterns` has the lowest error rate."""
    known = rows_of(data.targets, data.target_lengths)
    return min(WINDOWS, key=lambda window: error_rate(nearest_patterns(config, data, window), known))
