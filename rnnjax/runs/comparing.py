"""Compares runs: differing config fields, scores and curves."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnjax.runs.execution import EXECUTION
from rnnjax.runs.folder import BEST
from rnnjax.runs.listing import NAME, score_words, shorten, training_time
from rnnjax.runs.reading import Run
from rnnjax.tables import table

if TYPE_CHECKING:
    from rnnjax.analysis import RunCurves
    from rnnjax.analysis.run_plots import Panel

MARKS = "ABCDEFGH"
# Fields about the execution of a run, which do not affect what is computed.
IGNORED = {"run_folder", EXECUTION, BEST}
VALUE, FINAL, LABEL = 24, 40, 90
MISSING = "-"


def differing_fields(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Every config field in which the runs differ, with its value in each run; fields that some lack come last."""
    names = dict.fromkeys(name for run in runs for name in run.config if name not in IGNORED)
    values = {name: [_words(run.config[name]) if name in run.config else MISSING for run in runs] for name in names}
    differing = {name: column for name, column in values.items() if len(set(column)) > 1}
    return dict(sorted(differing.items(), key=lambda item: MISSING in item[1]))


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def difference_table(runs: Sequence[Run]) -> str:
    """A table of the differing fields, with one column for each run."""
    rows = [
        (shorten(name, NAME), *(shorten(value, VALUE) for value in values))
        for name, values in differing_fields(runs).items()
    ]
    return table(("config field", *MARKS[: len(runs)]), rows)


def score_table(runs: Sequence[Run]) -> str:
    """A table with one row for each run: its best epoch and its final scores."""
    parts = list(dict.fromkeys(part for run in runs for part in run.metrics.finals))
    headers = ("run", "status", "step", "best", *(f"{shorten(part, VALUE)}" for part in parts))
    rows = []
    for mark, run in zip(MARKS, runs, strict=False):
        finals = []
        for part in parts:
            line = run.metrics.finals.get(part, {})
            names = dict.fromkeys((*((run.score.name,) if run.score else ()), "loss"))
            finals.append(", ".join(f"{name} {line[name]:.4f}" for name in names if name in line) or MISSING)
        rate = MISSING if run.speed is None else f"{run.speed:,.0f}"
        rows.append(
            (
                f"{mark} {shorten(run.path.name, NAME)}",
                run.status.status,
                MISSING if run.step is None else f"{run.step:,}",
                shorten(score_words(run.score), 40) or MISSING,
                *(shorten(final, FINAL) for final in finals),
                training_time(run) or MISSING,
                rate,
            )
        )
    return table((*headers, "training", "per second"), rows)


def curves(runs: Sequence[Run]) -> "list[RunCurves]":
    """The curves of each run, labelled with its folder and its differing fields."""
    from rnnjax.analysis import RunCurves  # imported here: only the curves need the extra `plots`

    differing = differing_fields(runs)
    return [
        RunCurves(mark, _label(run, {name: values[index] for name, values in differing.items()}), _points(run))
        for index, (mark, run) in enumerate(zip(MARKS, runs, strict=False))
    ]


def _label(run: Run, fields: dict[str, str]) -> str:
    """The name of the run, and as many fields as fit."""
    label = shorten(run.path.name, NAME)
    for count, (name, value) in enumerate(fields.items()):
        longer = f"{label}{', ' if count else ': '}{name} {shorten(value, VALUE)}"
        if len(longer) > LABEL:
            return f"{label} and {len(fields) - count} more"
        label = longer
    return label


def panels(runs: Sequence[Run]) -> "list[Panel]":
    """The panels of the figure: losses, the metrics that determine the best epochs, gradient norm, learning rate."""
    from rnnjax.analysis.run_plots import Panel

    scores = {run.score.name: run.score.higher_is_better for run in runs if run.score}
    scores.setdefault("loss", False)
    return [
        Panel("training loss", "step", noisy=True),
        *(Panel(f"validation {name}", "epoch", best=np.argmax if scores[name] else np.argmin) for name in scores),
        Panel("gradient norm", "step", noisy=True, logarithmic=True),
        Panel("learning rate", "step"),
    ]


def _points(run: Run) -> dict[str, np.ndarray]:
    """The points of all curves of a run; if it logs no steps, the training loss is that of its epochs."""
    steps, epochs = run.metrics.steps, run.metrics.epochs
    loss = _column(steps, "step", "loss")
    names = {name for line in epochs for name in line if name.startswith("validation_")}
    return {
        "training loss": loss if len(loss) else _column(epochs, "step", "train_loss"),
        **{name.replace("_", " ", 1): _column(epochs, "epoch", name) for name in sorted(names)},
        "gradient norm": _column(steps, "step", "gradient_norm"),
        "learning rate": _column(steps, "step", "learning_rate"),
    }


def _column(lines: Sequence[dict[str, float]], x: str, y: str) -> np.ndarray:
    return np.array([(line[x], line[y]) for line in lines if x in line and y in line]).reshape(-1, 2)
