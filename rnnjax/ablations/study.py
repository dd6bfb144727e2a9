"""A study: named variants of a config, each with the question that it answers."""

import dataclasses
import itertools
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnjax.ablations.trainers import Trainer
from rnnjax.fields import check_range

# The name of a variant is also that of a file.
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
PART = re.compile(r"[a-z0-9.+-]+")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A config (any dataclass) with a name and the question that it answers.

    `base` is the name of the variant that it is compared with; None if it is not compared. A study sets `training`, the
    identity of its trainer.
    """

    name: str
    question: str
    config: Any
    base: str | None = None
    training: Any = None

    def changed(self, name: str, question: str, **changes: Any) -> "Variant":
        """A variant with other values in some fields of the config, which is compared with this one."""
        return Variant(name, question, dataclasses.replace(self.config, **changes), self.name)


@dataclasses.dataclass(frozen=True)
class Study:
    """Variants, the question that they answer together, the name of their score, and their trainer.

    `seeds` is the number of seeds (0, 1, ...) of each variant. Raises ValueError for no variants, a name that is not
    unique or not allowed in a file name, a variant without a question, a base that is not among the variants before it,
    a config that cannot be trained, fewer than one seed, and a variant that computes the same as one before it.
    """

    question: str
    score: str
    trainer: Trainer
    variants: Sequence[Variant]
    seeds: int = 3

    def __post_init__(self):
        if not isinstance(self.trainer, Trainer):
            raise ValueError(f"trainer: expected a Trainer, such as Trials(function), got {reprlib.repr(self.trainer)}")
        training = self.trainer.identity()
        variants = tuple(dataclasses.replace(variant, training=training) for variant in self.variants)
        object.__setattr__(self, "variants", variants)
        if not self.variants:
            raise ValueError("study: expected at least one variant, got none")
        check_range("seeds", self.seeds, 1)
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
            try:
                own = self.trainer.fingerprint(variant.config)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            if same := next((other for other, known in made.items() if known == own), None):
                raise ValueError(f"{name}: expected a variant that changes something, got the computation of {same!r}")
            made[name] = own

    def chosen(self, names: Sequence[str]) -> list[Variant]:
        """The variants with these names and their bases, in the order of the study; all of them for no names.

        Raises ValueError for an unknown name, and for a text in place of a sequence.
        """
        known = {variant.name: variant for variant in self.variants}
        if isinstance(names, str):
            raise ValueError(f"variants: expected a sequence of names, got the text {names!r}")
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
        trainer: Trainer,
        base: Any,
        *,
        seeds: int = 3,
        **axes: Sequence | np.ndarray | Mapping,
    ) -> "Study":
        """All combinations of values for fields of a config: `grid(..., cell=("lstm", "gru"), learning_rate=(1e-2,))`.

        An axis is a sequence of numbers or strings, or a mapping of names to values (cells, for example). All other
        combinations are compared with the first one. Raises ValueError as the study does, for no axis or an empty one,
        and for an axis that is not a field of the config.
        """
        if not dataclasses.is_dataclass(base) or isinstance(base, type):
            raise ValueError(f"grid: expected a config, an object of a dataclass, got {reprlib.repr(base)}")
        known_fields = [field.name for field in dataclasses.fields(base)]
        for axis, values in axes.items():
            if axis not in known_fields:
                raise ValueError(f"grid: expected fields of {type(base).__name__}, got {axis!r}")
            if isinstance(values, str) or not isinstance(values, Sequence | Mapping | np.ndarray):
                raise ValueError(f"grid: expected a sequence or mapping of values for {axis}, got {values!r}")
        named = {
            axis: dict(values) if isinstance(values, Mapping) else {str(value): value for value in _plain(values)}
            for axis, values in axes.items()
        }
        for axis, values in named.items():
            if wrong := [name for name in values if not PART.fullmatch(name.lower().replace("_", "-"))]:
                raise ValueError(
                    f"grid: expected a mapping of names to values for {axis}, since the names would be {wrong[0]!r}"
                )
        if not named or not all(named.values()):
            raise ValueError("grid: expected axes of at least one value each, got none")
        variants: list[Variant] = []
        for names in itertools.product(*named.values()):
            values = {axis: known[name] for (axis, known), name in zip(named.items(), names, strict=True)}
            words = ", ".join(f"{axis.replace('_', ' ')} {name}" for axis, name in zip(named, names, strict=True))
            name, config = "-".join(names).lower().replace("_", "-"), dataclasses.replace(base, **values)
            variants.append(Variant(name, words, config, variants[0].name if variants else None))
        return cls(question, score, trainer, variants, seeds)


def _plain(values: Sequence | np.ndarray) -> Sequence:
    """The values as Python numbers, if they are NumPy's."""
    return [value.item() if isinstance(value, np.generic) else value for value in values]
