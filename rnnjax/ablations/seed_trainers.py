"""Trainers that train all seeds side by side with one compiled program, on batches from the host."""

import abc
import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from rnnjax.ablations.trainers import Outcome, Progress, Trainer
from rnnjax.data.sequence_batches import Batches
from rnnjax.runs.execution import as_json
from rnnjax.training.objective import Objective, SumsOf
from rnnjax.training.position import Position
from rnnjax.training.seeds import SeedEpoch, SeedTraining
from rnnjax.training.state import TrainState


class SeedTrainer(Trainer):
    """Trains the seeds of a config with fields `epochs` and `patience`; the score is the objective's metric `best`."""

    @abc.abstractmethod
    def training(self, config: Any, seeds: Sequence[int]) -> SeedTraining:
        """The training of these seeds, not yet started."""

    def run(self, config: Any, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
        """With `patience`, epochs after those that a seed would have run alone do not count in its outcome."""
        start, training = time.perf_counter(), self.training(config, seeds)
        epochs = list(training.epochs(lambda step: progress(step / training.steps)))
        progress(1.0)
        seconds = time.perf_counter() - start - training.compile_seconds
        speed = sum(epoch.read for epoch in epochs) / sum(epoch.seconds for epoch in epochs)
        return [
            _outcome(seed, row, epochs, training, config.patience)._replace(seconds=seconds, tokens_per_second=speed)
            for row, seed in enumerate(seeds)
        ]


class ArrayTrainer(SeedTrainer):
    """Trains a `RunConfig` on arrays, as `Session.fit` does, but several seeds together.

    `objective(config)`, `init(config)` (the initial parameters) and `data(config)` (training and validation batches)
    are functions. `init` and `data` are called with the config of each seed. The batches of all seeds must have the
    same number and shapes; the validation batches are those of the first seed.
    """

    def __init__(
        self,
        objective: Callable[[Any], Objective | SumsOf],
        init: Callable[[Any], Any],
        data: Callable[[Any], Sequence[Batches]],
    ):
        self.objective, self.init, self.data = objective, init, data

    def identity(self) -> Any:
        """The names of the functions."""
        return as_json((self.objective, self.init, self.data))

    def fingerprint(self, config: Any) -> Any:
        """The fields of the config and the three functions."""
        return self.identity(), super().fingerprint(config)

    def estimate(self, config: Any, seeds: Sequence[int]) -> float:
        """The estimate from one measured step."""
        training = self.training(config, seeds)
        return training.step_seconds() * training.steps

    def training(self, config: Any, seeds: Sequence[int]) -> SeedTraining:
        """Raises as `SeedTraining`."""
        configs = {seed: _of_seed(config, seed) for seed in seeds}
        data = functools.cache(lambda seed: self.data(configs[seed]))
        epoch_steps = len(data(seeds[0])[0])
        optimizer = config.transformation(epoch_steps * config.epochs, epoch_steps)

        def start(seed: int) -> TrainState:
            params, averaged = self.init(configs[seed]), config.averaging > 0
            return TrainState.create(params, optimizer, jax.random.key(seed), averaged=averaged)

        return SeedTraining(
            self.objective(config),
            optimizer,
            start,
            lambda seed, epoch: data(seed)[0](epoch, 0),
            lambda: data(seeds[0])[1](0, 0),
            seeds,
            epochs=config.epochs,
            epoch_steps=epoch_steps,
            clip=config.clip,
            averaging=config.averaging,
            skip=config.skip,
        )


def _of_seed(config: Any, seed: int) -> Any:
    """The config with this seed."""
    return dataclasses.replace(config, seed=seed)


def _outcome(seed: int, row: int, epochs: Sequence[SeedEpoch], training: SeedTraining, patience: int | None) -> Outcome:
    """The outcome of the seed in this row."""
    objective = training.objective
    counted = [epoch for epoch in epochs if epoch.diverged[row] is None]
    alone, stopped = _epochs_alone(
        [objective.score({name: values[row] for name, values in epoch.metrics.items()}) for epoch in counted], patience
    )
    counted, diverged = counted[:alone], None if stopped else epochs[-1].diverged[row]
    curve = [float(epoch.metrics[objective.best][row]) for epoch in counted]
    pick = max if objective.highest else min
    best = curve.index(pick(curve)) if curve and diverged is None else None
    return Outcome(
        seed=seed,
        score=None if best is None else curve[best],
        loss=None if best is None else float(counted[best].metrics["loss"][row]),
        steps=counted[-1].step if counted else 0,
        diverged=diverged,
        curve_steps=[epoch.step for epoch in counted],
        curve_scores=curve,
        parameters=training.parameters,
    )


def _epochs_alone(scores: Sequence[float], patience: int | None) -> tuple[int, bool]:
    """The number of epochs that this seed would have run alone, and whether `patience` would have stopped it."""
    position = Position()
    for score in scores:
        position = position.after_epoch(float(score))
        if position.waited == patience:
            return position.epoch, True
    return position.epoch, False
