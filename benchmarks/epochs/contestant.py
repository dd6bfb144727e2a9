"""What every contestant is given, and what it must be able to do."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, cast

from benchmarks.epochs.pipeline import Pipeline
from rnnjax import RNN, SequenceClassifier
from rnnjax.data import Plan


class Problem(NamedTuple):
    """One training problem for all: the network, where it starts from, and both ways of making batches."""

    model: SequenceClassifier
    params: Any  # NumPy arrays: a step that donates its state must not take them from the next contestant
    learning_rate: float
    bucketed: Pipeline
    padded: Pipeline

    @property
    def layer(self) -> RNN:
        """The network's one recurrent layer."""
        return cast(RNN, self.model.recurrent)


class Pass(NamedTuple):
    """What an epoch said of itself: the mean loss in nats, and the seconds that the device waited, where known."""

    loss: float
    device_wait: float | None = None


class Contestant(Protocol):
    """A network in training; every call goes on from where the last one ended, and returns when all is done.

    `fill` is as in `Pipeline.batches`.
    """

    pipeline: Pipeline
    devices: int

    @property
    def fill(self) -> int | None: ...

    def losses(self, plans: Sequence[Plan]) -> list[float]:
        """One step on each plan's batch in turn: its mean loss before the step."""
        ...

    def epoch(self) -> Pass:
        """A whole epoch, from the tokenised texts to the updated parameters."""
        ...
