"""The trainers of the shipped studies, which train all seeds of a variant side by side."""

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Sequence
from typing import Any

import jax

from experiments.memory.config import Memory
from experiments.memory.results import after, first_results
from experiments.memory.train import initial_state, train
from experiments.sentiment.config import TextClassification, build_model
from experiments.sentiment.data import Parts, prepare
from experiments.sentiment.seeds import seconds_of, seed_training
from rnnjax.ablations import Outcome, Progress, SeedTrainer, Trainer, described
from rnnjax.data import TextFormat
from rnnjax.training.seeds import SeedTraining

# Fields that only determine the task and the network; those are compared themselves.
MEMORY_FIELDS = (
    *("task", "time", "cell", "hidden", "layers", "recurrence"),
    *("recurrent_init", "recurrent_scale", "forget_bias", "chrono"),
)
TEXT_FIELDS = (
    *("embedding", "cell", "hidden", "layers", "bidirectional", "pooling", "dense", "recurrence", "dtype"),
    *("word_dropout", "input_dropout", "dropout", "state_dropout", "weight_dropout", "zoneout"),
)
# Fields of a config that say how the files of texts are read.
FORMAT = tuple(field.name for field in dataclasses.fields(TextFormat))
# Fields of the config of a text classifier that determine its data.
DATA = (
    *("source", "text_column", "label_column", "hold_out", "rows", "vocabulary", "longest", "cut", "word_order"),
    *("min_class_rows", "tokens", "lowercase", "seed", "data_seed", "ngrams", "ngram_texts"),
    *FORMAT,
)


class MemoryTrainer(Trainer):
    """Trains memory tasks. Two configs are equal if their tasks, networks and other options are equal."""

    note = (
        "Scores of memory tasks are those of the last evaluation, or of the first evaluation at which the task was "
        "solved; training stops there. Updates to solve are the median of the seeds that solved the task"
    )
    solves = True

    def fingerprint(self, config: Memory) -> Any:
        """Raises ValueError for an invalid network."""
        return rest_of(config, MEMORY_FIELDS), config.problem(), config.network()

    def estimate(self, config: Memory, seeds: Sequence[int]) -> float:
        """The estimate from the second block of updates: the first one includes compilation."""
        start, taken = time.perf_counter(), 0.0
        for _ in itertools.islice(train(config, seeds), 2):
            taken, start = time.perf_counter() - start, time.perf_counter()
        return taken / config.block * config.updates

    def run(self, config: Memory, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
        """With `stop`, a seed ends at the first evaluation at which it has solved the task or diverged."""
        task = config.problem()
        shapes = jax.eval_shape(lambda: initial_state(config, 0)).params
        results = settled = first_results(seeds)
        curves: list[list[tuple[int, float]]] = [[] for _ in seeds]
        start, first, blocks = time.perf_counter(), 0.0, 0
        for block in train(config, seeds):
            blocks += 1
            first = first or time.perf_counter() - start  # with compilation
            results = after(block, task, results)
            for row, (last, new) in enumerate(zip(settled, results, strict=True)):
                if not (config.stop and last.settled) and new.diverged is None:
                    curves[row].append((new.updates, new.score))
            settled = [
                last if config.stop and last.settled else new for last, new in zip(settled, results, strict=True)
            ]
            progress(block.updates / config.updates)
            if config.stop and all(result.settled for result in settled):
                break
        later, read = time.perf_counter() - start - first, (blocks - 1) * config.block * config.batch_size * task.steps
        progress(1.0)
        return [
            Outcome(
                seed=result.seed,
                score=None if result.diverged is not None else result.score,
                loss=None if result.diverged is not None else result.loss,
                steps=result.updates,
                solved=result.solved,
                diverged=result.diverged,
                curve_steps=[step for step, _ in curve],
                curve_scores=[score for _, score in curve],
                parameters=sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)),
                # Assumes that the first block took as long as the others, without compilation.
                seconds=later * blocks / (blocks - 1) if read else None,
                tokens_per_second=read * len(seeds) / later if read else None,
            )
            for result, curve in zip(settled, curves, strict=True)
        ]


class ClassifierTrainer(SeedTrainer):
    """Trains text classifiers."""

    note = "Scores of text classifiers are those of the epoch that was best on the hold-out, and slightly optimistic"

    def fingerprint(self, config: TextClassification) -> Any:
        """The network is that for two classes and a full vocabulary, whose real numbers only the data determine.

        Raises ValueError for an invalid network.
        """
        rest = rest_of(config, TEXT_FIELDS)
        if config.layers == 0 and not config.ngrams:
            rest["word_order"] = "true"  # a bag of words ignores the order
        if config.patience is not None and config.patience >= config.epochs:
            rest["patience"] = None
        return rest, build_model(config, config.vocabulary, 2)

    def estimate(self, config: TextClassification, seeds: Sequence[int]) -> float:
        """The estimate from measured steps."""
        return seconds_of(config, _data(config), seeds)

    def training(self, config: TextClassification, seeds: Sequence[int]) -> SeedTraining:
        return seed_training(config, _data(config), seeds)


def rest_of(config: Any, fields: Sequence[str]) -> dict[str, Any]:
    """The fields of a config other than these."""
    return {name: value for name, value in described(config).items() if name not in fields}


def _data(config: TextClassification) -> Parts:
    """The data of a config; the data of the last config are cached."""
    return _prepared(TextClassification(**{name: getattr(config, name) for name in DATA}))


_prepared = functools.lru_cache(maxsize=1)(prepare)
