"""Sequential digits: handwritten digits, one pixel per step; the memory task with real data."""

import dataclasses
import functools
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.data.memory_task import Levels, MemoryTask, Sample
from rnnjax.extras import extra

TEST = 360
DARKEST = 16  # pixels are integers from 0 to this


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 images of scikit-learn as sequences `(N, 64, 1)` from 0 to 1, row by row, and their digits `(N, 1)`."""
    with extra("digits", "digits"):
        from sklearn.datasets import load_digits

    loaded: Any = load_digits()
    return (loaded.data[..., None] / DARKEST).astype(np.float32), loaded.target[:, None].astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Digits(MemoryTask):
    """Classify a digit: an image of 8x8 pixels as 64 steps of one pixel, with the answer after the last step.

    The test part is always the last 360 images (a fifth) in the order of the file; batches are drawn from the others
    with replacement. Chance is a loss of log 10. The known solution is the support vector classifier of scikit-learn's
    example, which sees all pixels at once and classifies 345 of the 360 correctly. Raises ValueError for a time other
    than 64; drawing raises ModuleNotFoundError without scikit-learn. Source: Le, Jaitly and Hinton 2015, with 28x28
    pixels; data: Alpaydin and Kaynak 1998.
    """

    features: ClassVar[int] = 1
    outputs: ClassVar[int] = 10
    least_time: ClassVar[int] = 64
    score_name: ClassVar[str] = "test accuracy"
    criterion: ClassVar[str] = "test accuracy above 0.9"

    time: int = 64

    def __post_init__(self):
        super().__post_init__()
        if self.time != self.least_time:
            raise ValueError(f"time: expected {self.least_time}, the number of pixels of a digit, got {self.time}")

    @property
    def chance(self) -> Levels:
        """The levels of a uniform distribution over the ten digits."""
        return Levels(math.log(self.outputs), 1 / self.outputs)

    @property
    def known_solution(self) -> Levels:
        """The levels of the support vector classifier, which has no cross entropy."""
        return Levels(math.nan, 345 / TEST)

    def sample(self, key: jax.Array, batch: int) -> Sample:
        """Images of the training part and their digits `(B, 1)`."""
        images, labels = (jnp.asarray(part[:-TEST]) for part in digits())
        rows = jax.random.randint(key, (batch,), 0, len(labels))
        return Sample(images[rows], labels[rows])

    def held_out(self, key: jax.Array, batch: int) -> Sample:
        """The whole test part, for any key and batch size."""
        return Sample(*(jnp.asarray(part[-TEST:]) for part in digits()))

    def is_solved(self, loss: float, score: float) -> bool:
        """By accuracy: above that of a logistic regression on all pixels, 0.900."""
        return score > 0.9
