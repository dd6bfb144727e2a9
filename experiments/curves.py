"""The learning curves of a run, of what its metrics.jsonl tells."""

from typing import Any

from matplotlib.figure import Figure

from experiments.run_folders.metrics import Metrics
from rnnjax.analysis import learning_curves


def curves_of(metrics: Metrics, **options: Any) -> Figure | None:
    """All steps and epochs of the run, those before a resumption included; None where there are none of either.

    `options` are those of `learning_curves`.
    """
    steps = [line for line in metrics.steps if {"loss", "accuracy"} <= line.keys() and not line.get("skipped")]
    scored = {"step", "validation_loss", "validation_accuracy"}
    epochs = [line for line in metrics.epochs if scored <= line.keys()]
    if not steps or not epochs:  # they were taken away before the run went on
        return None
    return learning_curves(
        [line["loss"] for line in steps],
        [line["accuracy"] for line in steps],
        [sum(step["step"] <= line["step"] for step in steps) for line in epochs],
        [line["validation_loss"] for line in epochs],
        [line["validation_accuracy"] for line in epochs],
        **options,
    )
