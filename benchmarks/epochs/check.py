"""The check before anything is timed: all contestants take the same steps. It also compiles every batch shape."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.epochs.contestant import Contestant, Problem
from benchmarks.epochs.ours import RnnjaxEpochs
from benchmarks.epochs.pipeline import Pipeline
from rnnjax import Scan

COMPARED = 4  # losses, at least: the first one, and those after one, two and three steps
# The largest relative deviation of a loss; measured at full size: 4e-7 for Flax and rnnjax, 6e-6 for Keras, which adds
# Adam's epsilon at another place. Its deviation grows with every step.
LOSS_TOLERANCE = 2e-5


class Rehearsal(NamedTuple):
    """The losses of the first steps, the compile time, and the number of batch shapes."""

    losses: np.ndarray
    compile_seconds: float
    shapes: int


def rehearse(contestant: Contestant) -> Rehearsal:
    """Passes over one batch of every shape. The first pass compiles: the median of the others is subtracted."""
    plans = contestant.pipeline.samples()
    losses, seconds = [], []
    for _ in range(max(2, math.ceil(COMPARED / len(plans)))):
        start = time.perf_counter()
        losses += contestant.losses(plans)
        seconds.append(time.perf_counter() - start)
    compiling = max(0.0, seconds[0] - float(np.median(seconds[1:])))
    shapes = len({(plan.width, contestant.fill or len(plan.rows)) for plan in plans})
    return Rehearsal(np.array(losses[: max(COMPARED, len(plans))]), compiling, shapes)


def reference_losses(problem: Problem, pipeline: Pipeline) -> np.ndarray:
    """The losses of `rehearse` under `Scan` on one device."""
    model = problem.model.clone(recurrent=problem.layer.clone(recurrence=Scan()))
    return rehearse(RnnjaxEpochs(problem._replace(model=model), pipeline, devices=1)).losses


def deviation(losses: Sequence[float] | np.ndarray, reference: np.ndarray) -> float:
    """The largest relative difference of a loss; infinite if one is not finite."""
    difference = np.abs(np.asarray(losses) - reference) / np.abs(reference)
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")
