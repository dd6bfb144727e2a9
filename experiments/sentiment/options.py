"""The options of the commands for trained text classifiers: predict and evaluate."""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from rnnjax.commands.cells import TrainedRun
from rnnjax.data import TextFormat
from rnnjax.fields import check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predict(TrainedRun, TextFormat):
    """Print a line for each text, separated by tabs: the predicted class, all class probabilities, the text.

    Tabs and line ends in a text are printed as spaces. Use standard input for texts that begin with a dash. With
    --output, the rows of a file are written with these columns to another file instead.
    """

    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """The texts; default: the lines of standard input."""
    source: str | None = None
    """A data file with the texts, which needs no labels."""
    text_column: str = "text"
    """Name of the column with the texts."""
    output: Path | None = None
    """A new .csv, .jsonl or .parquet file: the rows of the source with all columns, the predicted class, and all class
    probabilities."""
    trace: bool = False
    """Also print each text coloured by the prediction after each word (without colours: with the probability of the
    last class), and the words that changed the prediction."""
    figures: Path | None = None
    """A new folder for figures of each text: the prediction after each word, and the gates and states of all layers."""

    def __post_init__(self):
        self.check()
        if self.source is not None and self.texts:
            raise ValueError(f"source: expected none with texts, got {self.source!r}")
        if self.source is None and self.output is not None:
            raise ValueError("output: expected a source with it, got none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(TrainedRun, TextFormat):
    """Evaluate a run: accuracy, macro F1, loss, calibration and confusion matrix."""

    source: str | None = None
    """Another source, as for training, but it needs no training part; default: the validation part of the source of the
    run."""
    part: Literal["train", "validation", "test"] | None = None
    """Part of the source; default: the first with labels of test, validation, train."""
    text_column: str = "text"
    """Name of the column with the texts."""
    label_column: str = "label"
    """Name of the column with the labels."""
    errors: int = 0
    """List this many mistakes, the most confident first, each with the prediction after each word."""
    figures: Path | None = None
    """A new folder for figures: reliability, and the prediction after each word of the listed mistakes."""
    devices: int | None = None
    """Number of devices that share a batch; default: all."""

    def __post_init__(self):
        self.check()
        check_range("errors", self.errors, 0)
