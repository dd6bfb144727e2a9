"""A training run of a text study: trains, prints, and leaves a run folder."""

import dataclasses
import functools
import time
from collections.abc import Sequence
from pathlib import Path

import jax

from experiments.sentiment.config import TextClassification, build_model
from experiments.sentiment.data import Loader, Parts, class_weights, facts, prepare
from rnnjax.analysis import confusion_matrix, learning_curves, length_histogram
from rnnjax.data import SOURCES
from rnnjax.runs.curves import curves_of
from rnnjax.runs.folder import VOCABULARY
from rnnjax.runs.report import Progress, confusion_table, model_table, score_table, table
from rnnjax.runs.session import Session
from rnnjax.training import (
    EpochReport,
    Scores,
    batch_mesh,
    classification,
    eval_step,
    evaluate,
    first_state,
    logits_of,
)
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.debugging import TracedStep
from rnnjax.training.objectives import confusion_of
from rnnjax.training.processes import is_first, say


def train(config: TextClassification, name: str, program: str = "experiments.sentiment") -> Path:
    """Trains, prints, and leaves a run folder, whose path it returns.

    What is scored in the end are the parameters of the epoch with the best validation accuracy.
    """
    start = time.perf_counter()
    mesh = batch_mesh(config.execution.devices)
    if config.source not in SOURCES and Path(config.source).expanduser().exists():
        # A run must be traced to its source from wherever it is read.
        config = dataclasses.replace(config, source=str(Path(config.source).expanduser().resolve()))
    with Session(program, name, config) as session:
        parts = prepare(config)
        say(facts(parts, config))
        loader = Loader(config, parts.train.read, mesh.size, (jax.process_index(), jax.process_count()))
        epoch_steps = len(loader.plans(parts.train))
        steps = epoch_steps * config.epochs
        model = build_model(config, parts.tokenizer.get_vocab_size(), len(parts.classes))
        optimizer = config.transformation(steps, epoch_steps)
        first = first_state(model, optimizer, config.seed, averaged=config.averaging > 0)
        objective = classification(logits_of(model), len(parts.classes), class_weights(config, parts))
        step, evaluation = session.train_step(objective, optimizer, mesh), eval_step(objective, mesh)

        facts_of_data = {"classes": parts.classes, "held_out": parts.held_out, "fingerprint": parts.fingerprint}
        session.begin(objective, facts_of_data, {VOCABULARY: parts.tokenizer.to_str(pretty=True)})
        preparing = time.perf_counter() - start
        say(f"\n{model_table(first.params)}\n")
        say(f"{mesh.size} devices, batch widths {', '.join(map(str, loader.widths))}; run folder {session.path}\n")

        reports: list[EpochReport] = []

        def tell(report: EpochReport, progress: Progress) -> None:
            progress.epoch(report)
            reports.append(report)

        params = session.train(
            first,
            steps,
            tell,
            step=step,
            evaluation=evaluation,
            train_batches=lambda epoch, batch: loader.batches(parts.train, config.seed, epoch, batch),
            validation_batches=lambda: loader.batches(parts.validation),
        )
        scores = {
            part: evaluate(evaluation.replicate(params), evaluation, loader.batches(data))
            for part, data in (("validation", parts.validation), ("test", parts.test))
            if data is not None
        }
        if is_first():
            finish(session, parts, loader, scores)
            print(wall_times(time.perf_counter() - start, preparing, (step, evaluation), session, reports, scores))
            print(f"run folder {session.path}")
    return session.path


def finish(session: Session, parts: Parts, loader: Loader, scores: dict[str, Scores]) -> None:
    """What is said, logged and drawn of the best epoch."""
    best = session.best_epoch
    for part, score in scores.items():
        session.log.final(part=part, epoch=best, **score.metrics)
    draw(session, parts, loader, scores)
    print(final_tables(scores, best, parts.classes))


def final_tables(scores: dict[str, Scores], best: int, classes: Sequence[str]) -> str:
    """Accuracy, loss and confusion matrix of every part that was scored."""
    blocks = [f"\nbest epoch {best}, chosen by validation accuracy", score_table(scores)]
    for part, score in scores.items():
        blocks.append(f"\n{part}\n{confusion_table(confusion_of(score), classes)}")
    return "\n".join(blocks)


def wall_times(
    total: float,
    preparing: float,
    steps: tuple[CompiledStep | TracedStep, CompiledStep],
    session: Session,
    epochs: Sequence[EpochReport],
    scores: dict[str, Scores],
) -> str:
    """Where the time of this process went, in seconds."""
    compiling = sum(step.compile_seconds for step in steps)
    shapes = " + ".join(str(step.compilations) for step in steps)
    training = sum(report.train.seconds for report in epochs) - session.seconds_before
    evaluating = sum(score.seconds for score in (*(report.validation for report in epochs), *scores.values()))
    rows = [
        ("data and model", f"{preparing:.1f}"),
        (f"compile ({shapes} shapes)", f"{compiling:.1f}"),
        ("train", f"{training:.1f}"),
        ("evaluate", f"{evaluating:.1f}"),
        ("other", f"{total - preparing - compiling - training - evaluating:.1f}"),
        ("total", f"{total:.1f}"),
    ]
    return "\n" + table(("wall time", "seconds"), rows)


def draw(session: Session, parts: Parts, loader: Loader, scores: dict[str, Scores]) -> None:
    """The run's figures, as PNG files: all of its steps and epochs, those before a resumption included."""
    longest, lengths = session.config.longest, parts.train.whole.lengths
    figures = {"lengths": functools.partial(length_histogram, lengths, longest, loader.widths)}
    if curves := curves_of(session.metrics(), ("loss", "accuracy")):
        figures["learning_curves"] = functools.partial(learning_curves, curves)
    for part, score in scores.items():
        figures[f"confusion_{part}"] = functools.partial(confusion_matrix, confusion_of(score), parts.classes)
    for name, figure in figures.items():
        session.log.figure(session.step, name, figure)
