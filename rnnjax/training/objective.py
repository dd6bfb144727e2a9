"""What is minimised and what is measured beside it: sums over a batch's rows, and what is made of them."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

Sums = dict[str, Any]
# sums(params, batch, key) -> sums over the batch's rows, or, where it carries, sums(params, batch, key, carry) ->
# (sums, carry).
SumsOf = Callable[..., Any]
Means = Mapping[str, float]

NEEDED = ("loss", "weight")
# What a step measures by itself.
MEASURED = ("gradient_norm", "clipped", "learning_rate", "skipped_in_a_row", "histograms", "steps", "skipped")
# Sums that are no metrics: what the others are divided by, the loss of knowing nothing, and how much was read.
APART = ("weight", "chance", "tokens")


@dataclasses.dataclass(frozen=True)
class Objective:
    """A loss, the metrics beside it, and which of them says what epoch is best.

    `sums(params, batch, key)` gives sums over the batch's rows by name: `loss` (what is minimised) and `weight`, both
    needed, and whatever else is to be watched. A batch is a tree of arrays with the rows first. The function sees the
    rows of one device, and what it gives is summed over devices (a constant counts once a device); the key is None in
    evaluation.

        metric = sum over all batches of metric / sum over all batches of weight

    Every further number is a metric of its own by its name (`accuracy`: the weight of the rows that are right), but
    for `tokens`, what was read, by which speed is told (rows, where there is none), and `chance`, the loss of an
    answer that does not look at the input (see `Watchdog`). Arrays stay sums (`confusion`). `derived` are functions
    of the metrics: `{"perplexity": lambda means: math.exp(means["loss"])}`.

    The best epoch is that of the lowest metric `best` in validation, or the highest where it is `highest`.

    With `carries`, `sums(params, batch, key, carry)` gives (sums, carry): something is handed on from batch to batch,
    a tree of arrays with a batch's rows first, the state of a recurrent net, say; no gradient flows from one batch to
    another.
    """

    sums: SumsOf
    best: str = "loss"
    highest: bool = False
    derived: Mapping[str, Callable[[Means], float]] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    carries: bool = False

    @classmethod
    def of(cls, objective: "Objective | SumsOf") -> "Objective":
        """Itself, or that of a function of sums."""
        return objective if isinstance(objective, cls) else cls(objective)

    def __call__(self, *arguments: Any) -> Any:
        return self.sums(*arguments)

    def carried(self, params: Any, batch: Any, key: jax.Array | None, carry: Any) -> tuple[Sums, Any]:
        """Sums and what is handed on, which is what was given where nothing is carried.

        Raises ValueError for sums without a loss or a weight, and for names that a step's own numbers have.
        """
        sums, after = self.sums(params, batch, key, carry) if self.carries else (self.sums(params, batch, key), carry)
        if missing := set(NEEDED) - set(sums):
            raise ValueError(f"objective: expected sums with 'loss' and 'weight', got none of {sorted(missing)}")
        if taken := set(MEASURED) & set(sums):
            raise ValueError(f"objective: expected other names than those of a step's numbers, got {sorted(taken)}")
        return sums, after

    def means(self, total: Mapping[str, Any]) -> dict[str, float]:
        """The metrics of summed sums, the loss first; NaN where nothing has a weight.

        Raises ValueError where `best` is none of them.
        """
        weight = float(total["weight"])
        found = {
            name: float(value) / weight if weight else float("nan")
            for name, value in total.items()
            if name not in (*APART, *MEASURED) and np.ndim(value) == 0
        }
        found = {"loss": found.pop("loss"), **found}
        found |= {name: function(found) if weight else float("nan") for name, function in self.derived.items()}
        if self.best not in found:
            raise ValueError(f"objective: expected best to be one of {', '.join(found)}, got {self.best!r}")
        return found

    def totals(self, total: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of summed sums."""
        return {name: np.asarray(value) for name, value in total.items() if name not in MEASURED and np.ndim(value) > 0}

    def score(self, means: Means) -> float:
        """What is higher the better."""
        return means[self.best] if self.highest else -means[self.best]
