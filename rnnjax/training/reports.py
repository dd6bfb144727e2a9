"""What is measured of a step, of a part of the data and of an epoch."""

import math
from typing import Any, NamedTuple

import numpy as np

from rnnjax.training.histograms import Histogram
from rnnjax.training.position import Position
from rnnjax.training.step import Sums


class Scores(NamedTuple):
    """Sums over a part of the data, as means."""

    loss: float
    accuracy: float
    confusion: np.ndarray  # (C, C) rows, true classes down; (0, 0) where there are no classes
    tokens: int
    seconds: float
    chance: float = math.nan  # the loss of an answer that does not look at the input, where the objective says it

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds

    @classmethod
    def of(cls, total: Sums, seconds: float) -> "Scores":
        """From summed sums. Raises ValueError where nothing was summed, or nothing of it has a weight."""
        if "weight" not in total:
            raise ValueError("batches: expected at least one, got none")
        if total["weight"] == 0:
            raise ValueError("weights: expected at least one above 0 in all batches, got none")
        return cls(
            loss=float(total["loss"] / total["weight"]),
            accuracy=float(total["correct"] / total["weight"]),
            confusion=np.asarray(total.get("confusion", np.empty((0, 0)))).round().astype(int),
            tokens=int(total["tokens"]),
            seconds=seconds,
            chance=float(total.get("chance", math.nan) / total["weight"]),
        )


class StepReport(NamedTuple):
    """What one train step measured; `skipped` where its update was left out, with numbers that are not finite.

    So is that of a batch without weight: its loss and accuracy are NaN, and its gradient is 0.
    `histograms` are of the gradients, by the names of their parameters: empty where none was taken.
    """

    step: int
    loss: float
    accuracy: float
    gradient_norm: float
    tokens: int
    learning_rate: float | None = None
    clipped: bool = False
    skipped: bool = False
    histograms: dict[str, Histogram] = {}  # noqa: RUF012 (never written to)

    @classmethod
    def of(cls, step: int, sums: Sums, histograms: dict[str, Histogram], skipped: bool) -> "StepReport":
        """From the step's sums."""
        empty = bool(sums["weight"] == 0)
        return cls(
            step=step,
            loss=math.nan if empty else float(sums["loss"] / sums["weight"]),
            accuracy=math.nan if empty else float(sums["correct"] / sums["weight"]),
            gradient_norm=float(sums["gradient_norm"]),
            tokens=int(sums["tokens"]),
            learning_rate=float(sums["learning_rate"]) if "learning_rate" in sums else None,
            clipped=bool(sums.get("clipped", False)),
            skipped=skipped or empty,
            histograms={name: histogram for name, histogram in histograms.items() if histogram.counts.any()},
        )


class EpochReport(NamedTuple):
    """An epoch: the training scores along the way, and those of the validation part after it.

    `clip_share` is the share of the steps whose gradient was clipped, `gradient_norm` their mean before that;
    `skipped` counts updates that were left out as not finite.
    """

    epoch: int
    step: int
    train: Scores
    validation: Scores
    best: bool
    gradient_norm: float
    clip_share: float
    skipped: int

    @classmethod
    def of(cls, position: Position, validation: Scores, best: bool) -> "EpochReport":
        """From the position at the end of an epoch's steps, and what came after. Raises ValueError without steps."""
        train, sums = Scores.of(position.sums, position.seconds), position.sums
        return cls(
            epoch=position.epoch + 1,
            step=position.step,
            train=train,
            validation=validation,
            best=best,
            gradient_norm=float(sums["gradient_norm"] / sums["steps"]),
            clip_share=float(sums["clipped"] / sums["steps"]) if "clipped" in sums else 0.0,
            skipped=int(sums.get("skipped", 0)),
        )

    def record(self) -> dict[str, Any]:
        """As flat JSON values."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "train_loss": self.train.loss,
            "train_accuracy": self.train.accuracy,
            "validation_loss": self.validation.loss,
            "validation_accuracy": self.validation.accuracy,
            "gradient_norm": self.gradient_norm,
            "clip_share": self.clip_share,
            "skipped": self.skipped,
            "tokens": self.train.tokens,
            "tokens_per_second": self.train.tokens_per_second,
            "seconds": self.train.seconds,
        }
