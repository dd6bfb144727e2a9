"""The options of the restaurant study."""

import dataclasses
from typing import Literal

import tyro

from rnnjax.data import TextFormat
from rnnjax.fields import check_fields
from rnnjax.runs import RunPlace


@dataclasses.dataclass(frozen=True)
class Restaurant(TextFormat):
    """Cross-validate a one-unit Elman net, a bidirectional GRU and a bag of words on labelled sentences."""

    source: tyro.conf.Positional[str]
    """Data file: .txt with lines text<TAB>label, or CSV, TSV, JSON, JSON Lines or Parquet, also compressed."""
    text_column: str = "text"
    """Column of the sentences, in files with columns."""
    label_column: str = "label"
    """Column of the labels: two names or numbers; the later one, by value or the alphabet, is positive."""
    folds: int = 10
    """Number of folds of the cross-validation."""
    choose: bool = False
    """Test on a part of the training rows of each fold instead of its test rows, to choose settings."""
    longest: int = 10
    """Number of words that the one-unit net reads."""
    pad: Literal["start", "end"] = "start"
    """End at which shorter sentences are padded for the one-unit net, which reads padding like words."""
    cut: Literal["start", "end"] = "start"
    """End at which longer sentences are cut for the one-unit net."""
    epochs: int = 500
    """Epochs of the one-unit net."""
    learning_rate: float = 2e-2
    """Step size of Adam for the one-unit net."""
    epsilon: float = 1e-3
    """Epsilon of Adam for the one-unit net. The gradient of its recurrent weight is noise at first; with a value far
    above the usual 1e-8, that noise does not determine the sign of the weight (accuracy 0.70 instead of 0.65 in inner
    folds of two seeds)."""
    hidden: int = 32
    """Units of the bidirectional GRU in each direction."""
    vocabulary: int = 1000
    """Vocabulary size of the bidirectional GRU, including padding and the unknown word."""
    dropout: float = 0.5
    """Dropout of the embedding and the pooled features of the bidirectional GRU."""
    proper_epochs: int = 20
    """Epochs of the bidirectional GRU."""
    proper_learning_rate: float = 3e-3
    """Step size of Adam for the bidirectional GRU."""
    batch_size: int = 32
    """Sentences per update."""
    seed: int = 0
    """Random seed for the folds, the initial parameters, the order of sentences and dropout."""
    execution: RunPlace = dataclasses.field(default_factory=RunPlace)
    """Run folder, and devices, over which the folds are spread."""

    def __post_init__(self):
        self.check()
        check_fields(
            self,
            at_least_one=("longest", "epochs", "hidden", "proper_epochs", "batch_size"),
            shares=("dropout",),
            above_zero=("learning_rate", "epsilon", "proper_learning_rate"),
        )
