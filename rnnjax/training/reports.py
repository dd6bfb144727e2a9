"""What is measured of a step, of a part of the data and of an epoch."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from rnnjax.training.histograms import Histogram
from rnnjax.training.objective import Objective, Sums
from rnnjax.training.position import Position


@dataclasses.dataclass(frozen=True)
class Scores:
    """What an objective measured over a part of the data.

    `metrics` are means over all rows by name, the loss first: `scores["loss"]`. `totals` are the arrays that it
    summed. `read` are the tokens that were read, or the rows where the objective counts no tokens: `unit` says which.
    `chance` is the loss of an answer that does not look at the input, NaN where the objective does not say it.
    """

    metrics: dict[str, float]
    totals: dict[str, np.ndarray]
    read: int
    unit: str
    seconds: float
    chance: float = math.nan

    @property
    def loss(self) -> float:
        return self.metrics["loss"]

    def __getitem__(self, name: str) -> float:
        return self.metrics[name]

    @property
    def speed(self) -> float:
        """Tokens or rows a second."""
        return self.read / self.seconds

    @classmethod
    def of(cls, total: Sums, seconds: float, objective: Objective) -> "Scores":
        """From summed sums. Raises ValueError where nothing was summed, or nothing of it has a weight."""
        if "weight" not in total:
            raise ValueError("batches: expected at least one, got none")
        if total["weight"] == 0:
            raise ValueError("weights: expected at least one above 0 in all batches, got none")
        read, unit = read_of(total)
        chance = float(total.get("chance", math.nan) / total["weight"])
        return cls(objective.means(total), objective.totals(total), read, unit, seconds, chance)


def read_of(total: Sums) -> tuple[int, str]:
    """How much was read, and of what: tokens, or rows (by their weight)."""
    return (int(total["tokens"]), "tokens") if "tokens" in total else (round(float(total["weight"])), "rows")


class StepReport(NamedTuple):
    """What one train step measured; `skipped` where its update was left out, with numbers that are not finite.

    So is that of a batch without weight: its metrics are NaN, and its gradient is 0.
    `histograms` are of the gradients, by the names of their parameters: empty where none was taken.
    """

    step: int
    metrics: dict[str, float]
    gradient_norm: float
    read: int
    unit: str = "tokens"
    learning_rate: float | None = None
    clipped: bool = False
    skipped: bool = False
    histograms: dict[str, Histogram] = {}  # noqa: RUF012 (never written to)

    @property
    def loss(self) -> float:
        return self.metrics["loss"]

    @classmethod
    def of(
        cls, step: int, sums: Sums, histograms: dict[str, Histogram], skipped: bool, objective: Objective
    ) -> "StepReport":
        """From the step's sums."""
        read, unit = read_of(sums)
        return cls(
            step=step,
            metrics=objective.means(sums),
            gradient_norm=float(sums["gradient_norm"]),
            read=read,
            unit=unit,
            learning_rate=float(sums["learning_rate"]) if "learning_rate" in sums else None,
            clipped=bool(sums.get("clipped", False)),
            skipped=skipped or bool(sums["weight"] == 0),
            histograms={name: histogram for name, histogram in histograms.items() if histogram.counts.any()},
        )

    def record(self) -> dict[str, Any]:
        """As flat JSON values; numbers that are not finite, which JSON does not know, are left out."""
        values = {"step": self.step, **self.metrics, "gradient_norm": self.gradient_norm, self.unit: self.read}
        values |= {"learning_rate": self.learning_rate, "clipped": self.clipped, "skipped": self.skipped}
        return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


class EpochReport(NamedTuple):
    """An epoch: the training scores along the way, and those of the validation part after it.

    `best` is whether the objective's best metric was never as good before. `clip_share` is the share of the steps whose
    gradient was clipped, `gradient_norm` their mean before that; `skipped` counts updates that were left out as not
    finite.
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
    def of(cls, position: Position, validation: Scores, best: bool, objective: Objective) -> "EpochReport":
        """From the position at the end of an epoch's steps, and what came after. Raises ValueError without steps."""
        train, sums = Scores.of(position.sums, position.seconds, objective), position.sums
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
            **{f"train_{name}": value for name, value in self.train.metrics.items()},
            **{f"validation_{name}": value for name, value in self.validation.metrics.items()},
            "gradient_norm": self.gradient_norm,
            "clip_share": self.clip_share,
            "skipped": self.skipped,
            self.train.unit: self.train.read,
            f"{self.train.unit}_per_second": self.train.speed,
            "seconds": self.train.seconds,
        }
