"""The measurements of a step, of an epoch, and of a part of the data."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from rnnjax.training.histograms import Histogram
from rnnjax.training.objective import Objective, Sums
from rnnjax.training.position import Position


@dataclasses.dataclass(frozen=True)
class Scores:
    """The metrics of an objective over a part of the data.

    `metrics` are means over all rows by name, the loss first: `scores["loss"]`. `totals` are sums that are arrays.
    `read` is the number of tokens read, or of rows if the objective does not count tokens; `unit` is "tokens" or
    "rows". `chance` is the loss of a constant prediction that ignores the input, NaN if the objective has no such sum.
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
        """Tokens or rows per second."""
        return self.read / self.seconds

    @classmethod
    def of(cls, total: Sums, seconds: float, objective: Objective) -> "Scores":
        """The scores from total sums. Raises ValueError if there was no batch, or if all weights are zero."""
        if "weight" not in total:
            raise ValueError("batches: expected at least one, got none")
        if total["weight"] == 0:
            raise ValueError("weights: expected at least one above 0 in all batches, got none")
        read, unit = read_of(total)
        chance = float(total.get("chance", math.nan) / total["weight"])
        return cls(objective.means(total), objective.totals(total), read, unit, seconds, chance)


def read_of(total: Sums) -> tuple[int, str]:
    """The number of tokens read, or of rows (the sum of their weights), and which of the two it is."""
    return (int(total["tokens"]), "tokens") if "tokens" in total else (round(float(total["weight"])), "rows")


class StepReport(NamedTuple):
    """The measurements of one train step.

    `skipped`: the update was skipped because its gradient was not finite, or because all weights of the batch are zero
    (then the metrics are NaN and the gradient norm is 0). `histograms` are those of the gradients by parameter name,
    empty for steps without histograms.
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
        """The report from the sums of the step."""
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
        """The report as flat JSON values, without numbers that are not finite (JSON has none)."""
        values = {"step": self.step, **self.metrics, "gradient_norm": self.gradient_norm, self.unit: self.read}
        values |= {"learning_rate": self.learning_rate, "clipped": self.clipped, "skipped": self.skipped}
        return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}


class EpochReport(NamedTuple):
    """An epoch: the mean training scores of its steps, and the validation scores at its end.

    `best`: the objective's metric `best` is better than in all epochs before. `clip_share` is the share of the steps
    whose gradient was clipped, `gradient_norm` the mean norm before clipping, `skipped` the number of updates skipped
    because they were not finite.
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
        """The report from the position after the last step of an epoch. Raises ValueError if there were no steps."""
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
        """The report as flat JSON values."""
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
