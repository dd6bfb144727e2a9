"""Finds the first operation whose result is not finite."""

import traceback
from collections import deque
from pathlib import Path
from typing import Any

import jax
import numpy as np

import rnnjax
from rnnjax.errors import first_line
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.objective import Objective, Sums
from rnnjax.training.state import TrainState

# Folders of installed libraries: their lines are not reported as the source of an operation.
LIBRARIES = ("site-packages", "dist-packages")


class TracedStep:
    """Wraps a compiled train step and keeps the arguments of the last calls, so that a step can be repeated.

    The step must not donate its state (`train_step(..., donate=False)`): several states are kept at once.
    """

    def __init__(self, step: CompiledStep):
        self._step, self._objective = step, step.objective
        # One more than may be in flight: the results that are being read are those of the oldest one.
        self._given: deque[tuple[TrainState, Any]] = deque(maxlen=step.in_flight + 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def __call__(self, state: TrainState, batch: Any) -> tuple[TrainState, Sums]:
        self._given.append((state, batch))
        return self._step(state, batch)

    def explain(self, step: int) -> str:
        """Which operation made the numbers of this step not finite. Raises ValueError for a step not kept any more."""
        for state, batch in self._given:
            if int(state.step) == step - 1:
                key = jax.random.fold_in(state.key, state.step)
                params, batch, carry = _on_one_device((state.params, batch, state.carry))
                return first_bad_operation(self._objective, params, batch, key, carry)
        raise ValueError(f"step: expected one of the last {len(self._given)}, got {step}")


def first_bad_operation(objective: Objective, params: Any, batch: Any, key: jax.Array, carry: Any = ()) -> str:
    """The first operation of the forward or backward pass whose result is NaN or, if there is none, infinite.

    Repeats the computation operation by operation, without compiling, on one device.
    """
    for path, leaf in jax.tree.leaves_with_path(params):
        if not np.isfinite(leaf).all():
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            return f"the parameters {name} were not finite before the step: an update was too large"

    def loss(params: Any) -> jax.Array:
        sums, _ = objective.carried(params, batch, key, carry)
        return sums["loss"]

    for bad in (jax.debug_nans, jax.debug_infs):
        try:
            with bad(True), jax.disable_jit():
                loss(params)
        except FloatingPointError as error:
            return f"{_words(error)}, {_where(error)}"
        try:
            with bad(True), jax.disable_jit():
                jax.grad(loss)(params)
        except FloatingPointError as error:
            return f"{_words(error)} in the backward pass, {_where(error)}"
    return "every operation was finite when the step was repeated on one device"


def _on_one_device(tree: Any) -> Any:
    """This process's part of a tree, on one of its devices."""

    def gather(leaf: jax.Array) -> np.ndarray:
        if leaf.is_fully_replicated:
            return np.asarray(leaf)
        return np.concatenate([np.asarray(shard.data) for shard in leaf.addressable_shards])

    return jax.device_put(jax.tree.map(gather, tree), jax.local_devices()[0])


def _words(error: BaseException) -> str:
    return first_line(error).removesuffix(".")


def _where(error: BaseException) -> str:
    """The innermost line of user or rnnjax code; in the backward pass, the line of the forward operation."""
    cause = error
    while cause.__cause__ is not None:  # JAX attaches the source of the operation as the cause
        cause = cause.__cause__
    for found in (cause, error):
        own = [
            frame
            for frame in traceback.extract_tb(found.__traceback__)
            if not any(library in frame.filename for library in LIBRARIES) and frame.filename != __file__
        ]
        if own:
            frame = own[-1]
            root = Path(rnnjax.__file__).parents[1]
            file = Path(frame.filename)
            shown = file.relative_to(root) if file.is_relative_to(root) else file
            return f"{shown}:{frame.lineno} in {frame.name}: {frame.line}"
    return "outside of Python code"
