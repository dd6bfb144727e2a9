"""The options of the next-word study, and its preset of the language model."""

import dataclasses

import tyro

from experiments.language_model.config import Language
from rnnjax.commands.cells import TrainedRun
from rnnjax.fields import check_fields


@dataclasses.dataclass(frozen=True)
class ByHand:
    """Train one tanh unit on "this is -> an" and "is an -> example", and compute its predictions by hand."""

    epochs: int = 500
    """Number of Adam steps, each on both pairs."""
    learning_rate: float = 0.03
    """Learning rate of Adam."""
    seed: int = 0
    """Random seed of the parameters."""

    def __post_init__(self):
        check_fields(self, at_least_one=("epochs",), above_zero=("learning_rate",))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text(Language):
    """Train a language model on a text, and print the most probable next words after a prompt."""

    source: tyro.conf.Positional[str | None] = None
    """A text file (UTF-8), or any other source of the language model study."""
    prompt: str | None = None
    """The words before the predicted one; default: the end of the training part."""
    top: int = 5
    """Number of next words to print."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(self, at_least_one=("top",))


PRESET = Text(
    plain=True,
    hold_out=0.05,
    cell="gru",
    embedding=64,
    hidden=128,
    layers=1,
    tied=False,
    dropout=0.2,
    batch_size=32,
    learning_rate=3e-3,
    epochs=5,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predict(TrainedRun):
    """Print the most probable next words after a prompt, with a trained run."""

    prompt: tyro.conf.Positional[str]
    """The words before the predicted one."""
    top: int = 5
    """Number of next words to print."""

    def __post_init__(self):
        check_fields(self, at_least_one=("top",))
