"""The options of the gradient flow study."""

import dataclasses
import math

import tyro

from rnnjax.fields import check_fields
from rnnjax.runs import RunPlace

MOST_SCALES = 7


@dataclasses.dataclass(frozen=True)
class OneDevice(RunPlace):
    """A run on the first device."""

    devices: tyro.conf.Suppress[int | None] = None

    def begin(self, config: object) -> None:
        """Leaves the devices as they are."""


@dataclasses.dataclass(frozen=True)
class GradientFlow:
    """Measure how far back a gradient reaches in Elman, GRU and LSTM networks at initialisation.

    The task is to recall the first input at the last step. The other inputs are noise.
    """

    scales: tuple[float, ...] = (0.5, 0.9, 1.0, 1.1, 1.5)
    """Factors of the recurrent kernel, which is otherwise orthogonal for each gate."""
    time: int = 500
    """Number of steps of a sequence."""
    back: int | None = None
    """Number of steps back at which the table compares gradients. Default: 200, or time - 1 if that is smaller."""
    hidden: int = 32
    """Hidden features."""
    batch_size: int = 16
    """Number of sequences. Curves and table show their median."""
    noise: float = 0.1
    """Standard deviation of the inputs after the first one, which is -1 or 1."""
    clip: float = 1.0
    """Maximum global norm of the gradient, in the trainings with clipping."""
    updates: int = 200
    """Number of updates of each training. There are two trainings with the smallest scale and two with the largest."""
    train_time: int = 200
    """Number of steps of a training sequence."""
    learning_rate: float = 0.1
    """Step size of gradient descent."""
    seed: int = 0
    """Random seed for the parameters, the sequences and the direction of the loss."""
    execution: OneDevice = dataclasses.field(default_factory=OneDevice)
    """Run folder."""

    def __post_init__(self):
        check_fields(
            self,
            at_least_one=("hidden", "batch_size", "updates", "train_time"),
            above_zero=("scales", "clip", "learning_rate"),
        )
        if self.time < 2:
            raise ValueError(f"time: expected at least 2, got {self.time}")
        if not 1 <= len(set(self.scales)) == len(self.scales) <= MOST_SCALES:
            raise ValueError(f"scales: expected 1 to {MOST_SCALES} different ones, got {self.scales}")
        if not 0 <= self.noise < math.inf:
            raise ValueError(f"noise: expected a number of at least 0, got {self.noise}")
        if self.back is not None and not 0 < self.back < self.time:
            raise ValueError(f"back: expected 1 to {self.time - 1}, less than time, got {self.back}")

    @property
    def steps_back(self) -> int:
        return self.back or min(200, self.time - 1)
