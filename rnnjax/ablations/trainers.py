"""Trainers of the variants of a study, and the outcome of a seed."""

import abc
import dataclasses
import math
import reprlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnnjax.runs.execution import as_json

Progress = Callable[[float], None]  # called with the share of the training that is done, from 0 to 1
# Fields of a config that change no result, or that the runner chooses itself.
DECIDED = ("seed", "seeds", "devices", "run_folder", "execution")


class Outcome(NamedTuple):
    """The result of one seed of a variant.

    `score` and `loss` are None for a seed that diverged, and `diverged` is the step at which it did. `steps` is the
    number of steps trained, `solved` the step at which a task was solved. The curve has a step and a score for each
    evaluation. `parameters` is the number of parameters. `seconds` (without compiling) and `tokens_per_second` are
    those of all seeds that were trained together, and None if they are not known. Without tokens, rows are counted.
    """

    seed: int
    score: float | None
    loss: float | None = None
    steps: int = 0
    solved: int | None = None
    diverged: int | None = None
    curve_steps: Sequence[int] = ()
    curve_scores: Sequence[float] = ()
    parameters: int = 0
    seconds: float | None = None
    tokens_per_second: float | None = None


class Trainer(abc.ABC):
    """Trains the configs of a study. A subclass must define `run`; everything else is optional."""

    note: str = ""
    """A sentence for the report on how to read the scores."""
    solves: bool = False
    """Whether a seed can solve its task; the report then has columns for it."""

    def fingerprint(self, config: Any) -> Any:
        """A value that is equal for two configs that compute the same; by default all fields of the config.

        Raises ValueError for a config that cannot be trained.
        """
        return described(config)

    def identity(self) -> Any:
        """What distinguishes this training from another one in JSON values; by default the name of the class.

        Rows of another training are refused. The code inside a function or class is not compared.
        """
        return as_json(type(self))

    def estimate(self, config: Any, seeds: Sequence[int]) -> float:
        """An upper bound of the seconds that these seeds take together, without compiling; 0 if it is not known."""
        return 0.0

    @abc.abstractmethod
    def run(self, config: Any, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
        """The outcomes of the seeds, in this order; each equals that of a training of this seed alone."""


@dataclasses.dataclass(frozen=True)
class Trials(Trainer):
    """A training that is a function `train(config, seeds)`. It returns one score, or one `Outcome`, for each seed.

    A score that is not finite means that the seed diverged. Ray must be able to send the function to other processes.
    """

    train: Callable[[Any, Sequence[int]], Sequence[float | Outcome]]

    def identity(self) -> Any:
        """The name of the function."""
        return as_json(self.train)

    def fingerprint(self, config: Any) -> Any:
        """The fields of the config and the function."""
        return self.identity(), described(config)

    def run(self, config: Any, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
        """Raises ValueError unless the function returns a score for each seed, in their order."""
        start = time.perf_counter()
        found = self.train(config, seeds)
        if isinstance(found, (str, Mapping)) or not np.iterable(found):
            raise ValueError(f"train: expected a sequence of scores, one for each seed, got {reprlib.repr(found)}")
        found = list(found)
        seconds = time.perf_counter() - start
        progress(1.0)
        if len(found) != len(seeds):
            raise ValueError(f"train: expected a score for each of {len(seeds)} seeds, got {len(found)}")
        outcomes = []
        for seed, score in zip(seeds, found, strict=True):
            if not isinstance(score, Outcome):
                if np.shape(score) or not np.issubdtype(np.asarray(score).dtype, np.number):
                    raise ValueError(f"train: expected a number or an Outcome for each seed, got {reprlib.repr(score)}")
                finite = math.isfinite(score)
                score = Outcome(seed, float(score) if finite else None, diverged=None if finite else 0, seconds=seconds)
            if score.seed != seed:
                raise ValueError(f"train: expected the outcome of seed {seed}, got that of {score.seed}")
            outcomes.append(score)
        return outcomes


def described(config: Any) -> dict[str, Any]:
    """The kind and the fields of a config (a dataclass) in JSON values, without those that change no result."""
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {"kind": type(config).__name__} | {
        name: as_json(value) for name, value in fields.items() if name not in DECIDED
    }
