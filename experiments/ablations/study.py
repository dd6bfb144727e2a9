"""A study: named variants of a base, and the question that each of them answers."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from experiments.memory_tasks.config import Memory
from experiments.text_classifier.config import TextClassification

Config = Memory | TextClassification
# A variant's name is a file's.
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
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

    Raises ValueError for a name that is there twice or is no file's, a base that is not there, and a variant that
    changes nothing: neither its base nor what another variant changes already.
    """

    question: str
    score: str
    variants: Sequence[Variant]
    seeds: int = 3

    def __post_init__(self):
        if not self.variants:
            raise ValueError("study: expected at least one variant, got none")
        configs: dict[str, Any] = {}
        for variant in self.variants:
            name = variant.name
            if not NAME.fullmatch(name):
                raise ValueError(f"variant: expected a name of a-z, 0-9, '.', '+' and '-', got {name!r}")
            if name in configs:
                raise ValueError(f"variant: expected each name once, got {name!r} twice")
            if not variant.question:
                raise ValueError(f"{name}: expected the question that it answers, got none")
            config = computed(variant.config)
            if variant.base is not None and variant.base not in configs:
                raise ValueError(f"{name}: expected a base among the variants before it, got {variant.base!r}")
            same = next((other for other, known in configs.items() if known == config), None)
            if same is not None:
                raise ValueError(f"{name}: expected a config of its own, got that of {same!r}: it changes nothing")
            configs[name] = config

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
