"""How long does one epoch of training take, data pipeline included? `python -m benchmarks.epoch`.

The `lstm` preset of the sentiment study on real reviews: this library as users run it, against Keras' `fit` and a
Flax loop, padded to 500 words as their examples do, and against both with this library's own bucketed batches, so
that each gain is seen apart. All start from the same weights, and the loss of every step on one batch of every
shape is compared before an epoch is timed, which also compiles every shape outside the timed epochs. A timed epoch
goes from tokenised texts in memory to the updated parameters: dealing, padding and laying out batches is in it.
"""

import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import datasets
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from benchmarks.epochs.check import LOSS_TOLERANCE, deviation, reference_losses, rehearse
from benchmarks.epochs.contestant import Contestant, Problem
from benchmarks.epochs.flax import FlaxEpochs
from benchmarks.epochs.keras import KerasEpochs
from benchmarks.epochs.ours import RnnjaxEpochs
from benchmarks.epochs.pipeline import bucketed, padded, read_texts
from benchmarks.epochs.table import report
from benchmarks.machine import environment
from benchmarks.rows import keep
from benchmarks.timing import in_turn
from rnnjax import LSTM, RNN, SequenceClassifier
from rnnjax.commands import parse, run
from rnnjax.fields import check_fields
from rnnjax.training import DivergedError, use_cpu_cores

PROGRAM = "benchmarks.epoch"
WRONG = "wrong"  # how the reason of a contestant with wrong numbers begins
NOTES = (
    "ratio: seconds of rnnjax's epoch over this one's, round by round; padding: share of the steps read; device waits: "
    "share of the epoch\nwithout a step under way; compile s: outside the epoch; largest deviation: of a loss from the "
    "reference's, relative"
)
Name = Literal["rnnjax", "keras", "flax", "keras-bucketed", "flax-bucketed", "rnnjax-padded", "rnnjax-one-device"]


@dataclasses.dataclass(frozen=True)
class Epoch:
    """Time epochs of training against Keras and Flax, from tokenised texts to updated parameters."""

    contestants: tuple[Name, ...] = get_args(Name)
    """Who takes part. Plain `keras` and `flax` pad every text to the longest at its start, as their examples do;
    `rnnjax` has bucketed batches and all devices; the others differ from these in what their names say."""
    rounds: int = 3
    """Rounds; in each one every contestant trains for one epoch."""
    share: float = 1.0
    """Share of the epoch's batches that is trained on, drawn evenly from narrow to wide; the same rows for all."""
    rows: Path | None = None
    """A JSON Lines file that each epoch's row is appended to."""
    source: str = "reviews"
    """ "reviews" (installed package), "imdb" (hub), a CSV, TSV, JSON, JSON Lines or Parquet file, a .txt file of
    lines text<TAB>label, or a folder of train.*, validation.*, test.*."""
    text_column: str = "text"
    """Column of the texts, in files."""
    label_column: str = "label"
    """Column of the labels, in files: integers from 0 or names."""
    hold_out: float = 0.1
    """Share left out of training, where the source has no validation part."""
    vocabulary: int = 10_000
    """Words known, padding and the unknown word included."""
    longest: int = 500
    """Words read of each text, its last ones."""
    embedding: int = 32
    """Features of a word."""
    hidden: int = 100
    """Hidden features of the LSTM."""
    batch_size: int = 64
    """Texts a step."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    buckets: int = 5
    """Batch widths of the bucketed batches."""
    seed: int = 0
    """Seeds the hold-out, the parameters and the order of batches."""
    devices: int | None = None
    """Devices that share a batch of `rnnjax`; all of them (CPU cores included) unless given."""

    def __post_init__(self):
        check_fields(
            self,
            at_least_one=("rounds", "longest", "embedding", "hidden", "batch_size", "buckets", "devices"),
            above_zero=("learning_rate",),
        )
        if not 0 < self.share <= 1:
            raise ValueError(f"share: expected a number above 0, up to 1, got {self.share}")
        if not 0 < self.hold_out < 1:
            raise ValueError(f"hold_out: expected a share between 0 and 1, got {self.hold_out}")
        if not self.contestants or len(set(self.contestants)) < len(self.contestants):
            raise ValueError(f"contestants: expected different ones, got {' '.join(self.contestants) or 'none'}")


def make_problem(options: Epoch) -> Problem:
    """The network at its start and the two pipelines."""
    texts = read_texts(
        options.source,
        options.text_column,
        options.label_column,
        held_out=options.hold_out,
        vocabulary=options.vocabulary,
        longest=options.longest,
        seed=options.seed,
    )
    model = SequenceClassifier(texts.vocabulary, options.embedding, RNN(LSTM(), options.hidden))
    params = model.init(jax.random.key(options.seed), jnp.zeros((1, 1), jnp.int32))["params"]
    ours = bucketed(
        texts, batch_size=options.batch_size, buckets=options.buckets, share=options.share, seed=options.seed
    )
    theirs = padded(ours, longest=options.longest, seed=options.seed)
    return Problem(model, jax.device_get(params), options.learning_rate, ours, theirs)


def builders(problem: Problem, devices: int | None) -> dict[Name, Callable[[], Contestant]]:
    """How each contestant is made."""
    return {
        "rnnjax": lambda: RnnjaxEpochs(problem, problem.bucketed, devices),
        "keras": lambda: KerasEpochs(problem, problem.padded),
        "flax": lambda: FlaxEpochs(problem, problem.padded),
        "keras-bucketed": lambda: KerasEpochs(problem, problem.bucketed),
        "flax-bucketed": lambda: FlaxEpochs(problem, problem.bucketed),
        "rnnjax-padded": lambda: RnnjaxEpochs(problem, problem.padded, devices),
        "rnnjax-one-device": lambda: RnnjaxEpochs(problem, problem.bucketed, 1),
    }


class Ready(NamedTuple):
    """A contestant that may be timed, and what its rows say beside the times."""

    contestant: Contestant
    facts: dict[str, Any]


def prepare(options: Epoch, problem: Problem) -> Iterator[tuple[Name, Ready | str]]:
    """Each contestant, compiled and checked against the reference, or the reason why it is not timed."""
    build = builders(problem, options.devices)
    references: dict[str, np.ndarray] = {}
    for name in tqdm(options.contestants, desc="compile and check", unit="contestant", disable=None):
        try:
            contestant = build[name]()
        except ModuleNotFoundError as error:
            yield name, str(error)
            continue
        pipeline = contestant.pipeline
        if pipeline.name not in references:
            references[pipeline.name] = reference_losses(problem, pipeline)
        rehearsal = rehearse(contestant)
        off = deviation(rehearsal.losses, references[pipeline.name])
        if not off <= LOSS_TOLERANCE:
            yield name, f"{WRONG}: its losses deviate by {off:.1e}, expected at most {LOSS_TOLERANCE:.0e}"
            continue
        facts = {
            "batches": pipeline.name,
            "devices": contestant.devices,
            "steps": len(pipeline.plans()),
            "tokens": pipeline.tokens(),
            "padding": pipeline.padding(),
            "compile_seconds": rehearsal.compile_seconds,
            "shapes": rehearsal.shapes,
            "deviation": off,
        }
        yield name, Ready(contestant, facts)


def measure(options: Epoch) -> Iterator[dict[str, Any]]:
    """A row for each contestant that cannot be timed, with the reason, then one for each epoch, as it ends.

    Raises DivergedError for a loss that is not finite.
    """
    settings = {
        name: value for name, value in dataclasses.asdict(options).items() if name not in ("contestants", "rows")
    }
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
    """Times and prints what the arguments say. Raises ValueError at the end where a contestant was wrong."""
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
    run(PROGRAM, functools.partial(main, sys.argv[1:]))
