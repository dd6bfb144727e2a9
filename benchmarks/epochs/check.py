"""Before anything is timed: every contestant must make the same steps, which compiles its every batch shape."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.epochs.contestant import Contestant, Problem
from benchmarks.epochs.ours import RnnjaxEpochs
from benchmarks.epochs.pipeline import Pipeline
from rnnjax import Scan

# Losses that are compared, at least: the first of all, and those after one, two and three steps.
COMPARED = 4
# Largest relative deviation of a loss; measured at full size: 4e-7 for Flax and this library, 6e-6 for Keras, whose
# Adam adds its epsilon elsewhere. That grows with every step, so that more steps would not say more.
LOSS_TOLERANCE = 2e-5


class Rehearsal(NamedTuple):
    """Passes over one batch of every shape: the losses of the first steps, and what compiling took."""

    losses: np.ndarray
    compile_seconds: float
    shapes: int


def rehearse(contestant: Contestant) -> Rehearsal:
    """Takes the steps. What compiling took is the first pass, which compiles, less the median of the others."""
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
    """The losses of `rehearse` by `Scan`, the recurrence without a backward pass of its own, on one device."""
    recurrent = problem.layer.clone(recurrence=Scan())
    by_scan = problem._replace(model=problem.model.clone(recurrent=recurrent))
    return rehearse(RnnjaxEpochs(by_scan, pipeline, devices=1)).losses


def deviation(losses: Sequence[float] | np.ndarray, reference: np.ndarray) -> float:
    """The largest relative difference of a loss; infinite where one is no number."""
    difference = np.abs(np.asarray(losses) - reference) / np.abs(reference)
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")
