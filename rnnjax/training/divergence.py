"""What a run does when its numbers are no longer numbers, or its loss is far above that of knowing nothing."""

import math
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from rnnjax.training.objective import Sums

ADVICE = "try a smaller learning rate, tighter clipping or a longer warm-up in a new run"
REMEMBERED = 8  # gradient norms that the error tells
# Steps whose mean loss is compared with chance, and how few will do at the end of an epoch.
WINDOW, FEWEST = 100, 20
# So many times the loss of chance is far above it. Of the classifiers in `test_divergence.py`, trained with Adam, those
# with learning rates from 0.001 to 0.3 learn, and their mean loss over FEWEST steps is 1.05 times chance at most; with
# 100 and above they do not, and it is 62 times chance at least over WINDOW steps.
FAR_ABOVE = 10.0
# A net that has learnt by heart what it was trained on is sure of itself, and far above chance on other data: it is no
# evidence where the training loss is below so many times that of chance.
LEARNT = 0.5


class DivergedError(ArithmeticError):
    """The loss, its gradient or what they made of the parameters is no longer finite, or the loss far above chance."""


def far_above_chance(losses: Sequence[float] | np.ndarray, chance: float, first: float) -> bool:
    """Whether consecutive losses say that a training has diverged, though they are finite.

        mean(losses) > FAR_ABOVE * max(chance, first)

    `chance` is the loss of an answer that does not look at the input, `first` that of the first step, before any
    update: who starts far away may take long to come down. False for fewer than FEWEST losses, and where chance is not
    above 0.
    """
    return len(losses) >= FEWEST and chance > 0 and bool(np.mean(losses) > FAR_ABOVE * max(chance, first))


class Watchdog:
    """Looks at every step's loss and gradient norm.

    Up to `skip` bad steps in a row are let pass, where the optimizer left their updates out (`Optimizer(skip=...)`);
    and any number whose batch has no weight: it has no loss, and changes nothing.
    `explain` says of a step what made its numbers bad.
    Where an objective's sums say what `chance` is, the losses of the last WINDOW steps must not be far above it, nor
    those of the untrained parameters, `first` (NaN: that of the first step that is seen).
    """

    def __init__(self, skip: int = 0, explain: Callable[[int], str] | None = None, first: float = math.nan):
        self._skip, self._explain = skip, explain
        self._norms: deque[float] = deque(maxlen=REMEMBERED)
        self._losses: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self.first = first

    def passes(self, step: int, sums: Sums) -> bool:
        """Whether the step counts: False where its update was skipped. Raises DivergedError where it may not be."""
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
            rate += "; skip leaves out gradients that are not finite"
        raise DivergedError(
            f"step {step}: expected a finite loss and gradient, got loss {loss:g} and gradient norm {norm:g}{rate}; "
            f"the last gradient norms were {history}; {ADVICE}; "
            + ("debug_nans finds the first bad operation" if self._explain is None else self._explain(step))
        )

    def check_chance(self, step: int) -> None:
        """Raises DivergedError where the losses of the last steps, fewer than WINDOW or not, are far above chance."""
        losses, chances = np.asarray(self._losses, np.float64).reshape(-1, 2).T
        if len(losses) and far_above_chance(losses, chance := float(chances.mean()), self.first):
            raise DivergedError(
                f"step {step}: expected a loss below {FAR_ABOVE:g} times that of chance, {chance:.3g}, and of the "
                f"first step, {self.first:.3g}, got {losses.mean():.3g}, the mean of the last {len(losses)} steps; "
                + ADVICE
            )

    def check_validation(self, step: int, training: float, validation: float, chance: float) -> None:
        """Raises DivergedError for a validation loss that is not finite, or far above chance after an epoch.

        `training` is the epoch's mean training loss, `chance` that of the validation part, NaN where it is not known.
        """
        if not math.isfinite(validation):
            raise DivergedError(f"after step {step}: expected a finite validation loss, got {validation:g}; " + ADVICE)
        if chance > 0 and validation > FAR_ABOVE * max(chance, self.first) and training > LEARNT * chance:
            raise DivergedError(
                f"after step {step}: expected a validation loss below {FAR_ABOVE:g} times that of chance, "
                f"{chance:.3g}, and of the first step, {self.first:.3g}, got {validation:.3g}; {ADVICE}"
            )
