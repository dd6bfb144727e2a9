"""What a trained run folder is good for: probabilities of texts, and scores on any source."""

import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro

from experiments.sentiment.data import Loader, digest, read_part, split_source
from experiments.sentiment.tracing import look_inside
from experiments.sentiment.trained import Trained, open_run
from rnnjax.analysis import class_probabilities
from rnnjax.commands import printable
from rnnjax.data import LabelledTexts, load_source
from rnnjax.files import make_folder
from rnnjax.runs import RunFolder
from rnnjax.runs.report import confusion_table, table
from rnnjax.training import batch_mesh, classification, eval_step, logits_of
from rnnjax.training import evaluate as score_batches
from rnnjax.training.objectives import confusion_of


def probabilities(trained: Trained, texts: Sequence[str]) -> np.ndarray:
    """Each text's class probabilities, `(N, C)`. A text without a known word is scored too."""
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


@dataclasses.dataclass(frozen=True)
class Predict:
    """Print a line for each text: its most probable class, every class's probability, the text; tabs between.

    Tabs and line ends within a text are printed as spaces. Texts that begin with a dash go on standard input.
    """

    run: tyro.conf.Positional[Path]
    """The run folder."""
    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """The texts; one a line on standard input, where none is given."""
    trace: bool = False
    """After each line, show the text once more, coloured by the verdict after each word (without colours: with the
    last class's probability after each word), and the words that turned it."""
    figures: Path | None = None
    """A new folder for figures of each text: the verdict after each word, and every layer's gates and states."""
    cell: str | None = None
    """The cell of a run with a cell of your own, as module:Name."""


def predict(options: Predict) -> None:
    """The command `predict`."""
    trained = open_run(options.run)
    texts = options.texts
    if not texts and sys.stdin is not None:
        try:
            # Lines end at newlines only: other separators (U+0085, say) are text.
            texts = [line.decode("utf-8").rstrip("\r\n") for line in sys.stdin.buffer]
        except UnicodeDecodeError as error:
            raise ValueError(f"standard input: expected UTF-8, got: {error}") from error
    if not texts:
        raise ValueError("texts: expected at least one, got none")
    for number, text in enumerate(texts, start=1):
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ValueError(f"text {number}: expected UTF-8, got {text!r}")
    if options.figures is not None:
        RunFolder.check_new(options.figures, "figures")
        make_folder(options.figures)
    for number, (text, row) in enumerate(zip(texts, probabilities(trained, texts), strict=True), start=1):
        # Classes that a stranger's run folder names, too, are kept to their columns.
        names = [printable(name) for name in trained.classes]
        shares = " ".join(f"{name}={share:.4f}" for name, share in zip(names, row, strict=True))
        print(names[row.argmax()], shares, printable(re.sub(r"[\t\r\n]", " ", text)), sep="\t")
        if options.trace or options.figures is not None:
            look_inside(trained, text, options.trace, options.figures, f"text_{number}")


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Print a run folder's accuracy, loss and confusion matrix on a source."""

    run: tyro.conf.Positional[Path]
    """The run folder."""
    source: str | None = None
    """As for training; the validation part of the run's own source, unless given."""
    part: Literal["train", "validation", "test"] | None = None
    """Which part of the source: test, then validation, then train, whichever there is, unless given."""
    text_column: str = "text"
    """Column of the texts, in files."""
    label_column: str = "label"
    """Column of the labels, in files."""
    devices: int | None = None
    """Devices that share a batch; all of them unless given."""
    cell: str | None = None
    """The cell of a run with a cell of your own, as module:Name."""


def evaluate(options: Evaluate) -> None:
    """The command `evaluate`."""
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
