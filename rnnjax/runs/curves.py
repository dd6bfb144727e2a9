"""The points of a run's learning curves, of what its metrics.jsonl tells."""

from collections.abc import Sequence

from rnnjax.analysis.plots import Curve
from rnnjax.runs.metrics import Metrics


def curves_of(metrics: Metrics, names: Sequence[str] = ("loss",)) -> list[Curve]:
    """Metrics of all steps and epochs of the run, those before a resumption included; none that has no points."""
    found = []
    for name in names:
        steps = [line for line in metrics.steps if name in line and not line.get("skipped")]
        epochs = [line for line in metrics.epochs if {"step", f"validation_{name}"} <= line.keys()]
        if steps and epochs:  # else they were taken away before the run went on
            found.append(
                Curve(
                    name,
                    [line[name] for line in steps],
                    [sum(step["step"] <= line["step"] for step in steps) for line in epochs],
                    [line[f"validation_{name}"] for line in epochs],
                )
            )
    return found
