"""The trainer of studies of language models, which trains the seeds of a variant one after another."""

import dataclasses
import functools
import time
from collections.abc import Sequence
from typing import Any

import jax

from experiments.ablations.trials import FORMAT, rest_of
from experiments.language_model.config import Language
from experiments.language_model.data import Corpus, read_corpus
from experiments.language_model.setup import Setup, set_up
from rnnjax.ablations import Outcome, Progress, Trainer
from rnnjax.training import (
    DivergedError,
    EpochReport,
    StepReport,
    batch_mesh,
    eval_step,
    evaluate_stream,
    fit,
    train_step,
)
from rnnjax.training.loop import on_devices

# Fields that only determine the network, which is compared itself.
NETWORK = (
    *("cell", "embedding", "hidden", "layers", "tied", "dropout", "input_dropout", "embedding_dropout"),
    *("state_dropout", "weight_dropout", "zoneout"),
)
# Fields that determine the text.
TEXT = (
    *("source", "text_column", "level", "plain", "documents", "vocabulary", "hold_out", "limit"),
    *FORMAT,
)


class LanguageTrainer(Trainer):
    """Trains language models. Rows of a batch are spread over the devices, and one compiled step serves all seeds.

    The score is the perplexity, or the bits per character, of the best epoch.
    """

    note = (
        "Scores of language models are those of the epoch that was best on the validation part, and slightly "
        "optimistic; lower is better"
    )

    def fingerprint(self, config: Language) -> Any:
        """Raises ValueError for an invalid network."""
        return rest_of(config, NETWORK), config.network(config.vocabulary)

    def estimate(self, config: Language, seeds: Sequence[int]) -> float:
        """The estimate from a measured step."""
        program = _Program(config)
        setup = program.setup(config.seed)
        state, windows = on_devices(program.step, setup.state), setup.streams["train"].windows(0)
        seconds = 0.0
        for _, window in zip(range(3), windows, strict=False):  # the first is compiled, the second may be slow
            start = time.perf_counter()
            state, sums = program.step(state, program.step.put(window))
            jax.block_until_ready(sums)
            seconds = time.perf_counter() - start
        return seconds * setup.epoch_steps * config.epochs * len(seeds)

    def run(self, config: Language, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
        program = _Program(config)

        def outcome(number: int, seed: int) -> Outcome:
            return program.train(seed, lambda share: progress((number + share) / len(seeds)))

        found = [outcome(number, seed) for number, seed in enumerate(seeds)]
        progress(1.0)
        return found


class _Program:
    """The compiled steps of a config, for any seed."""

    def __init__(self, config: Language):
        self._config = config
        self._corpus, self._mesh = _corpus(config), batch_mesh(None)
        setup = self.setup(config.seed)
        self._objective = setup.objective
        self.step = train_step(
            setup.objective, setup.optimizer, self._mesh, clip=config.clip, averaging=config.averaging
        )
        self._evaluation = eval_step(setup.objective, self._mesh)

    def setup(self, seed: int) -> Setup:
        return set_up(dataclasses.replace(self._config, seed=seed), self._corpus, self._mesh.size)

    def train(self, seed: int, progress: Progress) -> Outcome:
        """The outcome of a seed."""
        config, setup, done, epochs, diverged = self._config, self.setup(seed), 0, list[EpochReport](), None
        steps = setup.epoch_steps * config.epochs
        parameters = sum(leaf.size for leaf in jax.tree.leaves(setup.state.params))

        def watch(report: StepReport) -> None:
            nonlocal done
            done = report.step
            progress(done / steps)

        start, compiled = time.perf_counter(), self._compiled()
        try:
            for _, report in fit(
                setup.state,
                self.step,
                self._evaluation,
                lambda epoch, first: setup.streams["train"].windows(first),
                lambda: setup.streams["validation"],
                config.epochs,
                watch,
                evaluate=functools.partial(evaluate_stream, carry=setup.state.carry),
                patience=config.patience,
                skip=config.skip,
            ):
                epochs.append(report)
        except DivergedError:
            diverged = done + 1
        seconds = time.perf_counter() - start - (self._compiled() - compiled)
        curve = [report.validation[self._objective.best] for report in epochs]
        best = curve.index(min(curve)) if curve and diverged is None else None
        return Outcome(
            seed=seed,
            score=None if best is None else curve[best],
            loss=None if best is None else epochs[best].validation.loss,
            steps=done,
            diverged=diverged,
            curve_steps=[report.step for report in epochs],
            curve_scores=curve,
            parameters=parameters,
            seconds=seconds,
            tokens_per_second=sum(report.train.read for report in epochs) / seconds if epochs else None,
        )

    def _compiled(self) -> float:
        return self.step.compile_seconds + self._evaluation.compile_seconds


def _corpus(config: Language) -> Corpus:
    """The text of a config; that of the last config is cached."""
    return _read(Language(**{name: getattr(config, name) for name in TEXT}))


_read = functools.lru_cache(maxsize=1)(read_corpus)
