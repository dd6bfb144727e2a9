"""What a run does when its numbers are no longer numbers, or its loss is far above that of knowing nothing."""

import math
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from rnnjax.training.step import Sums

ADVICE = "try a smaller learning rate, tighter clipping or a longer warm-up in a new run"
REMEMBERED = 8  # gradient norms that the error tells
# Steps whose mean loss is compared with chance, and how few will do at the end of an epoch.
WINDOW, FEWEST = 100, 20
# So many times the loss of chance is far above it. Of the classifiers in `test_divergence.py`, trained with Adam, those
# with learning rates from 0.001 to 0.3 learn, and their mean loss over FEWEST steps is 1.05 times chance at most; with
# 100 and above they do not, and it is 62 times chance at least over WINDOW steps.
FAR_ABOVE = 10.0
# A validation loss says less: a net that is sure of what it has learnt by heart is far above chance on other data,
# but no further than its logits are apart.
FAR_ABOVE_IN_VALIDATION = 1000.0


class DivergedError(ArithmeticError):
    """The loss, its gradient or what they made of the parameters is no longer finite, or the loss far above chance."""


def far_above_chance(losses: Sequence[float] | np.ndarray, chance: float) -> bool:
    """Whether consecutive losses say that a training has diverged, though they are finite.

        mean(losses) > FAR_ABOVE * chance, and mean(later half) >= mean(earlier half)

    `chance` is the loss of an answer that does not look at the input. A loss that is on its way down has not diverged,
    however far it starts. False for fewer than FEWEST losses, and where chance is not above 0.
    """
    if len(losses) < FEWEST or not chance > 0:
        return False
    earlier, later = np.array_split(np.asarray(losses, np.float64), 2)
    return bool(np.mean(losses, dtype=np.float64) > FAR_ABOVE * chance and later.mean() >= earlier.mean())


class Watchdog:
    """Looks at every step's loss and gradient norm.

    Up to `skip` bad steps in a row are let pass, where the optimizer left their updates out (`adam(skip=...)`); and
    any number whose batch has no weight: it has no loss, and changes nothing.
    `explain` says of a step what made its numbers bad.
    Where an objective's sums say what `chance` is, the losses of the last WINDOW steps must not be far above it.
    """

    def __init__(self, skip: int = 0, explain: Callable[[int], str] | None = None):
        self._skip, self._explain = skip, explain
        self._norms: deque[float] = deque(maxlen=REMEMBERED)
        self._losses: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def passes(self, step: int, sums: Sums) -> bool:
        """Whether the step counts: False where its update was skipped. Raises DivergedError where it may not be."""
        if sums["weight"] == 0:
            return True
        loss, norm = float(sums["loss"] / sums["weight"]), float(sums["gradient_norm"])
        self._norms.append(norm)
        if math.isfinite(loss) and math.isfinite(norm):
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
        if self._losses and far_above_chance(*(known := _means(self._losses))):
            raise DivergedError(
                f"step {step}: expected a loss below {FAR_ABOVE:g} times that of chance, {known[1]:.3g}, got "
                f"{np.mean(known[0]):.3g}, the mean of the last {len(known[0])} steps, and not falling; {ADVICE}"
            )


def _means(losses: Sequence[tuple[float, float]]) -> tuple[np.ndarray, float]:
    """All losses, and the mean of their chances."""
    both = np.asarray(losses, np.float64)
    return both[:, 0], float(both[:, 1].mean())


def check_validation(step: int, loss: float, chance: float) -> None:
    """Raises DivergedError for a validation loss that is not finite, or too far above chance (where that is known)."""
    if not math.isfinite(loss):
        raise DivergedError(f"after step {step}: expected a finite validation loss, got {loss:g}; " + ADVICE)
    if chance > 0 and loss > FAR_ABOVE_IN_VALIDATION * chance:
        raise DivergedError(
            f"after step {step}: expected a validation loss below {FAR_ABOVE_IN_VALIDATION:g} times that of chance, "
            f"{chance:.3g}, got {loss:.3g}; " + ADVICE
        )
