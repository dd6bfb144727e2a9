"""What a study needs to know of a kind of training: who is the same as whom, how long it takes, and how it is run."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

Progress = Callable[[float], None]  # called with the share of the training that is done
# What the runner decides, so that no variant can.
DECIDED = ("seed", "seeds", "devices", "run_folder", "execution")


class Outcome(NamedTuple):
    """What a seed of a variant came to.

    `score` and `loss` are None where the seed diverged: `diverged` is the step at which it did. `solved` is the step
    from which on a memory task was solved. The curve is the score at each evaluation. `seconds` (compiling left out)
    and `tokens_per_second` are of all seeds that were trained together, and None where they are not known.
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


class Trainer(Protocol):
    """How variants of one kind of config are trained."""

    def fingerprint(self, config: Any) -> Any:
        """What follows from a config: two with equal ones compute the same.

        Raises ValueError for a config that cannot be trained.
        """
        ...

    def estimate(self, config: Any, seeds: Sequence[int]) -> float:
        """Seconds that the training of these seeds takes at most, compiling left out; 0 where nobody knows."""
        ...

    def run(self, config: Any, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
        """Every seed's outcome, each as if it had been trained alone; `progress` may be called along the way."""
        ...


@dataclasses.dataclass(frozen=True)
class Trials:
    """Any training as a function `train(config, seeds) -> scores`, one score a seed, or an `Outcome`.

    A score that is not finite is a seed that diverged. The function is one of a module, so that Ray can send it.
    """

    train: Callable[[Any, Sequence[int]], Sequence[float | Outcome]]

    def fingerprint(self, config: Any) -> Any:
        """The config's fields, and the function."""
        return plain(self.train), described(config)

    def estimate(self, config: Any, seeds: Sequence[int]) -> float:
        """Nobody knows."""
        return 0.0

    def run(self, config: Any, seeds: Sequence[int], progress: Progress) -> list[Outcome]:
        """Raises ValueError where the function gives another number of scores, or outcomes of other seeds."""
        start = time.perf_counter()
        found = list(self.train(config, seeds))
        seconds = time.perf_counter() - start
        progress(1.0)
        if len(found) != len(seeds):
            raise ValueError(f"train: expected a score for each of {len(seeds)} seeds, got {len(found)}")
        outcomes = []
        for seed, score in zip(seeds, found, strict=True):
            if not isinstance(score, Outcome):
                learnt = math.isfinite(score)
                score = Outcome(seed, float(score) if learnt else None, diverged=None if learnt else 0, seconds=seconds)
            if score.seed != seed:
                raise ValueError(f"train: expected the outcome of seed {seed}, got that of {score.seed}")
            outcomes.append(score)
        return outcomes


def described(config: Any) -> dict[str, Any]:
    """What a config says of the computation, but for its seed, in plain values."""
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {"kind": type(config).__name__} | {
        name: plain(value) for name, value in fields.items() if name not in DECIDED
    }


def plain(value: Any) -> Any:
    """A value as numbers, words, lists and mappings: the same in every process, and another for every other value.

    Objects are their type and fields, functions their names (and what they are partial or closed over).
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, functools.partial):
        return {"partial": plain(value.func), "arguments": plain(value.args), "options": plain(value.keywords)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": f"{type(value).__module__}.{type(value).__qualname__}", **fields}
    name = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
    if callable(value) and len(name) > 1:
        cells = getattr(value, "__closure__", None) or ()
        return {"function": name, "over": [plain(cell.cell_contents) for cell in cells]} if cells else name
    return str(value)
