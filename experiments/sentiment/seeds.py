"""A text classifier trained with several seeds side by side: each as if it were alone."""

import contextlib
import functools
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from experiments.sentiment.config import TextClassification, build_model, first_state, logits_of
from experiments.sentiment.data import Loader, Parts
from rnnjax.data import Batch
from rnnjax.training import DivergedError, classification, eval_step, train_step
from rnnjax.training.devices import seed_groups, seed_mesh, start_each
from rnnjax.training.divergence import Watchdog
from rnnjax.training.loop import read_sums
from rnnjax.training.step import Sums


class SeedEpoch(NamedTuple):
    """An epoch of S seeds: validation loss and accuracy after it, each `(S,)`.

    `diverged` is the step of the run at which a run alone would have ended as diverged, or None, of each seed;
    `tokens` are those that all seeds read in the epoch, `seconds` what its training took, compiling left out.
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

    They take turns where there are more of them than CPU devices (`seed_groups`). Where they do not divide among the
    devices, the last one is trained more than once. Raises ValueError for no seed, and for a config without
    `data_seed`: its seeds would not share their data.
    """

    def __init__(self, config: TextClassification, parts: Parts, seeds: Sequence[int]):
        if config.data_seed is None:
            raise ValueError("data_seed: expected one that all seeds share, got none")
        if not seeds:
            raise ValueError("seeds: expected at least one, got none")
        self._config, self._parts, self._count = config, parts, len(seeds)
        mesh = seed_mesh(len(seeds))
        self._groups = seed_groups(seeds, mesh)
        self._loader = Loader(config, parts.train.read, devices=1)
        self._plans = self._loader.plans(parts.train, seeds[0])
        self.steps = len(self._plans) * config.epochs
        model = build_model(config, parts.tokenizer.get_vocab_size(), len(parts.classes))
        optimizer = config.transformation(self.steps, len(self._plans))
        objective = classification(logits_of(model), len(parts.classes))
        self._step = train_step(objective, optimizer, mesh, clip=config.clip, averaging=config.averaging, seeds=True)
        self._evaluation = eval_step(objective, mesh, seeds=True)
        start = functools.partial(first_state, model, optimizer, averaged=config.averaging > 0)
        self._states = deque(start_each(start, group, mesh) for group in self._groups)
        self.parameters = sum(leaf[0].size for leaf in jax.tree.leaves(self._states[0].params))

    @property
    def compile_seconds(self) -> float:
        """What compiling has taken so far."""
        return self._step.compile_seconds + self._evaluation.compile_seconds

    def _train(self, batch: Batch) -> Sums:
        """A step of the group whose turn it is."""
        state, sums = self._step(self._states.popleft(), batch)
        self._states.append(state)
        return sums

    def estimate(self) -> float:
        """Seconds that the steps of all epochs will take, from one measured step of the most frequent width.

        The training must not be gone on with afterwards.
        """
        widths = [plan.width for plan in self._plans]
        usual = max(set(widths), key=widths.count)
        plan = next(plan for plan in self._plans if plan.width == usual)
        batch = self._step.put(stacked([self._loader.batch(self._parts.train, plan)] * len(self._groups[0])))
        times = []
        for _ in range(3):  # the first is compiled, the second may be slower than those that follow
            start = time.perf_counter()
            jax.block_until_ready(self._train(batch))
            times.append(time.perf_counter() - start)
        return times[-1] * len(self._groups) * self._config.epochs * sum(widths) / usual

    def epochs(self, watch: Callable[[int], None] = lambda step: None) -> Iterator[SeedEpoch]:
        """Every epoch, as it is done; `watch` hears of every step."""
        count = self._count
        diverged: list[int | None] = [None] * count
        watchdogs = [Watchdog(self._config.skip) for _ in range(count)]
        done = 0
        for epoch in range(self._config.epochs):
            tokens, start, compiled = 0, time.perf_counter(), self._step.compile_seconds
            with contextlib.closing(read_sums(self._step, self._train, self._batches(epoch))) as steps:
                for sums in self._of_all(steps):
                    done += 1
                    tokens += int(sums["tokens"][:count].sum())
                    for row in range(count):
                        if diverged[row] is None:
                            try:
                                watchdogs[row].passes(done, {name: value[row] for name, value in sums.items()})
                            except DivergedError:
                                diverged[row] = done
                    watch(done)
            seconds = time.perf_counter() - start - (self._step.compile_seconds - compiled)
            losses, accuracies = self._validate()[:, :count]
            for row in np.flatnonzero(~np.isfinite(losses)):
                diverged[row] = diverged[row] or done
            yield SeedEpoch(epoch + 1, done, losses, accuracies, list(diverged), tokens, seconds)

    def _batches(self, epoch: int) -> Iterator[Batch]:
        """Every step's batches, one for each group."""
        own = [[self._loader.batches(self._parts.train, seed, epoch) for seed in group] for group in self._groups]
        for _ in self._plans:
            for group in own:
                yield stacked([next(batches) for batches in group])

    def _of_all(self, parts: Iterator[Sums]) -> Iterator[Sums]:
        """Sums of every group, one after the other, as those of all seeds."""
        while turn := list(itertools.islice(parts, len(self._groups))):
            yield jax.tree.map(lambda *leaves: np.concatenate(leaves), *turn)

    def _validate(self) -> np.ndarray:
        """Mean loss and accuracy of every seed, `(2, S)`."""
        evaluation, found = self._evaluation, []
        for group, state in zip(self._groups, self._states, strict=True):
            total = np.zeros((3, len(group)))
            shared = (stacked([batch] * len(group)) for batch in self._loader.batches(self._parts.validation))
            measure = functools.partial(evaluation, state.evaluated)
            with contextlib.closing(read_sums(evaluation, measure, shared)) as measured:
                for sums in measured:
                    total += np.stack([sums["loss"], sums["accuracy"], sums["weight"]])
            found.append(total[:2] / total[2])
        return np.concatenate(found, axis=1)


def stacked(batches: Sequence[Batch]) -> Batch:
    """Batches of one shape, with a leading axis of seeds."""
    return Batch(*map(np.stack, zip(*batches, strict=True)))
