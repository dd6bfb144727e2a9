"""The objective: the loss that is minimised, and the metrics that are measured with it."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

Sums = dict[str, Any]
# sums(params, batch, key) -> sums over the batch's rows; with `carries`: sums(params, batch, key, carry) ->
# (sums, carry).
SumsOf = Callable[..., Any]
Means = Mapping[str, float]

NEEDED = ("loss", "weight")
# The names of numbers that a train step adds itself.
MEASURED = ("gradient_norm", "clipped", "learning_rate", "skipped_in_a_row", "histograms", "steps", "skipped")
# Fields of a line in metrics.jsonl.
FIELDS = ("kind", "seal", "part", "network", "epoch", "step", "best", "seconds", "rows")
# Sums that are not metrics: the divisor of the others, the chance loss, and the amount of data read.
APART = ("weight", "chance", "tokens")


@dataclasses.dataclass(frozen=True)
class Objective:
    """A loss, further metrics, and the metric that determines the best epoch.

    `sums(params, batch, key)` returns a dict of sums over the rows of the batch: `loss` (minimised) and `weight` are
    required, all others are optional. A batch is a tree of arrays whose first axis is the rows. The function is called
    with the rows of one device, and its results are summed over the devices (a constant is added once for each device).
    In evaluation the key is None.

        metric = sum over all batches of metric / sum over all batches of weight

    Every other scalar becomes a metric of that name (`accuracy`: the sum of the weights of the correct rows). Two names
    are special: `tokens` is the number of tokens read, from which the speed is computed (without it, rows), and
    `chance` is the loss of a constant prediction that ignores the input (see `Watchdog`). Arrays stay sums
    (`confusion`). `derived` are functions of the metrics: `{"perplexity": lambda means: math.exp(means["loss"])}`.

    The best epoch has the lowest validation metric `best`, or the highest if `highest`.

    With `carries`, the function is `sums(params, batch, key, carry)` and returns (sums, carry). The carry is passed
    from batch to batch, for example the state of a recurrent network: a tree of arrays whose first axis is the rows. No
    gradient flows from one batch to another.
    """

    sums: SumsOf
    best: str = "loss"
    highest: bool = False
    derived: Mapping[str, Callable[[Means], float]] = dataclasses.field(default_factory=lambda: MappingProxyType({}))
    carries: bool = False

    @classmethod
    def of(cls, objective: "Objective | SumsOf") -> "Objective":
        """The objective itself; a function of sums is wrapped in one."""
        return objective if isinstance(objective, cls) else cls(objective)

    def __call__(self, *arguments: Any) -> Any:
        return self.sums(*arguments)

    def carried(self, params: Any, batch: Any, key: jax.Array | None, carry: Any) -> tuple[Sums, Any]:
        """The sums and the next carry, which is unchanged if the objective does not carry.

        Raises ValueError for sums without a loss or a weight, and for names that a train step uses itself.
        """
        sums, after = self.sums(params, batch, key, carry) if self.carries else (self.sums(params, batch, key), carry)
        if not isinstance(sums, dict):
            raise ValueError(f"objective: expected a dict of sums, got {type(sums).__name__}")
        if missing := [name for name in NEEDED if name not in sums]:
            raise ValueError(f"objective: expected sums with 'loss' and 'weight', got no {' and no '.join(missing)}")
        if both := set(self.derived) & set(sums):
            raise ValueError(f"objective: expected derived metrics with names of their own, got {sorted(both)}")
        if taken := {*MEASURED, *FIELDS} & {*sums, *self.derived}:
            raise ValueError(f"objective: expected names that the train step does not use, got {sorted(taken)}")
        for name in NEEDED:
            if np.shape(sums[name]):
                raise ValueError(f"objective: expected {name!r} to be one number, got shape {np.shape(sums[name])}")
        return sums, after

    def means(self, total: Mapping[str, Any]) -> dict[str, float]:
        """The metrics from total sums, the loss first; NaN if all weights are zero.

        Raises ValueError if `best` is not one of them.
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
        """The total sums that are arrays."""
        return {name: np.asarray(value) for name, value in total.items() if name not in MEASURED and np.ndim(value) > 0}

    def score(self, means: Means) -> float:
        """The metric `best`, negated unless `highest`, so that higher is better."""
        return means[self.best] if self.highest else -means[self.best]
