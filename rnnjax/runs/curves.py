"""The points of a run's learning curves, of what its metrics.jsonl tells."""

from typing import NamedTuple

from rnnjax.runs.metrics import Metrics


class Curves(NamedTuple):
    """What `learning_curves` draws, in its order."""

    step_losses: list[float]
    step_accuracies: list[float]
    epoch_steps: list[int]
    validation_losses: list[float]
    validation_accuracies: list[float]


def curves_of(metrics: Metrics) -> Curves | None:
    """All steps and epochs of the run, those before a resumption included; None where there are none of either."""
    steps = [line for line in metrics.steps if {"loss", "accuracy"} <= line.keys() and not line.get("skipped")]
    scored = {"step", "validation_loss", "validation_accuracy"}
    epochs = [line for line in metrics.epochs if scored <= line.keys()]
    if not steps or not epochs:  # they were taken away before the run went on
        return None
    return Curves(
        [line["loss"] for line in steps],
        [line["accuracy"] for line in steps],
        [sum(step["step"] <= line["step"] for step in steps) for line in epochs],
        [line["validation_loss"] for line in epochs],
        [line["validation_accuracy"] for line in epochs],
    )
