"""Results of the checks of a cell: failures, the largest errors, and the report of a cell that passes."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# The maximum length of an exception's text, which can be pages long.
LONGEST = 400

# Tolerances of the largest difference in an array, relative to max(1, its largest number). Measured differences over
# all cells of the library, values and gradients together: 8e-16, 1.0e-6, 2.0e-3 and 1.6e-2.
TOLERANCES = {"float64": 1e-11, "float32": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}


@dataclasses.dataclass(frozen=True)
class Report:
    """The checks that a cell has passed, in words, and the largest error of each comparison, by name."""

    cell: str
    checked: tuple[str, ...]
    errors: dict[str, float]
    hints: tuple[str, ...]

    def __str__(self) -> str:
        errors = ", ".join(f"{name} {error:.1e}" for name, error in self.errors.items())
        lines = [f"{self.cell}: no fault found.", *(f"- {text}" for text in self.checked)]
        return "\n".join([*lines, f"Largest errors: {errors}.", *(f"Hint: {hint}" for hint in self.hints)])


@dataclasses.dataclass
class Findings:
    """The results of the checks of one cell so far."""

    cell: str
    failures: list[str] = dataclasses.field(default_factory=list)
    checked: list[str] = dataclasses.field(default_factory=list)
    hints: list[str] = dataclasses.field(default_factory=list)
    errors: dict[str, float] = dataclasses.field(default_factory=dict)

    def fail(self, where: str, what: str) -> None:
        """Adds a failure, unless it is there already."""
        text = f"{where}: {what}"
        if text not in self.failures:
            self.failures.append(text)

    @contextlib.contextmanager
    def guard(self, where: str, hint: str = "") -> Iterator[None]:
        """Turns an exception into a failure, so that later checks still run."""
        try:
            yield
        except Exception as error:  # a user-defined cell may raise anything
            text = " ".join(str(error).split())
            text = text if len(text) <= LONGEST else text[:LONGEST] + " ..."
            self.fail(where, f"expected no error, got {type(error).__name__}: {text}{hint}")

    def compare(self, kind: str, where: str, got: Any, want: Any, tolerance: float, hint: str = "") -> bool:
        """Whether two trees agree. Adds a failure if not; the report has the largest error of each `kind`."""
        agree = True
        wanted = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(want)}
        for path, left in jax.tree.leaves_with_path(got):
            name = jax.tree_util.keystr(path)
            right = wanted.pop(name, None)
            if right is None:
                self.fail(where, f"{readable(name)}: expected no array, got one of shape {np.shape(left)}")
                agree = False
                continue
            difference = self._difference(kind, np.asarray(left), np.asarray(right), tolerance)
            if difference:
                self.fail(where, f"{readable(name)}: {difference}{hint}")
                agree = False
        for name in wanted:
            self.fail(where, f"{readable(name)}: expected an array, got none")
        return agree and not wanted

    def _difference(self, kind: str, got: np.ndarray, want: np.ndarray, tolerance: float) -> str | None:
        if got.shape != want.shape:
            return f"expected shape {want.shape}, got {got.shape}"
        if not got.size:
            return None
        if not jnp.issubdtype(want.dtype, jnp.inexact):
            at = np.unravel_index(np.argmax(got != want), got.shape)
            return None if (got == want).all() else f"expected {want[at]}, got {got[at]} at {place(at)}"
        left, right = wide(got), wide(want)
        apart = np.where(np.isfinite(left) & np.isfinite(right), np.abs(left - right), np.inf)
        at = np.unravel_index(np.argmax(apart), apart.shape)
        error = float(apart[at] / max(1, np.abs(right).max()))
        self.errors[kind] = max(self.errors.get(kind, 0.0), error)
        if error <= tolerance:
            return None
        return (
            f"expected {right[at]:.6g}, got {left[at]:.6g} at {place(at)}: error {error:.1e} is above {tolerance:.0e}"
        )

    def report(self) -> Report:
        """The report. Raises AssertionError with all failures if there are any."""
        if self.failures:
            count = f"{len(self.failures)} failure" + "s" * (len(self.failures) > 1)
            raise AssertionError("\n".join([f"{self.cell}: {count}", *(f"- {text}" for text in self.failures)]))
        return Report(self.cell, tuple(self.checked), dict(self.errors), tuple(self.hints))


def wide(array: Any) -> np.ndarray:
    """The array in float64, or complex128 if it is complex."""
    return np.asarray(array, np.complex128 if jnp.iscomplexobj(array) else np.float64)


def place(index: tuple[Any, ...]) -> tuple[int, ...]:
    """An index as plain integers."""
    return tuple(int(i) for i in index)


def readable(path: str) -> str:
    """A path of `keystr` in readable form: `gradient of params.bias` for `['gradient of params'].bias`."""
    return path.removeprefix("['").replace("']['", ".").replace("']", "")
