"""Sequences of letters and markers. The tag of a symbol is the nearest marker on each side."""

import dataclasses

import numpy as np

from rnnjax.data import Batch
from rnnjax.fields import check_range
from rnnjax.runs import SyntheticTask
from rnnjax.runs.synthetic import Part


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tagging(SyntheticTask):
    """Tag each symbol with the nearest marker on each side."""

    longest: int = 40
    """Maximum number of symbols in a sequence."""
    letters: int = 8
    """Number of different letters."""
    markers: int = 3
    """Number of different markers. There are (markers + 1)^2 tags, since there may be no marker on a side."""
    marker_share: float = 0.15
    """Probability that a symbol is a marker."""

    def __post_init__(self):
        super().__post_init__()
        check_range("letters", self.letters, 1)
        check_range("markers", self.markers, 1, 100)
        if not 0 < self.marker_share < 1:
            raise ValueError(f"marker_share: expected 0 < share < 1, got {self.marker_share}")


def nearest(markers: np.ndarray) -> np.ndarray:
    """The last marker before each step `(B, T)`, 0 if there is none; `markers` has the marker of each step, or 0."""
    before = np.zeros_like(markers)
    for t in range(1, markers.shape[1]):
        before[:, t] = np.where(markers[:, t - 1] > 0, markers[:, t - 1], before[:, t - 1])
    return before


def draw(config: Tagging, part: Part, count: int) -> Batch:
    """Sequences of 1 to `longest` symbols. Padding is 0, the next tokens are the markers, the others the letters."""
    random, shape = config.random(part), (count, config.longest)
    lengths = random.integers(1, config.longest + 1, count).astype(np.int32)
    letters = random.integers(0, config.letters, shape) + config.markers + 1
    marked = random.random(shape) < config.marker_share
    tokens = np.where(marked, random.integers(1, config.markers + 1, shape), letters)
    tokens = np.where(np.arange(config.longest) < lengths[:, None], tokens, 0).astype(np.int32)
    markers = np.where(tokens <= config.markers, tokens, 0)
    tags = nearest(markers) * (config.markers + 1) + nearest(markers[:, ::-1])[:, ::-1]
    return Batch(tokens, lengths, tags, np.ones(count, np.float32), np.arange(count, dtype=np.int32))


def most_frequent(training: Batch, test: Batch, reach: int) -> float:
    """Accuracy of predicting, for a symbol with `reach` neighbours on each side, its most frequent tag in training.

    The prediction for a context that is not in the training part is the most frequent tag of all.
    """

    def read(data: Batch) -> tuple[np.ndarray, np.ndarray]:
        padded, steps = np.pad(data.inputs, ((0, 0), (reach, reach))), data.inputs.shape[1]
        contexts = np.stack([padded[:, i : i + steps] for i in range(2 * reach + 1)], axis=-1)
        own = np.arange(steps) < data.lengths[:, None]
        return contexts[own], data.targets[own]

    contexts, tags = read(training)
    different, places = np.unique(contexts, axis=0, return_inverse=True)
    counts = np.zeros((len(different), tags.max() + 1), int)
    np.add.at(counts, (places.ravel(), tags), 1)
    best = {tuple(context): tag for context, tag in zip(different.tolist(), counts.argmax(axis=1), strict=True)}
    overall = counts.sum(axis=0).argmax()
    contexts, tags = read(test)
    return float(np.mean([best.get(tuple(c), overall) == tag for c, tag in zip(contexts.tolist(), tags, strict=True)]))
