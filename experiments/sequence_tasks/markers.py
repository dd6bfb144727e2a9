"""Letters and markers: every symbol is tagged by the nearest marker on each side."""

import dataclasses

import numpy as np

from experiments.sequence_tasks.config import Part, SequenceTask, check_range
from rnnjax.data import Batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tagging(SequenceTask):
    """Tag every symbol by the nearest marker on each side."""

    longest: int = 40
    """Symbols of the longest sequence."""
    letters: int = 8
    """Different letters."""
    markers: int = 3
    """Different markers: with none, (markers + 1)^2 tags."""
    marker_share: float = 0.15
    """Symbols that are markers."""

    def __post_init__(self):
        super().__post_init__()
        check_range("letters", self.letters, 1)
        check_range("markers", self.markers, 1, 100)
        if not 0 < self.marker_share < 1:
            raise ValueError(f"marker_share: expected 0 < share < 1, got {self.marker_share}")


def nearest(markers: np.ndarray) -> np.ndarray:
    """The last marker strictly before each step `(B, T)`, from each step's own marker, 0 where it is none."""
    before = np.zeros_like(markers)
    for t in range(1, markers.shape[1]):
        before[:, t] = np.where(markers[:, t - 1] > 0, markers[:, t - 1], before[:, t - 1])
    return before


def draw(config: Tagging, part: Part, count: int) -> Batch:
    """Sequences of 1 to `longest` symbols; markers are the tokens from 1 on, letters those after them, padding is 0."""
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
    """Accuracy of the most frequent tag of each symbol and its `reach` neighbours on either side, as trained on.

    For what was not there in training it is the commonest tag of all.
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
    commonest = counts.sum(axis=0).argmax()
    contexts, tags = read(test)
    return float(
        np.mean([best.get(tuple(c), commonest) == tag for c, tag in zip(contexts.tolist(), tags, strict=True)])
    )
