"""What a memory task defines: sequences that require memory, the answers of the last steps, and how they are scored."""

import abc
import dataclasses
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Sample(NamedTuple):
    """Inputs `(B, T, I)`, and the targets `(B, A)` of the last A steps."""

    inputs: jax.Array
    targets: jax.Array


class Levels(NamedTuple):
    """A reference loss (NaN if unknown) and score from 0 to 1, of chance or of a known solution."""

    loss: float
    score: float


@dataclasses.dataclass(frozen=True)
class MemoryTask(abc.ABC):
    """A task is a frozen dataclass (hashable, so static under `jax.jit`) of pure functions.

    `time` is T as defined by the source of the task. Raises ValueError for a `time` below `least_time`, the minimum for
    the task.
    """

    features: ClassVar[int]  # I, features of an input
    outputs: ClassVar[int]  # O, outputs for an answer
    least_time: ClassVar[int]
    loss_name: ClassVar[str] = "cross entropy (nats)"
    score_name: ClassVar[str] = "accuracy"
    criterion: ClassVar[str] = "accuracy above 0.99"

    time: int

    def __post_init__(self):
        if self.time < self.least_time:
            name = type(self).__name__.lower()
            raise ValueError(f"time: expected at least {self.least_time} for {name}, got {self.time}")

    @property
    def steps(self) -> int:
        """Steps of a sequence."""
        return self.time

    @property
    def answers(self) -> int:
        """The number of last steps with an answer; the loss is the mean over them."""
        return 1

    @property
    @abc.abstractmethod
    def chance(self) -> Levels:
        """The levels of the best answers that ignore what must be remembered."""

    @property
    def zero_loss(self) -> float:
        """The mean loss if all outputs are 0."""
        return math.log(self.outputs)

    @property
    def known_solution(self) -> Levels:
        """The levels of a solution that is known to exist."""
        return Levels(0.0, 1.0)

    @abc.abstractmethod
    def sample(self, key: jax.Array, batch: int) -> Sample:
        """New sequences for training."""

    def held_out(self, key: jax.Array, batch: int) -> Sample:
        """Sequences for evaluation: new ones, if the task can generate any number of them."""
        return self.sample(key, batch)

    def measure(self, outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The mean loss and the score of outputs `(B, A, O)`; by default for classes."""
        loss = optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()
        return loss, jnp.mean(outputs.argmax(axis=-1) == targets)

    def is_solved(self, loss: float, score: float) -> bool:
        """Whether loss and score satisfy the `criterion`."""
        return score > 0.99
