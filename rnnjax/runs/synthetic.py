"""The config of a study that draws its sequences from its seed."""

import dataclasses
from typing import Literal, get_args

import numpy as np

from rnnjax.fields import check_fields
from rnnjax.runs.execution import RunPlace
from rnnjax.training.optimizers import Optimizer, Schedule

Part = Literal["training", "validation", "test"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticTask(Optimizer):
    """Train networks on random sequences, and test them on other ones. A study inherits this and adds its fields."""

    train: int = 8_000
    """Number of training sequences."""
    validation: int = 500
    """Number of validation sequences. They are scored after each epoch, and not used for any choice."""
    test: int = 1_000
    """Number of test sequences. The final scores are computed on them."""
    longest: int = 10
    """Maximum length of a sequence, in steps or symbols."""
    hidden: int = 32
    """Hidden features of each recurrent layer."""
    epochs: int = 5
    """Number of passes over the training sequences."""
    batch_size: int = 64
    """Sequences per update; a multiple of the number of devices."""
    learning_rate: float = 1e-2
    """Initial step size."""
    schedule: Schedule = "linear"
    """Learning rate schedule. linear and cosine decrease to 0 at the last update; step decreases between epochs."""
    clip: float | None = 1.0
    """Maximum global norm of the gradient."""
    seed: int = 0
    """Random seed for the sequences, the initial parameters and the order of batches."""
    execution: RunPlace = dataclasses.field(default_factory=RunPlace)
    """Run folder and devices."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, at_least_one=("train", "validation", "test", "longest", "hidden", "epochs", "batch_size"))

    @property
    def parts(self) -> tuple[tuple[Part, int], ...]:
        """The name and the number of sequences of each part."""
        return ("training", self.train), ("validation", self.validation), ("test", self.test)

    def random(self, part: Part | Literal["task"]) -> np.random.Generator:
        """The generator for one part, or ("task") for what all parts have in common."""
        return np.random.default_rng([self.seed, ("task", *get_args(Part)).index(part)])
