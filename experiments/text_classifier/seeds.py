"""A text classifier trained with several seeds side by side: each as if it were alone."""

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from experiments.text_classifier.config import TextClassification, build_model, build_optimizer, first_state, logits_of
from experiments.text_classifier.parts import Loader, Parts
from rnnjax.data import Batch
from rnnjax.training import classification, eval_step, train_step
from rnnjax.training.devices import padded_seeds, seed_mesh, start_each
from rnnjax.training.loop import read_sums
from rnnjax.training.step import Sums


class SeedEpoch(NamedTuple):
    """An epoch of S seeds: validation loss and accuracy after it, each `(S,)`.

    `diverged` is the first step of the run whose loss or gradient was not finite, or None, of each seed; `tokens` are
    those that all seeds read in the epoch, `seconds` what its training took, compiling left out.
    """

    epoch: int
    step: int
    losses: np.ndarray
    accuracies: np.ndarray
    diverged: list[int | None]
    tokens: int
    seconds: float


class SeedTraining:
    """The seeds are spread over the devices, and compiled once.

    Where they do not divide among the devices, the last one is trained more than once. Raises ValueError for no seed,
    and for a config without `data_seed`: its seeds would not share their data.
    """

    def __init__(self, config: TextClassification, parts: Parts, seeds: Sequence[int]):
        if config.data_seed is None:
            raise ValueError("data_seed: expected one that all seeds share, got none")
        if not seeds:
            raise ValueError("seeds: expected at least one, got none")
        self._config, self._parts, self._count = config, parts, len(seeds)
        mesh = seed_mesh(len(seeds))
        self._seeds = padded_seeds(seeds, mesh)
        self._loader = Loader(config, parts.train.read, devices=1)
        self._plans = self._loader.plans(parts.train, self._seeds[0])
        self.steps = len(self._plans) * config.epochs
        model = build_model(config, parts.tokenizer.get_vocab_size(), len(parts.classes))
        optimizer = build_optimizer(config, self.steps)
        objective = classification(logits_of(model), len(parts.classes))
        self._step = train_step(objective, optimizer, mesh, clip=config.clip, seeds=True)
        self._evaluation = eval_step(objective, mesh, seeds=True)
        self._state = start_each(functools.partial(first_state, model, optimizer), self._seeds, mesh)
        self.parameters = sum(leaf[0].size for leaf in jax.tree.leaves(self._state.params))

    def _train(self, batch: Batch) -> Sums:
        self._state, sums = self._step(self._state, batch)
        return sums

    def estimate(self) -> float:
        """Seconds that the steps of all epochs will take, from one measured step of the most frequent width.

        The training must not be gone on with afterwards.
        """
        widths = [plan.width for plan in self._plans]
        usual = max(set(widths), key=widths.count)
        plan = next(plan for plan in self._plans if plan.width == usual)
        batch = self._step.put(stacked([self._loader.batch(self._parts.train, plan)] * len(self._seeds)))
        times = []
        for _ in range(3):  # the first is compiled, the second may be slower than those that follow
            start = time.perf_counter()
            jax.block_until_ready(self._train(batch))
            times.append(time.perf_counter() - start)
        return times[-1] * self._config.epochs * sum(widths) / usual

    def epochs(self, watch: Callable[[int], None] = lambda step: None) -> Iterator[SeedEpoch]:
        """Every epoch, as it is done; `watch` hears of every step."""
        loader, parts, count = self._loader, self._parts, self._count
        diverged: list[int | None] = [None] * count
        done = 0
        for epoch in range(self._config.epochs):
            tokens, start, compiled = 0, time.perf_counter(), self._step.compile_seconds
            own = (loader.batches(parts.train, seed, epoch) for seed in self._seeds)
            with contextlib.closing(read_sums(self._step, self._train, map(stacked, zip(*own, strict=True)))) as steps:
                for sums in steps:
                    done += 1
                    tokens += int(sums["tokens"][:count].sum())
                    for row, pair in enumerate(zip(sums["loss"][:count], sums["gradient_norm"][:count], strict=True)):
                        if diverged[row] is None and not all(map(math.isfinite, pair)):
                            diverged[row] = done
                    watch(done)
            seconds = time.perf_counter() - start - (self._step.compile_seconds - compiled)
            losses, accuracies = self._validate()[:, :count]
            yield SeedEpoch(epoch + 1, done, losses, accuracies, list(diverged), tokens, seconds)

    def _validate(self) -> np.ndarray:
        """Mean loss and accuracy of every seed, `(2, S)`."""
        evaluation, params = self._evaluation, self._state.params
        shared = (stacked([batch] * len(self._seeds)) for batch in self._loader.batches(self._parts.validation))
        total = np.zeros((3, len(self._seeds)))
        with contextlib.closing(read_sums(evaluation, lambda batch: evaluation(params, batch), shared)) as measured:
            for sums in measured:
                total += np.stack([sums["loss"], sums["correct"], sums["weight"]])
        return total[:2] / total[2]


def stacked(batches: Sequence[Batch]) -> Batch:
    """Batches of one shape, with a leading axis of seeds."""
    return Batch(*map(np.stack, zip(*batches, strict=True)))
