"""Memory tasks: synthetic sequences that require memory, drawn on the device from a key."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from rnnjax.data.memory_task import Levels, MemoryTask, Sample


@dataclasses.dataclass(frozen=True)
class Adding(MemoryTask):
    """The sum of the two marked numbers of a sequence, with one marked number in each half.

    The input of a step is a number, uniform in [0, 1), and a mark, 0 or 1. Always answering 1 has the mean squared
    error 2/12, the variance of the sum. An answer is correct if it is within 0.08 of the sum. In the first source, the
    target is half of the sum, and the limit 0.04. Sources: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory",
    experiment 4; in this form Le, Jaitly and Hinton 2015, "A Simple Way to Initialize Recurrent Networks of Rectified
    Linear Units".
    """

    features: ClassVar[int] = 2
    outputs: ClassVar[int] = 1
    least_time: ClassVar[int] = 2
    loss_name: ClassVar[str] = "mean squared error"
    score_name: ClassVar[str] = "share within 0.08"
    criterion: ClassVar[str] = "mean squared error below 0.001"
    near: ClassVar[float] = 0.08

    time: int = 400

    @property
    def chance(self) -> Levels:
        """The levels of always answering 1. The sum has a triangular density on [0, 2]: P(|sum - 1| < a) = 2a - a^2."""
        return Levels(1 / 6, 2 * self.near - self.near**2)

    @property
    def zero_loss(self) -> float:
        """The mean square of the sum: its variance plus its squared mean."""
        return 1 / 6 + 1

    def sample(self, key: jax.Array, batch: int) -> Sample:
        """Sequences and their sums `(B, 1)`."""
        number_key, first_key, second_key = jax.random.split(key, 3)
        numbers = jax.random.uniform(number_key, (batch, self.time))
        half = self.time // 2
        first = jax.random.randint(first_key, (batch, 1), 0, half)
        second = jax.random.randint(second_key, (batch, 1), half, self.time)
        steps = jnp.arange(self.time)
        marks = ((steps == first) | (steps == second)).astype(numbers.dtype)
        return Sample(jnp.stack([numbers, marks], axis=-1), jnp.sum(numbers * marks, axis=1, keepdims=True))

    def measure(self, outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The mean squared error, and the share of answers within `near` of the sum."""
        errors = outputs[..., 0] - targets
        return jnp.mean(errors**2), jnp.mean(jnp.abs(errors) < self.near)

    def is_solved(self, loss: float, score: float) -> bool:
        """By the loss: 0.6% of the chance level, where about 99% of the answers are within 0.08."""
        return loss < 0.001


@dataclasses.dataclass(frozen=True)
class Copy(MemoryTask):
    """Ten symbols, T - 1 blanks, a delimiter, ten blanks; the answer is T + 10 blanks, then the ten symbols again.

    A solution that knows when to answer, but not the symbols, has a cross entropy of `10 log 8 / (T + 20)` per step.
    The score is the share of the ten symbols recalled. Sources: Hochreiter and Schmidhuber 1997; in this form Arjovsky,
    Shah and Bengio 2016, "Unitary Evolution Recurrent Neural Networks".
    """

    symbols: ClassVar[int] = 8
    recalled: ClassVar[int] = 10
    blank: ClassVar[int] = 8
    delimiter: ClassVar[int] = 9
    features: ClassVar[int] = 10
    outputs: ClassVar[int] = 9
    least_time: ClassVar[int] = 1
    score_name: ClassVar[str] = "symbols recalled"
    criterion: ClassVar[str] = "cross entropy below a tenth of chance, and above 0.99 of the symbols recalled"

    time: int = 100

    @property
    def steps(self) -> int:
        """T + 20."""
        return self.time + 2 * self.recalled

    @property
    def answers(self) -> int:
        """Every step."""
        return self.steps

    @property
    def chance(self) -> Levels:
        """The levels of correct blanks, and a uniform distribution over the eight symbols for the last ten steps."""
        return Levels(self.recalled * math.log(self.symbols) / self.steps, 1 / self.symbols)

    def sample(self, key: jax.Array, batch: int) -> Sample:
        """One-hot inputs and target symbols `(B, T + 20)`."""
        symbols = jax.random.randint(key, (batch, self.recalled), 0, self.symbols)

        def blanks(count: int) -> jax.Array:
            return jnp.full((batch, count), self.blank)

        delimiter = jnp.full((batch, 1), self.delimiter)
        inputs = jnp.concatenate([symbols, blanks(self.time - 1), delimiter, blanks(self.recalled)], axis=1)
        targets = jnp.concatenate([blanks(self.time + self.recalled), symbols], axis=1)
        return Sample(jax.nn.one_hot(inputs, self.features), targets)

    def measure(self, outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The loss of all steps, and the score of the last ten."""
        loss, _ = super().measure(outputs, targets)
        _, score = super().measure(outputs[:, -self.recalled :], targets[:, -self.recalled :])
        return loss, score

    def is_solved(self, loss: float, score: float) -> bool:
        """By loss and score."""
        return loss < self.chance.loss / 10 and score > 0.99


@dataclasses.dataclass(frozen=True)
class Recall(MemoryTask):
    """Recall the first of T symbols, all drawn from the same eight.

    A ninth feature marks the first step. Source: the latching problem of Bengio, Simard and Frasconi 1994, "Learning
    Long-Term Dependencies with Gradient Descent is Difficult", with symbols instead of numbers.
    """

    symbols: ClassVar[int] = 8
    features: ClassVar[int] = 9
    outputs: ClassVar[int] = 8
    least_time: ClassVar[int] = 2

    time: int = 200

    @property
    def chance(self) -> Levels:
        """The levels of a uniform distribution over the eight symbols."""
        return Levels(math.log(self.symbols), 1 / self.symbols)

    def sample(self, key: jax.Array, batch: int) -> Sample:
        """Sequences and their first symbols `(B, 1)`."""
        symbols = jax.random.randint(key, (batch, self.time), 0, self.symbols)
        return Sample(jax.nn.one_hot(symbols, self.features).at[:, 0, -1].set(1), symbols[:, :1])


@dataclasses.dataclass(frozen=True)
class Parity(MemoryTask):
    """Whether the number of ones so far is odd, answered at every step; the score is that of the last step.

    An input is -1 for 0 and 1 for 1. In the sources only the last step has an answer. There, no single bit is
    correlated with the answer, so the gradient gives no direction. Sources: Bengio, Simard and Frasconi 1994;
    Schmidhuber and Hochreiter 1996, "Guessing can outperform many long time lag algorithms", who solve it by guessing
    weights.
    """

    features: ClassVar[int] = 1
    outputs: ClassVar[int] = 2
    least_time: ClassVar[int] = 2
    score_name: ClassVar[str] = "accuracy at the last step"
    criterion: ClassVar[str] = "accuracy at the last step above 0.99"

    time: int = 100

    @property
    def answers(self) -> int:
        """Every step."""
        return self.time

    @property
    def chance(self) -> Levels:
        """The levels of a coin flip."""
        return Levels(math.log(2), 0.5)

    def sample(self, key: jax.Array, batch: int) -> Sample:
        """Sequences and their parities `(B, T)`."""
        bits = jax.random.bernoulli(key, shape=(batch, self.time)).astype(jnp.int32)
        return Sample(2.0 * bits[..., None] - 1, jnp.cumsum(bits, axis=1) % 2)

    def measure(self, outputs: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The loss of all steps, and the score of the last one."""
        loss, _ = super().measure(outputs, targets)
        _, score = super().measure(outputs[:, -1:], targets[:, -1:])
        return loss, score


@dataclasses.dataclass(frozen=True)
class Order(MemoryTask):
    """The order of two symbols, each an X or a Y, as four classes: XX, XY, YX, YY.

    The first is at a random step from T/10 to 2T/10, the second from 5T/10 to 6T/10. The sequence begins with a start
    symbol and ends with an end symbol; all other steps have one of four distractors. Source: Hochreiter and Schmidhuber
    1997, experiment 6a.
    """

    distractors: ClassVar[int] = 4
    x: ClassVar[int] = 4  # Y is 5
    start: ClassVar[int] = 6
    end: ClassVar[int] = 7
    features: ClassVar[int] = 8
    outputs: ClassVar[int] = 4
    least_time: ClassVar[int] = 10

    time: int = 100

    @property
    def chance(self) -> Levels:
        """The levels of a uniform distribution over the four classes."""
        return Levels(math.log(self.outputs), 1 / self.outputs)

    def sample(self, key: jax.Array, batch: int) -> Sample:
        """One-hot inputs and classes `(B, 1)`."""
        other_key, first_key, second_key, which_key = jax.random.split(key, 4)
        tenths = [self.time * tenth // 10 for tenth in (1, 2, 5, 6)]
        first = jax.random.randint(first_key, (batch,), tenths[0], tenths[1])
        second = jax.random.randint(second_key, (batch,), tenths[2], tenths[3])
        which = jax.random.randint(which_key, (batch, 2), 0, 2)
        symbols = jax.random.randint(other_key, (batch, self.time), 0, self.distractors)
        rows = jnp.arange(batch)
        symbols = symbols.at[:, 0].set(self.start).at[:, -1].set(self.end)
        symbols = symbols.at[rows, first].set(self.x + which[:, 0]).at[rows, second].set(self.x + which[:, 1])
        return Sample(jax.nn.one_hot(symbols, self.features), 2 * which[:, :1] + which[:, 1:])
