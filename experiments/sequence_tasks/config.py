"""The options that every study of made sequences has."""

import dataclasses
import sys
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from rnnjax.fields import check_fields
from rnnjax.training import Optimizer
from rnnjax.training.optimizers import Schedule

Part = Literal["training", "validation", "test"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceTask(Optimizer):
    """Train a network on made sequences, and test it on unseen ones."""

    train: int = 8_000
    """Sequences to train on."""
    validation: int = 500
    """Sequences that every epoch is scored on; nothing is chosen by them."""
    test: int = 1_000
    """Sequences of the final table."""
    longest: int = 10
    """Steps or symbols of the longest sequence."""
    hidden: int = 32
    """Hidden features of each recurrent layer."""
    epochs: int = 5
    """Times that the training part is read."""
    batch_size: int = 64
    """Sequences of an update, a multiple of the devices."""
    learning_rate: float = 1e-2
    """Step size at first."""
    schedule: Schedule = "linear"
    """How the learning rate falls: linear and cosine down to 0 at the last update, step from epoch to epoch."""
    clip: float | None = 1.0
    """Largest global norm of the gradient."""
    seed: int = 0
    """Seeds sequences, parameters and the order of batches."""
    devices: int | None = None
    """Devices that share a batch; all of them (CPU cores included) unless given."""
    run_folder: Path | None = None
    """Where the run is written: runs/ and its name and time, unless given."""

    def __post_init__(self):
        counts = ("train", "validation", "test", "longest", "hidden", "epochs", "batch_size", "devices")
        super().__post_init__()
        check_fields(self, at_least_one=counts)

    @property
    def parts(self) -> tuple[tuple[Part, int], ...]:
        """Every part, and how many sequences it has."""
        return ("training", self.train), ("validation", self.validation), ("test", self.test)

    def random(self, part: Part | Literal["task"]) -> np.random.Generator:
        """What a part is drawn by, or what all parts have in common."""
        return np.random.default_rng([self.seed, ("task", *get_args(Part)).index(part)])


def check_range(name: str, value: int, least: int, most: int = sys.maxsize) -> None:
    """Raises ValueError for a number outside a range."""
    if not least <= value <= most:
        words = f"at least {least}" if most == sys.maxsize else f"{least} to {most}"
        raise ValueError(f"{name}: expected {words}, got {value}")
