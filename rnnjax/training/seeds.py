"""Trains several seeds side by side on batches from the host; each seed gives the same results as if trained alone."""

import contextlib
import functools
import itertools
import operator
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from rnnjax.fields import check_range
from rnnjax.training.devices import seed_groups, seed_mesh, start_each
from rnnjax.training.divergence import DivergedError, Watchdog
from rnnjax.training.loop import read_sums
from rnnjax.training.objective import Objective, Sums, SumsOf
from rnnjax.training.reports import read_of
from rnnjax.training.state import TrainState
from rnnjax.training.step import eval_step, train_step
from rnnjax.training.validated import check_unvalidated


class SeedEpoch(NamedTuple):
    """An epoch of S seeds: the validation metrics at its end by name, each `(S,)`.

    `diverged` is, for each seed, the step at which a run of this seed alone would have ended as diverged, or None.
    `read` counts the tokens (or rows) read by all seeds in the epoch; `seconds` is its training time without
    compilation.
    """

    epoch: int
    step: int
    metrics: dict[str, np.ndarray]
    diverged: list[int | None]
    read: int
    seconds: float


class SeedTraining:
    """The training of S seeds that are spread over the devices and compiled once.

    `start(seed)` is the initial state of a seed. `train_batches(seed, epoch)` are its batches: `epoch_steps` of them,
    whose shapes must be the same for all seeds. With more seeds than CPU devices, groups of seeds take turns
    (`seed_groups`). If the number of seeds is not a multiple of the number of devices, the last seed is trained more
    than once. `steps` is the number of updates in all epochs. Raises ValueError for no seeds, for an objective that
    carries, for the schedule plateau and `average_after`, and as `train_step`.
    """

    def __init__(
        self,
        objective: Objective | SumsOf,
        optimizer: optax.GradientTransformation,
        start: Callable[[int], TrainState],
        train_batches: Callable[[int, int], Iterable[Any]],
        validation_batches: Callable[[], Iterable[Any]],
        seeds: Sequence[int],
        *,
        epochs: int,
        epoch_steps: int,
        clip: float | None = None,
        averaging: float = 0.0,
        skip: int = 0,
        devices: int | None = None,
    ):
        if not seeds:
            raise ValueError("seeds: expected at least one, got none")
        check_range("epochs", epochs, 1)
        if Objective.of(objective).carries:
            raise ValueError("objective: expected one without a carry, got one with carries=True")
        self._train_batches, self._validation_batches = train_batches, validation_batches
        self._epochs, self._skip, self._seeds = epochs, skip, tuple(seeds)
        self.steps = epochs * epoch_steps
        mesh = seed_mesh(len(seeds), devices)
        self._groups = seed_groups(seeds, mesh)
        self._step = train_step(objective, optimizer, mesh, clip=clip, averaging=averaging, seeds=True)
        self._evaluation = eval_step(objective, mesh, seeds=True)
        self.objective = self._evaluation.objective
        self._states = deque(start_each(start, group, mesh) for group in self._groups)
        check_unvalidated(self._states[0].optimizer_state, "seeds side by side")
        self.parameters = sum(leaf[0].size for leaf in jax.tree.leaves(self._states[0].params))

    @property
    def compile_seconds(self) -> float:
        """Seconds of compilation so far."""
        return self._step.compile_seconds + self._evaluation.compile_seconds

    def _train(self, batch: Any) -> Sums:
        """One step of the next group."""
        state, sums = self._step(self._states.popleft(), batch)
        self._states.append(state)
        return sums

    def step_seconds(self, batch: Any = None) -> float:
        """The measured seconds of one step of all seeds on this batch, by default the first batch of the first seed.

        Do not continue the training afterwards.
        """
        if batch is None:
            batch = next(iter(self._train_batches(self._seeds[0], 0)))
        batch, times = self._step.put(_stacked([batch] * len(self._groups[0]))), []
        for _ in range(3):  # the first is compiled, the second may be slower than those that follow
            start = time.perf_counter()
            jax.block_until_ready(self._train(batch))
            times.append(time.perf_counter() - start)
        return times[-1] * len(self._groups)

    def epochs(self, watch: Callable[[int], None] = lambda step: None) -> Iterator[SeedEpoch]:
        """Trains, and yields every epoch at its end; `watch` is called with the number of every step."""
        count = len(self._seeds)
        diverged: list[int | None] = [None] * count
        watchdogs = [Watchdog(self._skip) for _ in range(count)]
        done = 0
        for epoch in range(self._epochs):
            read, start, compiled = 0, time.perf_counter(), self._step.compile_seconds
            with contextlib.closing(read_sums(self._step, self._train, self._batches(epoch))) as steps:
                for sums in self._of_all(steps):
                    done += 1
                    for row, own in enumerate(_rows(sums, count)):
                        read += read_of(own)[0]
                        if diverged[row] is None:
                            try:
                                watchdogs[row].passes(done, own)
                            except DivergedError:
                                diverged[row] = done
                    watch(done)
            seconds = time.perf_counter() - start - (self._step.compile_seconds - compiled)
            metrics = self._validate()
            for row in np.flatnonzero(~np.isfinite(metrics["loss"])):
                diverged[row] = diverged[row] or done
            yield SeedEpoch(epoch + 1, done, metrics, list(diverged), read, seconds)

    def _batches(self, epoch: int) -> Iterator[Any]:
        """The batches of every step: one stacked batch for each group."""
        own = [self._train_batches(seed, epoch) for group in self._groups for seed in group]
        size = len(self._groups[0])
        for batches in itertools.zip_longest(*own):
            if any(batch is None for batch in batches):
                raise ValueError("train_batches: expected the same number of batches for every seed, got fewer for one")
            for first in range(0, len(batches), size):
                yield _stacked(batches[first : first + size])

    def _of_all(self, parts: Iterator[Sums]) -> Iterator[Sums]:
        """Joins the sums of the groups to sums of all seeds."""
        while turn := list(itertools.islice(parts, len(self._groups))):
            yield jax.tree.map(lambda *leaves: np.concatenate(leaves), *turn)

    def _validate(self) -> dict[str, np.ndarray]:
        """The validation metrics by name, each `(S,)`."""
        evaluation, found = self._evaluation, []
        for group, state in zip(self._groups, self._states, strict=True):
            total: Any = None
            shared = (_stacked([batch] * len(group)) for batch in self._validation_batches())
            measure = functools.partial(evaluation, state.evaluated)
            with contextlib.closing(read_sums(evaluation, measure, shared)) as measured:
                for sums in measured:
                    sums = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), sums)
                    total = sums if total is None else jax.tree.map(np.add, total, sums)
            found += [evaluation.objective.means(own) for own in _rows(total, len(group))]
        return {name: np.array([own[name] for own in found[: len(self._seeds)]]) for name in found[0]}


def _rows(sums: Any, count: int) -> list[Any]:
    """The sums of each of the first `count` seeds."""
    return [jax.tree.map(operator.itemgetter(row), sums) for row in range(count)]


def _stacked(batches: Sequence[Any]) -> Any:
    """Batches of the same shape, stacked along a leading axis of seeds."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
