"""The position of a run between two steps."""

import sys
from typing import Any, NamedTuple

import numpy as np


class Best(NamedTuple):
    """The epoch with the highest score so far (counted from 1), and the number of steps done at its end."""

    epoch: int
    step: int
    score: float


class Position(NamedTuple):
    """The position of a run: numbers that are written to JSON without rounding.

    `epoch` epochs and `batch` batches of the next epoch are done, `step` steps in total. `sums` and `seconds` are those
    of the unfinished epoch. `best`, `waited` (epochs since the best one) and `first` (loss of the first step) are those
    of the whole run.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    sums: dict[str, np.ndarray] = {}  # noqa: RUF012 (never written to: `plus` makes a new one)
    seconds: float = 0.0
    best: Best | None = None
    waited: int = 0
    first: float | None = None  # the loss of the first step

    def plus(self, sums: dict[str, Any] | None) -> "Position":
        """The position after one more batch; None for a skipped update. The sums of a batch of weight 0 are ignored."""
        total = dict(self.sums)
        if sums is not None and sums.get("weight", 1) == 0:
            total.setdefault("weight", np.zeros(()))
            return self._replace(batch=self.batch + 1, step=self.step + 1, sums=total)
        # float64: float32 counts exactly only up to 2**24.
        for name, value in ({"skipped": 1.0} if sums is None else {**sums, "steps": 1.0}).items():
            total[name] = total.get(name, np.float64(0)) + np.asarray(value, np.float64)
        return self._replace(batch=self.batch + 1, step=self.step + 1, sums=total)

    def after_epoch(self, score: float) -> "Position":
        """The position at the start of the next epoch, after an epoch with this score."""
        best, waited = self.best, self.waited + 1
        if best is None or score > best.score:
            best, waited = Best(self.epoch + 1, self.step, score), 0
        return Position(self.epoch + 1, 0, self.step, best=best, waited=waited, first=self.first)

    def to_json(self) -> dict[str, Any]:
        """The position as JSON values."""
        sums = {name: np.asarray(value).tolist() for name, value in self.sums.items()}
        return {**self._asdict(), "sums": sums, "best": None if self.best is None else self.best._asdict()}

    @classmethod
    def from_json(cls, values: Any) -> "Position":
        """The position from the values of `to_json`. Raises ValueError for anything else."""
        values = _fields(values, cls._fields, "position")
        counts = {name: _count(values[name], name) for name in ("epoch", "batch", "step", "waited")}
        sums = values["sums"]
        if not isinstance(sums, dict):
            raise ValueError(f"sums: expected names and numbers, got {type(sums).__name__}")
        best = values["best"]
        if best is not None:
            fields = _fields(best, Best._fields, "best")
            score = _number(fields["score"], "score")
            best = Best(_count(fields["epoch"], "epoch"), _count(fields["step"], "step"), score)
        numbers = {name: _numbers(value, name) for name, value in sums.items()}
        first = None if values["first"] is None else _number(values["first"], "first")
        return cls(**counts, sums=numbers, seconds=_number(values["seconds"], "seconds"), best=best, first=first)


def _fields(values: Any, names: tuple[str, ...], what: str) -> dict[str, Any]:
    if not isinstance(values, dict) or set(values) != set(names):
        raise ValueError(f"{what}: expected the fields {', '.join(names)}, got others")
    return values


def _count(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise ValueError(f"{name}: expected an integer from 0, got {str(value)[:40]}")
    return value


def _number(value: Any, name: str) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    # `math.isfinite` raises OverflowError for an integer that is too large for a float.
    if not known or not abs(value) <= sys.float_info.max:
        raise ValueError(f"{name}: expected a finite number, got {str(value)[:40]}")
    return float(value)


def _numbers(value: Any, name: str) -> np.ndarray:
    try:
        found = np.asarray(value)
    except (ValueError, OverflowError):  # lists of different lengths, or an integer too large for a float
        found = np.asarray(None)
    if found.dtype.kind not in "iuf":
        raise ValueError(f"{name}: expected numbers, got {str(value)[:40]}")
    numbers = found.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected finite numbers, got others")
    return numbers
