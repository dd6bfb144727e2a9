"""The training of a text classifier."""

import dataclasses
import functools
import time
from collections.abc import Sequence
from pathlib import Path

import datasets
import jax

from experiments.sentiment.baseline import WORDS, check_baseline, linear_accuracies
from experiments.sentiment.config import TextClassification, build_model
from experiments.sentiment.data import Loader, Parts, class_weights, facts, prepare
from experiments.sentiment.evidence import EVIDENCE
from experiments.sentiment.halves import LINE, by_half, in_halves, line_of, two_fold
from rnnjax.analysis import confusion_matrix, length_histogram
from rnnjax.class_scores import macro_f1
from rnnjax.data.sources import resolved
from rnnjax.models import logits_of
from rnnjax.runs.folder import VOCABULARY
from rnnjax.runs.report import Progress, confusion_table, model_table, table
from rnnjax.runs.session import Session
from rnnjax.training import (
    EpochReport,
    Scores,
    batch_mesh,
    classification,
    eval_step,
    evaluate,
    first_state,
)
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.debugging import TracedStep
from rnnjax.training.objectives import confusion_of
from rnnjax.training.processes import is_first, say


def train(config: TextClassification, name: str, program: str = "experiments.sentiment") -> Path:
    """Trains a text classifier, and returns the path of its run folder.

    The final scores are those of the epoch with the best validation accuracy; `two_fold_accuracy` is that of the epochs
    that one half of the validation part chose, on the other half.
    """
    start = time.perf_counter()
    datasets.disable_progress_bars()
    mesh = batch_mesh(config.execution.devices)
    config = dataclasses.replace(config, source=resolved(config.source))
    check_baseline(config)
    with Session(program, name, config) as session:
        parts = prepare(config, session.folder if session.resuming else None)
        say(facts(parts, config))
        share = jax.process_index(), jax.process_count()
        loader = Loader(config, parts.train.read, mesh.size, share, parts.linear)
        epoch_steps = len(loader.plans(parts.train))
        steps = epoch_steps * config.epochs
        model = build_model(config, parts.tokenizer.get_vocab_size(), len(parts.classes))
        optimizer = config.transformation(steps, epoch_steps)
        first = first_state(model, optimizer, config.seed, averaged=config.averaging > 0)
        objective = classification(logits_of(model), len(parts.classes), class_weights(config, parts))
        step, evaluation = session.train_step(objective, optimizer, mesh), eval_step(by_half(objective), mesh)
        held_out = {
            name: in_halves(part, config.seed_of_data)
            for name, part in (("validation", parts.validation), ("test", parts.test))
            if part is not None
        }

        facts_of_data = {"classes": parts.classes, "held_out": parts.held_out, "fingerprint": parts.fingerprint}
        artifacts = {VOCABULARY: parts.tokenizer.to_str(pretty=True)}
        if parts.linear is not None:
            artifacts[EVIDENCE] = parts.linear.to_json()
        session.begin(objective, facts_of_data, artifacts)
        preparing = time.perf_counter() - start
        say(f"\n{model_table(first.params)}\n")
        say(f"{mesh.size} devices, batch widths {', '.join(map(str, loader.widths))}; run folder {session.path}\n")

        reports: list[EpochReport] = []

        def watch(report: EpochReport, progress: Progress) -> None:
            progress.epoch(report)
            reports.append(report)
            session.log.line(LINE, line_of(report))

        params = session.train(
            first,
            steps,
            watch,
            step=step,
            evaluation=evaluation,
            train_batches=lambda epoch, batch: loader.batches(parts.train, config.seed, epoch, batch),
            validation_batches=lambda: loader.batches(held_out["validation"]),
        )
        scores = {
            name: with_f1(evaluate(evaluation.replicate(params), evaluation, loader.batches(part)))
            for name, part in held_out.items()
        }
        if is_first():
            halves = two_fold(session.lines(LINE), held_out["validation"].labels[:, 1])
            further = linear_accuracies(config, parts)
            linear = [(part, WORDS[name], f"{value:.4f}") for part in further for name, value in further[part].items()]
            if halves is not None:
                further["validation"]["two_fold_accuracy"] = halves.accuracy
            session.finish(objective, scores, ("loss", "accuracy"), further)
            if linear:
                print(f"\n{table(('part', 'linear classifier', 'accuracy'), linear)}")
            if halves is not None:
                print(
                    "accuracy on one half of the validation part, of the epoch that the other half chose: "
                    f"{halves.accuracy:.4f} (epochs {' and '.join(map(str, halves.epochs))})"
                )
            for part, score in scores.items():
                print(f"\n{part}\n{confusion_table(confusion_of(score), parts.classes)}", flush=True)
            draw(session, parts, loader, scores)
            print(wall_times(time.perf_counter() - start, preparing, (step, evaluation), session, reports, scores))
            print(f"run folder {session.path}")
    return session.path


def with_f1(scores: Scores) -> Scores:
    """The scores with the macro F1 over all classes of the run."""
    return dataclasses.replace(scores, metrics=scores.metrics | {"macro_f1": macro_f1(confusion_of(scores))})


def wall_times(
    total: float,
    preparing: float,
    steps: tuple[CompiledStep | TracedStep, CompiledStep],
    session: Session,
    epochs: Sequence[EpochReport],
    scores: dict[str, Scores],
) -> str:
    """A table of the seconds that each part of the run took."""
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
    """Draws the lengths of the texts, and the confusion matrices."""
    longest, lengths = session.config.longest, parts.train.whole.lengths
    figures = {"lengths": functools.partial(length_histogram, lengths, longest, loader.widths)}
    for part, score in scores.items():
        figures[f"confusion_{part}"] = functools.partial(confusion_matrix, confusion_of(score), parts.classes)
    for name, figure in figures.items():
        session.log.figure(session.step, name, figure)
