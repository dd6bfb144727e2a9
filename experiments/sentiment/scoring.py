"""Prediction and evaluation with a trained run."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import datasets
import jax
import numpy as np
import tyro

from experiments.sentiment.data import Loader, digest, read_part, split_source
from experiments.sentiment.tracing import look_inside
from experiments.sentiment.trained import Trained, open_run
from rnnjax.analysis import class_probabilities
from rnnjax.commands import TrainedRun, printable
from rnnjax.commands.texts import given_texts
from rnnjax.data import LabelledTexts, load_source
from rnnjax.files import make_folder
from rnnjax.models import logits_of
from rnnjax.runs import RunFolder
from rnnjax.runs.report import confusion_table, table
from rnnjax.training import batch_mesh, classification, eval_step, use_cpu_cores
from rnnjax.training import evaluate as score_batches
from rnnjax.training.objectives import confusion_of


def probabilities(trained: Trained, texts: Sequence[str]) -> np.ndarray:
    """The class probabilities `(N, C)` of the texts. A text without known words is scored too."""
    part = read_part(trained.tokenizer, LabelledTexts(list(texts), [0] * len(texts)), trained.config)
    loader = Loader(trained.config, part.read, devices=1)

    @jax.jit
    def score(params: Any, tokens: jax.Array, lengths: jax.Array) -> jax.Array:
        return class_probabilities(logits_of(trained.model)(params, tokens, lengths))

    result = np.zeros((len(texts), len(trained.classes)), np.float32)
    for plan in loader.plans(part):
        batch = loader.batch(part, plan)
        result[plan.rows] = score(trained.params, batch.inputs, batch.lengths)[: len(plan.rows)]
    return result


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predict(TrainedRun):
    """Print a line for each text, separated by tabs: the predicted class, all class probabilities, the text.

    Tabs and line ends in a text are printed as spaces. Use standard input for texts that begin with a dash.
    """

    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """The texts; default: the lines of standard input."""
    trace: bool = False
    """Also print each text coloured by the prediction after each word (without colours: with the probability of the
    last class), and the words that changed the prediction."""
    figures: Path | None = None
    """A new folder for figures of each text: the prediction after each word, and the gates and states of all layers."""


def predict(options: Predict) -> None:
    """The command `predict`."""
    trained = open_run(options.run)
    texts = given_texts(options.texts)
    if options.figures is not None:
        RunFolder.check_new(options.figures, "figures")
        make_folder(options.figures)
    for number, (text, row) in enumerate(zip(texts, probabilities(trained, texts), strict=True), start=1):
        # Class names of an untrusted run folder must not break the columns.
        names = [printable(name) for name in trained.classes]
        shares = " ".join(f"{name}={share:.4f}" for name, share in zip(names, row, strict=True))
        print(names[row.argmax()], shares, printable(re.sub(r"[\t\r\n]", " ", text)), sep="\t")
        if options.trace or options.figures is not None:
            look_inside(trained, text, options.trace, options.figures, f"text_{number}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(TrainedRun):
    """Evaluate a run: accuracy, loss and confusion matrix."""

    source: str | None = None
    """Another source, as for training; default: the validation part of the source of the run."""
    part: Literal["train", "validation", "test"] | None = None
    """Part of the source; default: the first that exists of test, validation, train."""
    text_column: str = "text"
    """Name of the column with the texts."""
    label_column: str = "label"
    """Name of the column with the labels."""
    devices: int | None = None
    """Number of devices that share a batch; default: all."""


def evaluate(options: Evaluate) -> None:
    """The command `evaluate`."""
    use_cpu_cores(options.devices)
    datasets.disable_progress_bars()
    trained = open_run(options.run)
    if options.source is None:
        source = split_source(trained.config)
        if digest(source.validation) != trained.held_out:
            raise ValueError(
                f"{trained.config.source}: expected the texts that the run held out, got others: it has changed"
            )
        order = ("validation",)
    else:
        source = load_source(options.source, options.text_column, options.label_column, trained.classes)
        order = ("test", "validation", "train")
    parts = {part: getattr(source, part) for part in ("test", "validation", "train")}
    name = options.part or next(part for part in order if parts[part] is not None)
    texts = parts[name]
    if texts is None:
        have = [part for part in parts if parts[part] is not None]
        raise ValueError(f"part: expected one of {have}, which the source has, got {name!r}")
    mesh = batch_mesh(options.devices)
    part = read_part(trained.tokenizer, texts, trained.config)
    loader = Loader(trained.config, part.read, mesh.size)
    step = eval_step(classification(logits_of(trained.model), len(trained.classes)), mesh)
    scores = score_batches(step.replicate(trained.params), step, loader.batches(part))
    print(printable(f"{options.source or trained.config.source}, part {name}, {len(part.labels):,} rows"))
    print(table(("accuracy", "loss"), [(f"{scores['accuracy']:.4f}", f"{scores.loss:.4f}")]))
    print(confusion_table(confusion_of(scores), trained.classes))
