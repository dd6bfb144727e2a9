"""An epoch of training, data pipeline included: `python -m benchmarks.epoch`.

The `lstm` preset of the sentiment study on real reviews: rnnjax as its users run it, against Keras' `fit` and a Flax
loop, with texts padded to 500 words as in their examples, and with rnnjax's bucketed batches. All start from the same
weights, and their losses are compared first. A timed epoch goes from tokenised texts in memory to updated parameters.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import datasets
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from benchmarks.epochs.contestant import Contestant, Problem
from benchmarks.epochs.flax import FlaxEpochs
from benchmarks.epochs.keras import KerasEpochs
from benchmarks.epochs.options import Epoch, Name
from benchmarks.epochs.ours import RnnjaxEpochs
from benchmarks.epochs.pipeline import Pipeline, bucketed, padded, read_texts
from benchmarks.epochs.table import report
from benchmarks.machine import environment
from benchmarks.rows import keep
from benchmarks.timing import in_turn
from rnnjax import LSTM, RNN, Scan, SequenceClassifier
from rnnjax.commands import parse, run
from rnnjax.training import DivergedError, use_cpu_cores

PROGRAM = "benchmarks.epoch"
WRONG = "wrong"  # the first word of the reason
COMPARED = 4  # losses, at least: the first one, and those after one, two and three steps
# The largest relative deviation of a loss; measured at full size: 4e-7 for Flax and rnnjax, 6e-6 for Keras, which adds
# Adam's epsilon at another place. Its deviation grows with every step.
LOSS_TOLERANCE = 2e-5
NOTES = (
    "ratio: seconds of rnnjax's epoch over those of this one, per round; padding: share of the steps; device waits: "
    "share of the epoch\nin which no step is running; compile s: not part of the epoch; largest deviation: of a loss "
    "from the reference, relative"
)


def make_problem(options: Epoch) -> Problem:
    """The network at its start and the two pipelines."""
    texts = read_texts(options)
    model = SequenceClassifier(texts.vocabulary, options.embedding, RNN(LSTM(), options.hidden))
    params = model.init(jax.random.key(options.seed), jnp.zeros((1, 1), jnp.int32))["params"]
    ours = bucketed(texts, options)
    return Problem(model, jax.device_get(params), options.learning_rate, ours, padded(ours, options))


def rehearse(contestant: Contestant) -> tuple[np.ndarray, dict[str, Any]]:
    """The losses of passes over one batch of every shape, the compile time and the number of shapes.

    The first pass compiles: from its time, the median of the others is subtracted.
    """
    plans = contestant.pipeline.samples()
    losses, seconds = [], []
    for _ in range(max(2, math.ceil(COMPARED / len(plans)))):
        start = time.perf_counter()
        losses += contestant.losses(plans)
        seconds.append(time.perf_counter() - start)
    facts = {
        "compile_seconds": max(0.0, seconds[0] - float(np.median(seconds[1:]))),
        "shapes": len({(plan.width, contestant.fill or len(plan.rows)) for plan in plans}),
    }
    return np.array(losses[: max(COMPARED, len(plans))]), facts


def reference_losses(problem: Problem, pipeline: Pipeline) -> np.ndarray:
    """The losses of `rehearse` under `Scan` on one device."""
    model = problem.model.clone(recurrent=problem.layer.clone(recurrence=Scan()))
    return rehearse(RnnjaxEpochs(problem._replace(model=model), pipeline, devices=1))[0]


def deviation(losses: Sequence[float] | np.ndarray, reference: np.ndarray) -> float:
    """The largest relative difference of a loss; infinite if one is not finite."""
    difference = np.abs(np.asarray(losses) - reference) / np.abs(reference)
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")


class Ready(NamedTuple):
    """A checked contestant, and the fields of its rows that are the same in every round."""

    contestant: Contestant
    facts: dict[str, Any]


def prepare(options: Epoch, problem: Problem) -> Iterator[tuple[Name, Ready | str]]:
    """Each contestant, compiled and checked, or the reason why it is not timed."""
    build: dict[Name, Callable[[], Contestant]] = {
        "rnnjax": lambda: RnnjaxEpochs(problem, problem.bucketed, options.devices),
        "keras": lambda: KerasEpochs(problem, problem.padded),
        "flax": lambda: FlaxEpochs(problem, problem.padded),
        "keras-bucketed": lambda: KerasEpochs(problem, problem.bucketed),
        "flax-bucketed": lambda: FlaxEpochs(problem, problem.bucketed),
        "rnnjax-padded": lambda: RnnjaxEpochs(problem, problem.padded, options.devices),
        "rnnjax-one-device": lambda: RnnjaxEpochs(problem, problem.bucketed, 1),
    }
    references: dict[str, np.ndarray] = {}
    for name in tqdm(options.contestants, desc="compile and check", unit="contestant", disable=None):
        try:
            contestant = build[name]()
        except ImportError as error:  # Keras is not installed, or has another backend
            yield name, str(error)
            continue
        pipeline = contestant.pipeline
        if pipeline.name not in references:
            references[pipeline.name] = reference_losses(problem, pipeline)
        losses, compiling = rehearse(contestant)
        off = deviation(losses, references[pipeline.name])
        if not off <= LOSS_TOLERANCE:
            yield name, f"{WRONG}: its losses deviate by {off:.1e}, expected at most {LOSS_TOLERANCE:.0e}"
            continue
        facts = {
            "batches": pipeline.name,
            "devices": contestant.devices,
            "steps": len(pipeline.plans()),
            "tokens": pipeline.tokens(),
            "padding": pipeline.padding(),
            **compiling,
            "deviation": off,
        }
        yield name, Ready(contestant, facts)


def measure(options: Epoch) -> Iterator[dict[str, Any]]:
    """A row with the reason for each contestant that is not timed, then one for each epoch.

    Raises DivergedError for a loss that is not finite.
    """
    settings = {name: value for name, value in vars(options).items() if name not in ("contestants", "rows")}
    common = {"benchmark": "epoch", "settings": settings, "environment": environment(["keras"])}
    ready: dict[str, Ready] = {}
    for name, entry in prepare(options, make_problem(options)):
        if isinstance(entry, Ready):
            ready[name] = entry
        else:
            yield {**common, "contestant": name, "reason": entry}
    epochs = in_turn({name: entry.contestant.epoch for name, entry in ready.items()}, options.rounds)
    for timed in tqdm(epochs, total=len(ready) * options.rounds, desc="rounds", unit="epoch", disable=None):
        loss, waited = timed.result
        if not math.isfinite(loss):
            raise DivergedError(f"{timed.name}: expected a finite loss, got {loss}; try a smaller learning rate")
        yield {
            **common,
            "contestant": timed.name,
            **ready[timed.name].facts,
            "round": timed.round,
            "seconds": timed.seconds,
            "loss": loss,
            "device_wait": None if waited is None else waited / timed.seconds,
        }


def main(arguments: list[str]) -> None:
    """Times the contestants and prints their table. Raises ValueError at the end if one of them was wrong."""
    options = parse(Epoch, PROGRAM, arguments)
    datasets.disable_progress_bars()
    use_cpu_cores(options.devices)
    measured = keep(measure(options), options.rows)
    print(report(measured))
    print(f"\n{NOTES}")
    wrong = [row["contestant"] for row in measured if row.get("reason", "").startswith(WRONG)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: expected the losses of the reference, got others, and was not timed")


if __name__ == "__main__":
    run(PROGRAM, lambda: main(sys.argv[1:]))
