"""The outcome of a case, and its row: a JSON object with the settings and the environment of the run."""

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
    """How a run measures. Rows are compared only if their settings and environments agree."""

    devices: int
    rounds: int


@dataclasses.dataclass(frozen=True)
class Speed:
    """The times of a case in the rounds of its group, and figures derived from their median."""

    round_seconds: list[float]  # of a step: the mean over all steps of the round
    step_seconds: Spread
    tokens_per_second: float
    gflop_per_second: float  # useful ones: recomputation does not count
    peak_gflop_per_second: float  # of a matrix product in the same rounds, median
    peak_share: float
    scan_ratio: Spread | None  # to Scan() in the same round; None in a group without Scan()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a case: its speed, or the reason why it was not timed."""

    case: Case
    status: Status
    reason: str | None = None
    deviation: Deviation | None = None
    lower_seconds: float | None = None
    compile_seconds: float | None = None
    temp_bytes: int | None = None  # of all devices together
    speed: Speed | None = None


def to_row(outcome: Outcome, settings: Settings, environment: dict[str, Any]) -> dict[str, Any]:
    """The outcome as a JSON object. JSON has no NaN and no infinity: such a deviation becomes null."""
    row = {**vars(outcome), "case": vars(outcome.case)}
    if outcome.deviation is not None:
        row["deviation"] = {name: x if math.isfinite(x) else None for name, x in outcome.deviation._asdict().items()}
    if outcome.speed is not None:
        fields = vars(outcome.speed).items()
        row["speed"] = {name: value._asdict() if isinstance(value, Spread) else value for name, value in fields}
    return {"benchmark": BENCHMARK, **row, "settings": vars(settings), "environment": environment}


def from_row(row: dict[str, Any]) -> tuple[Outcome, Settings, dict[str, Any]]:
    """The outcome of a row, its settings and its environment. Raises ValueError for any other row."""
    try:
        fields: dict[str, Any] = {field.name: row[field.name] for field in dataclasses.fields(Outcome)}
        fields["case"] = Case(**row["case"])
        if row["deviation"] is not None:
            finite = {name: math.nan if x is None else x for name, x in row["deviation"].items()}
            fields["deviation"] = Deviation(**finite)
        if row["speed"] is not None:
            speed: dict[str, Any] = {
                name: Spread(**x) if isinstance(x, dict) else x for name, x in row["speed"].items()
            }
            fields["speed"] = Speed(**speed)
        if row["benchmark"] != BENCHMARK or not isinstance(row["environment"], dict):
            raise KeyError("environment")
        return Outcome(**fields), Settings(**row["settings"]), row["environment"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a row of the benchmark {BENCHMARK}, got one with another: {error}") from error
