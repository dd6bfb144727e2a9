"""A study: named variants of a base, and the question that each of them answers."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.ablations.trainers import Trainer
from experiments.ablations.trials import TRAINERS

# A variant's name is a file's.
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A config under a name, the question that it answers, and the variant that it is compared with.

    A base has none to be compared with. The config is any dataclass; `trainer` says how it is trained (`Trials(train)`
    for a function of your own), and is known of the configs of the studies here.
    """

    name: str
    question: str
    config: Any
    base: str | None = None
    trainer: Trainer | None = None

    @property
    def trained_by(self) -> Trainer:
        """Its trainer. Raises TypeError for a config of a kind that has none."""
        if (trainer := self.trainer or TRAINERS.get(type(self.config))) is None:
            known = ", ".join(kind.__name__ for kind in TRAINERS)
            kind = type(self.config).__name__
            raise TypeError(f"{self.name}: expected a trainer, or a config of {known}, got a config of {kind}")
        return trainer


@dataclasses.dataclass(frozen=True)
class Study:
    """Variants, a question that they answer together, and what their score is.

    Raises ValueError for a name that is there twice or is no file's, a base that is not there, a network that cannot
    be, fewer than one seed, and a variant that changes nothing: neither its base nor what another variant changes
    already. Raises TypeError for a config that nobody knows how to train.
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
            trainer = variant.trained_by
            try:
                own = trainer.fingerprint(variant.config)
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

    @classmethod
    def grid(
        cls,
        question: str,
        score: str,
        base: Any,
        trainer: Trainer | None = None,
        *,
        seeds: int = 3,
        **axes: Sequence[Any] | Mapping[str, Any],
    ) -> "Study":
        """Every combination of values for fields of the base: `grid(..., cell=("lstm", "gru"), learning_rate=(1e-2,))`.

        An axis is a sequence of numbers and words, or a mapping of names to values (cells, say). The first combination
        is the one that all others are compared with. Raises ValueError as the study, and for no axis or an empty one.
        """
        named = {
            axis: dict(values) if isinstance(values, Mapping) else {str(value): value for value in values}
            for axis, values in axes.items()
        }
        if not named or not all(named.values()):
            raise ValueError("grid: expected axes of at least one value each, got none")
        variants: list[Variant] = []
        for names in itertools.product(*named.values()):
            values = {axis: known[name] for (axis, known), name in zip(named.items(), names, strict=True)}
            first = variants[0].name if variants else None
            words = ", ".join(f"{axis.replace('_', ' ')} {name}" for axis, name in zip(named, names, strict=True))
            config = dataclasses.replace(base, **values)
            variants.append(Variant("-".join(names).lower().replace("_", "-"), words, config, first, trainer))
        return cls(question, score, variants, seeds)
