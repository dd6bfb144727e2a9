"""The problem of all contestants, and their interface."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

from benchmarks.epochs.pipeline import Pipeline
from rnnjax import RNN, SequenceClassifier
from rnnjax.data import Plan


class Problem(NamedTuple):
    """The network, its first parameters, and both ways to make batches."""

    model: SequenceClassifier
    params: Any  # NumPy arrays: a train step overwrites arrays on devices, and all contestants start from these
    learning_rate: float
    bucketed: Pipeline
    padded: Pipeline

    @property
    def layer(self) -> RNN:
        """The network's one recurrent layer."""
        return cast(RNN, self.model.recurrent)


class Pass(NamedTuple):
    """The result of an epoch: the mean loss in nats, and the seconds that the device waited, if they are known."""

    loss: float
    device_wait: float | None = None


class Contestant(Protocol):
    """A network in training. Each call continues from the previous one, and returns when all work is done."""

    pipeline: Pipeline
    devices: int
    fill: int | None  # as in `Pipeline.batches`

    def losses(self, plans: Sequence[Plan]) -> list[float]:
        """One step on the batch of each plan; the mean loss before each step."""
        ...

    def epoch(self) -> Pass:
        """One epoch, from the tokenised texts to the updated parameters."""
        ...
