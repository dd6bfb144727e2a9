"""A study: named variants of a base, and the question that each of them answers."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from experiments.memory.config import Memory
from experiments.sentiment.config import TextClassification, build_model

Config = Memory | TextClassification
# A variant's name is a file's.
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
# Fields that say nothing but what the task and the network are.
MEMORY_FIELDS = (
    *("task", "time", "cell", "hidden", "layers", "recurrence"),
    *("recurrent_init", "recurrent_scale", "forget_bias", "chrono"),
)
TEXT_FIELDS = (
    *("embedding", "cell", "hidden", "layers", "bidirectional", "pooling", "dense", "recurrence", "dtype"),
    *("word_dropout", "input_dropout", "dropout", "state_dropout", "weight_dropout", "zoneout"),
)
# What the runner decides, so that no variant can.
DECIDED = ("seed", "seeds", "devices", "run_folder", "execution")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A config under a name, the question that it answers, and the variant that it is compared with.

    A base has none to be compared with.
    """

    name: str
    question: str
    config: Config
    base: str | None = None


@dataclasses.dataclass(frozen=True)
class Study:
    """Variants, a question that they answer together, and what their score is.

    Raises ValueError for a name that is there twice or is no file's, a base that is not there, a network that cannot
    be, fewer than one seed, and a variant that changes nothing: neither its base nor what another variant changes
    already. Raises TypeError for another kind of config.
    """

    question: str
    score: str
    variants: Sequence[Variant]
    seeds: int = 3

    def __post_init__(self):
        object.__setattr__(self, "variants", tuple(self.variants))
        if not self.variants:
            raise ValueError("study: expected at least one variant, got none")
        if self.seeds < 1:
            raise ValueError(f"seeds: expected at least 1, got {self.seeds}")
        made: dict[str, Any] = {}
        for variant in self.variants:
            name = variant.name
            if not NAME.fullmatch(name):
                raise ValueError(f"variant: expected a name of a-z, 0-9, '.', '+' and '-', got {name!r}")
            if name in made:
                raise ValueError(f"variant: expected each name once, got {name!r} twice")
            if not variant.question:
                raise ValueError(f"{name}: expected the question that it answers, got none")
            if variant.base is not None and variant.base not in made:
                raise ValueError(f"{name}: expected a base among the variants before it, got {variant.base!r}")
            if not isinstance(variant.config, Config):
                kind = type(variant.config).__name__
                raise TypeError(f"{name}: expected a Memory or TextClassification config, got one of {kind}")
            try:
                own = _made_of(variant.config)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            same = next((other for other, known in made.items() if known == own), None)
            if same is not None:
                raise ValueError(f"{name}: expected a computation of its own, got that of {same!r}: it changes nothing")
            made[name] = own

    def chosen(self, names: Sequence[str]) -> list[Variant]:
        """The variants of these names and their bases, in the study's order; all of them for no name.

        Raises ValueError for a name that is not there.
        """
        known = {variant.name: variant for variant in self.variants}
        for name in names:
            if name not in known:
                raise ValueError(f"variants: expected some of {', '.join(known)}, got {name!r}")
        wanted, left = set[str](), list(names)
        while left:
            wanted.add(name := left.pop())
            left += [base] if (base := known[name].base) else []
        return [variant for variant in self.variants if not names or variant.name in wanted]


def computed(config: Config) -> dict[str, Any]:
    """What a config says of the computation, but for its seed."""
    return {"kind": type(config).__name__} | {
        name: value for name, value in dataclasses.asdict(config).items() if name not in DECIDED
    }


def _made_of(config: Config) -> tuple[dict[str, Any], Any]:
    """A config as what follows from it: that a field says in other words what another config says is no difference.

    Raises ValueError for a network that cannot be.
    """
    if isinstance(config, Memory):
        built, fields = (config.problem(), config.network()), MEMORY_FIELDS
    else:
        # For any number of words and classes: the data say how many.
        built, fields = build_model(config, config.vocabulary, 2), TEXT_FIELDS
    left = {name: value for name, value in computed(config).items() if name not in fields}
    if isinstance(config, TextClassification) and config.layers == 0:
        left["word_order"] = "true"  # a bag has none
    if left.get("patience") is not None and left["patience"] >= left["epochs"]:
        left["patience"] = None
    return left, built
