"""What a run does when its numbers are no longer numbers."""

import math
from collections import deque
from collections.abc import Callable

from rnnjax.training.step import Sums

ADVICE = "try a smaller learning rate, tighter clipping or a longer warm-up in a new run"
REMEMBERED = 8  # gradient norms that the error tells


class DivergedError(ArithmeticError):
    """The loss, its gradient or what they made of the parameters is no longer finite."""


class Watchdog:
    """Looks at every step's loss and gradient norm.

    Up to `skip` bad steps in a row are let pass, where the optimizer left their updates out (`adam(skip=...)`); and
    any number whose batch has no weight: it has no loss, and changes nothing.
    `explain` says of a step what made its numbers bad.
    """

    def __init__(self, skip: int = 0, explain: Callable[[int], str] | None = None):
        self._skip, self._explain = skip, explain
        self._norms: deque[float] = deque(maxlen=REMEMBERED)

    def passes(self, step: int, sums: Sums) -> bool:
        """Whether the step counts: False where its update was skipped. Raises DivergedError where it may not be."""
        if sums["weight"] == 0:
            return True
        loss, norm = float(sums["loss"] / sums["weight"]), float(sums["gradient_norm"])
        self._norms.append(norm)
        if math.isfinite(loss) and math.isfinite(norm):
            return True
        if 0 < sums.get("skipped_in_a_row", 0) <= self._skip:
            return False
        rate = f", learning rate {float(sums['learning_rate']):g}" if "learning_rate" in sums else ""
        history = ", ".join(f"{norm:.3g}" for norm in self._norms)
        if self._skip and math.isfinite(norm):
            rate += "; skip leaves out gradients that are not finite"
        raise DivergedError(
            f"step {step}: expected a finite loss and gradient, got loss {loss:g} and gradient norm {norm:g}{rate}; "
            f"the last gradient norms were {history}; {ADVICE}; "
            + ("debug_nans finds the first bad operation" if self._explain is None else self._explain(step))
        )
