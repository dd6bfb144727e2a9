"""How the seeds of one variant are trained, side by side, and what they came to."""

import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from experiments.ablations.study import Config
from experiments.memory.config import Memory
from experiments.memory.results import after, first_results
from experiments.memory.train import initial_state, train
from experiments.sentiment.config import TextClassification
from experiments.sentiment.data import Parts, prepare
from experiments.sentiment.seeds import SeedTraining
from rnnjax.training import Position

Progress = Callable[[float], None]  # the share of the training that is done
# What of a text classifier's config its data follow from.
DATA = (
    *("source", "text_column", "label_column", "hold_out", "rows", "vocabulary", "longest", "cut", "word_order"),
    *("seed", "data_seed"),
)


class Outcome(NamedTuple):
    """What a seed of a variant came to.

    `score` and `loss` are of the best epoch of a text classifier, of the last evaluation of a memory task, and None
    where the seed diverged: `diverged` is the step whose loss was not finite. `solved` is the step from which on a
    memory task was solved. The curve is the score at each evaluation. `seconds` (compiling left out) and
    `tokens_per_second` are of all seeds that were trained together, and None where they ended in the first block of
    updates, which is compiled.
    """

    seed: int
    score: float | None
    loss: float | None
    steps: int
    solved: int | None
    diverged: int | None
    curve_steps: list[int]
    curve_scores: list[float]
    parameters: int
    seconds: float | None
    tokens_per_second: float | None


def trained(config: Config, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    """Every seed's outcome; `progress` hears of progress. Each is as if it had been alone, to float tolerance."""
    return _remembered(config, seeds, progress) if isinstance(config, Memory) else _classified(config, seeds, progress)


def estimate(config: Config, seeds: Sequence[int]) -> float:
    """Seconds that the training of these seeds takes at most, from measured steps; compiling is left out."""
    if isinstance(config, Memory):
        # The first block is compiled, as the program that will train: it need not be compiled again.
        start, taken = time.perf_counter(), 0.0
        for _ in itertools.islice(train(config, seeds), 2):
            taken, start = time.perf_counter() - start, time.perf_counter()
        return taken / config.block * config.updates
    return SeedTraining(config, _data(config), seeds).estimate()


def _data(config: TextClassification) -> Parts:
    """The config's data, those of the config before where they are the same."""
    return _prepared(TextClassification(**{name: getattr(config, name) for name in DATA}))


_prepared = functools.lru_cache(maxsize=1)(prepare)


def _remembered(config: Memory, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    """With `stop`, a seed's result is that of its first evaluation at which it has solved the task or diverged."""
    task = config.problem()
    shapes = jax.eval_shape(lambda: initial_state(config, 0)).params
    results = settled = first_results(seeds)
    curves: list[list[tuple[int, float]]] = [[] for _ in seeds]
    start, first, blocks = time.perf_counter(), 0.0, 0
    for block in train(config, seeds):
        blocks += 1
        first = first or time.perf_counter() - start  # and what its compiling took
        results = after(block, task, results)
        for row, (last, new) in enumerate(zip(settled, results, strict=True)):
            if not (config.stop and last.settled) and new.diverged is None:
                curves[row].append((new.updates, new.score))
        settled = [last if config.stop and last.settled else new for last, new in zip(settled, results, strict=True)]
        progress(block.updates / config.updates)
        if config.stop and all(result.settled for result in settled):
            break
    later, read = time.perf_counter() - start - first, (blocks - 1) * config.block * config.batch * task.steps
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
            # The first block took as long as the others, but for its compiling.
            seconds=later * blocks / (blocks - 1) if read else None,
            tokens_per_second=read * len(seeds) / later if read else None,
        )
        for result, curve in zip(settled, curves, strict=True)
    ]


def _classified(config: TextClassification, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
    """With `patience`, a seed's result is that of the epochs that it would have had alone."""
    start = time.perf_counter()
    training = SeedTraining(config, _data(config), seeds)
    epochs = list(training.epochs(lambda step: progress(step / training.steps)))
    seconds, outcomes = time.perf_counter() - start - training.compile_seconds, []
    for row, seed in enumerate(seeds):
        counted = [epoch for epoch in epochs if epoch.diverged[row] is None]
        alone, stopped = _epochs_alone([epoch.accuracies[row] for epoch in counted], config.patience)
        counted, diverged = counted[:alone], None if stopped else epochs[-1].diverged[row]
        best = max(counted, key=lambda epoch: epoch.accuracies[row], default=None)
        outcomes.append(
            Outcome(
                seed=seed,
                score=None if best is None or diverged else float(best.accuracies[row]),
                loss=None if best is None or diverged else float(best.losses[row]),
                steps=counted[-1].step if counted else 0,
                solved=None,
                diverged=diverged,
                curve_steps=[epoch.step for epoch in counted],
                curve_scores=[float(epoch.accuracies[row]) for epoch in counted],
                parameters=training.parameters,
                seconds=seconds,
                tokens_per_second=sum(epoch.tokens for epoch in epochs) / sum(epoch.seconds for epoch in epochs),
            )
        )
    return outcomes


def _epochs_alone(scores: Sequence[float], patience: int | None) -> tuple[int, bool]:
    """How many epochs a run alone would have had, up to `patience` after its best one, and whether that ended it."""
    position = Position()
    for score in scores:
        position = position.after_epoch(float(score))
        if position.waited == patience:
            return position.epoch, True
    return position.epoch, False
