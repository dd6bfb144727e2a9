"""The options of `benchmarks.epoch`."""

import dataclasses
from pathlib import Path
from typing import Literal, get_args

from benchmarks.options import check_options
from rnnjax.data import TextFormat

Name = Literal["rnnjax", "keras", "flax", "keras-bucketed", "flax-bucketed", "rnnjax-padded", "rnnjax-one-device"]


@dataclasses.dataclass(frozen=True)
class Epoch(TextFormat):
    """Time epochs of training against Keras and Flax, from tokenised texts to updated parameters."""

    contestants: tuple[Name, ...] = get_args(Name)
    """Contestants. Plain `keras` and `flax` pad every text at its start to the longest, as their examples do; `rnnjax`
    has bucketed batches and all devices; the names of the others say what differs."""
    rounds: int = 3
    """Rounds; in each one every contestant trains for one epoch."""
    share: float = 1.0
    """Share of the epoch's batches, drawn evenly from narrow to wide; all contestants train on the same rows."""
    rows: Path | None = None
    """JSON Lines file to which the row of each epoch is appended."""
    source: str = "reviews"
    """ "reviews" (installed package), "imdb" (hub), a CSV, TSV, JSON, JSON Lines or Parquet file, a .txt file of
    lines text<TAB>label, or a folder of train.*, validation.*, test.*."""
    text_column: str = "text"
    """Column of the texts, in files."""
    label_column: str = "label"
    """Column of the labels, in files: integers from 0 or 1, or names."""
    hold_out: float = 0.1
    """Share left out of training, if the source has no validation part."""
    vocabulary: int = 10_000
    """Words known, padding and the unknown word included."""
    longest: int = 500
    """Words read of each text, its last ones."""
    embedding: int = 32
    """Features of a word."""
    hidden: int = 100
    """Hidden features of the LSTM."""
    batch_size: int = 64
    """Texts a step."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    buckets: int = 5
    """Batch widths of the bucketed batches."""
    seed: int = 0
    """Seeds the hold-out, the parameters and the order of batches."""
    devices: int | None = None
    """Devices that share a batch of `rnnjax`; by default all, CPU cores included."""

    def __post_init__(self):
        check_options(
            self,
            at_least_one=("rounds", "longest", "embedding", "hidden", "batch_size", "buckets", "devices"),
            above_zero=("learning_rate",),
            unique=("contestants",),
        )
        if not 0 < self.share <= 1:
            raise ValueError(f"share: expected a number above 0, up to 1, got {self.share}")
        if not 0 < self.hold_out < 1:
            raise ValueError(f"hold_out: expected a share between 0 and 1, got {self.hold_out}")
