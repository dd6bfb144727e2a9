"""A training run of a text study: trains, prints, and leaves a run folder."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.report import Progress, confusion_table, model_table, table
from experiments.run_files import new_path, record
from experiments.text_classifier.config import TextClassification, build_model, init_params, logits_of
from experiments.text_classifier.parts import Loader, Parts, facts, prepare
from rnnjax.analysis import confusion_matrix, learning_curves, length_histogram
from rnnjax.data import SOURCES
from rnnjax.training import (
    EpochReport,
    RunFolder,
    Scores,
    StepReport,
    TrainState,
    adam,
    batch_mesh,
    classification,
    eval_step,
    evaluate,
    fit,
    save_params,
    train_step,
)
from rnnjax.training.run_folder import CHECKPOINT, FIGURES, VOCABULARY
from rnnjax.training.step import CompiledStep


def train(config: TextClassification, name: str) -> Path:
    """Trains, prints, and leaves a run folder, whose path it returns.

    The checkpoint holds the parameters of the epoch with the best validation accuracy, and is written as
    soon as that epoch ends.
    """
    start = time.perf_counter()
    path = config.run_folder or new_path(name)
    RunFolder.check_new(path)  # before there is any work to lose
    mesh = batch_mesh(config.devices)
    parts = prepare(config)
    print(facts(parts, config))
    loader = Loader(config, parts.train.read, mesh.size)
    steps = len(loader.plans(parts.train)) * config.epochs
    model = build_model(config, parts.tokenizer.get_vocab_size(), len(parts.classes))
    init_key, state_key = jax.random.split(jax.random.key(config.seed))
    params = init_params(model, init_key)
    optimizer = adam(
        config.learning_rate, steps=steps, schedule=config.schedule, warmup=config.warmup, clip=config.clip
    )
    objective = classification(logits_of(model), len(parts.classes))
    step, evaluation = train_step(objective, optimizer, mesh), eval_step(objective, mesh)

    # A run must be traced to its source from wherever it is read.
    source = str(Path(config.source).expanduser().resolve()) if config.source not in SOURCES else config.source
    facts_of_run = {"experiment": name, "classes": parts.classes, "held_out": parts.held_out}
    folder = RunFolder.create(path, {**facts_of_run, **dataclasses.asdict(config), "source": source})
    parts.tokenizer.save(str(path / VOCABULARY))
    preparing = time.perf_counter() - start
    print(f"\n{model_table(params)}\n")
    print(f"{mesh.size} devices, batch widths {', '.join(map(str, loader.widths))}; run folder {path}\n")

    watched: list[StepReport] = []
    epochs: list[EpochReport] = []
    with folder.metrics() as log, Progress(steps) as progress:

        def watch(report: StepReport) -> None:
            watched.append(report)
            record(log, "step", report._asdict())
            progress.step(report)

        for state, report in fit(
            TrainState.create(params, optimizer, state_key),
            step,
            evaluation,
            lambda epoch: loader.batches(parts.train, config.seed, epoch),
            lambda: loader.batches(parts.validation),
            config.epochs,
            watch,
        ):
            if report.best:
                params = jax.device_get(state.params)
                save_params(path / CHECKPOINT, params)
            epochs.append(report)
            record(log, "epoch", epoch_record(report, int(state.step)))
            progress.say(epoch_line(report))

        best = max(epochs, key=lambda report: report.validation.accuracy)
        scores = {"validation": best.validation}
        if parts.test is not None:
            scores["test"] = evaluate(evaluation.replicate(params), evaluation, loader.batches(parts.test))
        for part, score in scores.items():
            record(log, "final", {"part": part, "epoch": best.epoch, "loss": score.loss, "accuracy": score.accuracy})

    draw(path / FIGURES, parts, config, loader, watched, epochs, scores)
    print(final_tables(scores, best, parts.classes))
    print(wall_times(time.perf_counter() - start, preparing, (step, evaluation), epochs, scores))
    print(f"run folder {path}")
    return path


def epoch_record(report: EpochReport, step: int) -> dict[str, Any]:
    """An epoch's line of metrics.jsonl."""
    return {
        "epoch": report.epoch,
        "step": step,
        "train_loss": report.train.loss,
        "train_accuracy": report.train.accuracy,
        "validation_loss": report.validation.loss,
        "validation_accuracy": report.validation.accuracy,
        "tokens_per_second": report.train.tokens_per_second,
        "seconds": report.train.seconds,
    }


def epoch_line(report: EpochReport) -> str:
    """An epoch's line of the epoch table, under its headers where it is the first."""
    headers = ("epoch", "train loss", "accuracy", "valid loss", "accuracy", "tokens/s", "seconds")
    row = (
        f"{report.epoch}{'*' if report.best else ''}",
        f"{report.train.loss:.4f}",
        f"{report.train.accuracy:.4f}",
        f"{report.validation.loss:.4f}",
        f"{report.validation.accuracy:.4f}",
        f"{report.train.tokens_per_second:,.0f}",
        f"{report.train.seconds:.1f}",
    )
    lines = table(headers, [tuple(cell.rjust(len(header)) for cell, header in zip(row, headers, strict=True))])
    return lines if report.epoch == 1 else lines.splitlines()[-1]


def final_tables(scores: dict[str, Scores], best: EpochReport, classes: Sequence[str]) -> str:
    """Accuracy, loss and confusion matrix of every part that was scored."""
    rows = [(part, f"{score.accuracy:.4f}", f"{score.loss:.4f}") for part, score in scores.items()]
    blocks = [f"\nbest epoch {best.epoch}, chosen by validation accuracy", table(("part", "accuracy", "loss"), rows)]
    for part, score in scores.items():
        blocks.append(f"\n{part}\n{confusion_table(score.confusion, classes)}")
    return "\n".join(blocks)


def wall_times(
    total: float,
    preparing: float,
    steps: tuple[CompiledStep, CompiledStep],
    epochs: Sequence[EpochReport],
    scores: dict[str, Scores],
) -> str:
    """Where the time went, in seconds."""
    compiling = sum(step.compile_seconds for step in steps)
    shapes = " + ".join(str(step.compilations) for step in steps)
    training = sum(report.train.seconds for report in epochs)
    evaluating = sum(report.validation.seconds for report in epochs)
    evaluating += scores["test"].seconds if "test" in scores else 0.0
    rows = [
        ("data and model", f"{preparing:.1f}"),
        (f"compile ({shapes} shapes)", f"{compiling:.1f}"),
        ("train", f"{training:.1f}"),
        ("evaluate", f"{evaluating:.1f}"),
        ("other", f"{total - preparing - compiling - training - evaluating:.1f}"),
        ("total", f"{total:.1f}"),
    ]
    return "\n" + table(("wall time", "seconds"), rows)


def draw(
    path: Path,
    parts: Parts,
    config: TextClassification,
    loader: Loader,
    steps: Sequence[StepReport],
    epochs: Sequence[EpochReport],
    scores: dict[str, Scores],
) -> None:
    """The run's figures, as PNG files."""
    ends = np.cumsum([len(steps) // len(epochs)] * len(epochs))
    curves = learning_curves(
        [report.loss for report in steps],
        [report.accuracy for report in steps],
        [int(end) for end in ends],
        [report.validation.loss for report in epochs],
        [report.validation.accuracy for report in epochs],
    )
    curves.savefig(path / "learning_curves.png", dpi=150)
    for part, score in scores.items():
        confusion_matrix(score.confusion, parts.classes).savefig(path / f"confusion_{part}.png", dpi=150)
    histogram = length_histogram(parts.train.whole.lengths, config.longest, loader.widths)
    histogram.savefig(path / "lengths.png", dpi=150)
