"""The points of the learning curves of a run, from its metrics.jsonl."""

from collections.abc import Sequence

from rnnjax.analysis.plots import Curve
from rnnjax.runs.metrics import Metrics


def curves_of(metrics: Metrics, names: Sequence[str] = ("loss",)) -> list[Curve]:
    """The curves of these metrics over all steps and epochs of a run; metrics without points are left out."""
    found = []
    for name in names:
        steps = [line for line in metrics.steps if name in line and not line.get("skipped")]
        epochs = [line for line in metrics.epochs if {"step", f"validation_{name}"} <= line.keys()]
        if steps and epochs:  # lines may have been removed before the run was resumed
            found.append(
                Curve(
                    name,
                    [line[name] for line in steps],
                    [sum(step["step"] <= line["step"] for step in steps) for line in epochs],
                    [line[f"validation_{name}"] for line in epochs],
                )
            )
    return found
