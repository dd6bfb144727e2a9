"""Detects divergence: numbers that are not finite, or a loss far above chance."""

import math
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from rnnjax.errors import DivergedError as DivergedError
from rnnjax.training.objective import Sums

ADVICE = "try a smaller learning rate, tighter clipping or a longer warm-up in a new run"
REMEMBERED = 8  # gradient norms listed in the error message
# The number of steps whose mean loss is compared with chance, and the smallest number at the end of an epoch.
WINDOW, FEWEST = 100, 20
# A loss above this multiple of the chance loss has diverged. The classifiers in `test_divergence.py`, trained with
# Adam, learn with learning rates from 0.001 to 0.3: their mean loss over FEWEST steps is at most 1.05 times chance.
# With learning rates from 100 on they do not learn: their mean loss over WINDOW steps is at least 62 times chance.
FAR_ABOVE = 10.0
# An overfitted network is overconfident, and its validation loss may be far above chance without divergence. The
# validation loss is therefore ignored if the training loss is below this multiple of chance.
LEARNT = 0.5


def far_above_chance(losses: Sequence[float] | np.ndarray, chance: float, first: float) -> bool:
    """Whether the losses of consecutive steps, all finite, show that a training has diverged.

        mean(losses) > FAR_ABOVE * max(chance, first)

    `chance` is the loss of a constant prediction that ignores the input. `first` is the loss of the first step, before
    any update: a network that starts with a large loss may need long to reduce it. False for fewer than FEWEST losses,
    and for a chance that is not above 0.
    """
    return len(losses) >= FEWEST and chance > 0 and bool(np.mean(losses) > FAR_ABOVE * max(chance, first))


class Watchdog:
    """Checks the loss and the gradient norm of every step.

    Accepts up to `skip` consecutive steps that are not finite, if the optimizer skipped their updates
    (`Optimizer(skip=...)`). Batches with a total weight of 0 are ignored: they have no loss and change nothing.
    `explain(step)` returns the cause of a step that is not finite, for the error message.
    If the objective has the sum `chance`, the mean loss of the last WINDOW steps must not be far above chance and above
    `first`, the loss of the first step (NaN: taken from the first step that is checked).
    """

    def __init__(self, skip: int = 0, explain: Callable[[int], str] | None = None, first: float = math.nan):
        self._skip, self._explain = skip, explain
        self._norms: deque[float] = deque(maxlen=REMEMBERED)
        self._losses: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self.first = first

    def passes(self, step: int, sums: Sums) -> bool:
        """Whether the step counts; False if its update was skipped.

        Raises DivergedError if the training diverged, ValueError for a negative weight, and for `skip` with an
        optimizer that skips nothing.
        """
        if sums["weight"] < 0:
            raise ValueError(
                f"objective: expected a weight of at least 0, got {float(sums['weight']):g} in step {step}"
            )
        if self._skip and "skipped_in_a_row" not in sums:
            raise ValueError(
                f"skip: expected an optimizer that skips (Optimizer(skip={self._skip}) or optax.apply_if_finite), got "
                "one that does not"
            )
        if sums["weight"] == 0:
            return True
        loss, norm = float(sums["loss"] / sums["weight"]), float(sums["gradient_norm"])
        self._norms.append(norm)
        if math.isfinite(loss) and math.isfinite(norm):
            if math.isnan(self.first):
                self.first = loss
            if "chance" in sums:
                self._losses.append((loss, float(sums["chance"] / sums["weight"])))
            if len(self._losses) == WINDOW:
                self.check_chance(step)
            return True
        if 0 < sums.get("skipped_in_a_row", 0) <= self._skip:
            return False
        rate = f", learning rate {float(sums['learning_rate']):g}" if "learning_rate" in sums else ""
        history = ", ".join(f"{norm:.3g}" for norm in self._norms)
        if self._skip and math.isfinite(norm):
            rate += "; skip only applies to gradients that are not finite"
        raise DivergedError(
            f"step {step}: expected a finite loss and gradient, got loss {loss:g} and gradient norm {norm:g}{rate}; "
            f"the last gradient norms were {history}; {ADVICE}; "
            + ("debug_nans finds the first bad operation" if self._explain is None else self._explain(step))
        )

    def check_chance(self, step: int) -> None:
        """Raises DivergedError if the losses of the last steps, WINDOW or fewer, are far above chance."""
        losses, chances = np.asarray(self._losses, np.float64).reshape(-1, 2).T
        if len(losses) and far_above_chance(losses, chance := float(chances.mean()), self.first):
            raise DivergedError(
                f"step {step}: expected a loss below {FAR_ABOVE:g} times that of chance, {chance:.3g}, and of the "
                f"first step, {self.first:.3g}, got {losses.mean():.3g}, the mean of the last {len(losses)} steps; "
                + ADVICE
            )

    def check_validation(self, step: int, training: float, validation: float, chance: float) -> None:
        """Raises DivergedError for a validation loss after an epoch that is not finite or far above chance.

        `training` is the mean training loss of the epoch; `chance` is the chance loss of the validation part, NaN if it
        is not known.
        """
        if not math.isfinite(validation):
            raise DivergedError(f"after step {step}: expected a finite validation loss, got {validation:g}; " + ADVICE)
        if chance > 0 and validation > FAR_ABOVE * max(chance, self.first) and training > LEARNT * chance:
            raise DivergedError(
                f"after step {step}: expected a validation loss below {FAR_ABOVE:g} times that of chance, "
                f"{chance:.3g}, and of the first step, {self.first:.3g}, got {validation:.3g}; {ADVICE}"
            )
