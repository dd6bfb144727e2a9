"""What became of a case, and its row: one JSON object that says where and how it was measured."""

import dataclasses
import math
from typing import Any, Literal

from benchmarks.recurrences.cases import Case
from benchmarks.recurrences.checks import Deviation
from benchmarks.timing import Spread

BENCHMARK = "throughput"  # its name in the rows
Status = Literal["measured", "wrong", "failed", "not compiled"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a run measures; with its environment, what rows must share to stand side by side."""

    devices: int
    rounds: int


@dataclasses.dataclass(frozen=True)
class Speed:
    """A case's steps in the rounds of its group, and what follows from their median."""

    round_seconds: list[float]  # of a step: the mean of the turn that the case had in the round
    step_seconds: Spread
    tokens_per_second: float
    gflop_per_second: float  # useful ones: recomputation is not counted
    peak_gflop_per_second: float  # of a matrix product in the same rounds, median
    peak_share: float
    scan_ratio: Spread | None  # to Scan() in the same round; None where the group is without it


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case: its speed, or the reason why there is none. What was not reached is None."""

    case: Case
    status: Status
    reason: str | None = None
    deviation: Deviation | None = None
    lower_seconds: float | None = None
    compile_seconds: float | None = None
    temp_bytes: int | None = None  # of all devices together
    speed: Speed | None = None


def to_row(outcome: Outcome, settings: Settings, environment: dict[str, Any]) -> dict[str, Any]:
    """The outcome as a JSON object. A deviation that is not finite becomes null: JSON has no word for it."""
    row = {**vars(outcome), "case": vars(outcome.case)}
    if outcome.deviation is not None:
        finite = {name: x if math.isfinite(x) else None for name, x in outcome.deviation._asdict().items()}
        row["deviation"] = finite
    if outcome.speed is not None:
        spreads = {name: value._asdict() for name, value in vars(outcome.speed).items() if isinstance(value, Spread)}
        row["speed"] = {**vars(outcome.speed), **spreads}
    return {"benchmark": BENCHMARK, **row, "settings": vars(settings), "environment": environment}


def from_row(row: dict[str, Any]) -> tuple[Outcome, Settings, dict[str, Any]]:
    """The outcome that a row holds, with its settings and environment. Raises ValueError for what is no such row."""
    try:
        fields = {field.name: row[field.name] for field in dataclasses.fields(Outcome)}
        fields["case"] = Case(**row["case"])
        if row["deviation"] is not None:
            finite = {name: math.nan if x is None else x for name, x in row["deviation"].items()}
            fields["deviation"] = Deviation(**finite)
        if row["speed"] is not None:
            spreads = {
                name: Spread(**row["speed"][name])
                for name in ("step_seconds", "scan_ratio")
                if row["speed"][name] is not None
            }
            fields["speed"] = Speed(**{**row["speed"], **spreads})
        if row["benchmark"] != BENCHMARK or not isinstance(row["environment"], dict):
            raise KeyError("environment")
        return Outcome(**fields), Settings(**row["settings"]), row["environment"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a row of the benchmark {BENCHMARK}, got one with another: {error}") from error
