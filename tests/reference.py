"""NumPy float64 oracles run over time, one sequence at a time, and how close to them numbers must be.

Nothing here is shared with the library. A sequence is a plain loop over its steps, and backpropagation
through time is the same loop run the other way, so that the contract for lengths, resets and direction is an
`if` of each loop and needs no masks.
"""

from collections import defaultdict
from typing import Any, NamedTuple

import jax
import numpy as np
from oracle import Oracle, Params, State

# Largest error measured on a CPU: values 4.8e-7, gradients 1.4e-6 (of 30 seeds; the median is 3e-7).
FLOAT32_TOLERANCE = 2e-6
# Largest error measured on a CPU: 2e-15.
FLOAT64_TOLERANCE = 1e-12

measured_errors: dict[tuple[str, float], dict[str, float]] = defaultdict(lambda: defaultdict(float))


def error(got: Any, want: Any) -> float:
    """The largest `max|got - want| / max(1, max|want|)` of two trees' arrays; infinite where either is not finite."""
    got, want = (jax.tree.leaves(jax.device_get(tree)) for tree in (got, want))
    assert [leaf.shape for leaf in got] == [leaf.shape for leaf in want]
    errors = [0.0]
    for left, right in zip(got, want, strict=True):
        left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
        if not (np.isfinite(left).all() and np.isfinite(right).all()):
            return np.inf
        errors.append(np.abs(left - right).max(initial=0) / max(1, np.abs(right).max(initial=0)))
    return float(max(errors))


def assert_close(
    got: Any, want: Any, group: str, *, tolerance: float = FLOAT32_TOLERANCE, kind: str = "float32"
) -> None:
    """Raises AssertionError where an array is off by more than the tolerance; remembers the error for the summary."""
    off = error(got, want)
    errors = measured_errors[kind, tolerance]
    errors[group] = max(errors[group], off)
    assert off <= tolerance, f"{group}: error {off:.2e} is above {tolerance:.0e}\ngot {got}\nwant {want}"


class Run(NamedTuple):
    """What a recurrence gives, and the gradients of a loss whose cotangents came with the problem."""

    outputs: np.ndarray
    final: State
    d_params: Params
    d_inputs: np.ndarray
    d_initial: State
    d_reset: State


def run(
    oracle: Oracle,
    params: Params,
    inputs: np.ndarray,
    initial: State,
    d_outputs: np.ndarray,
    d_final: State,
    *,
    lengths: np.ndarray | None = None,
    resets: np.ndarray | None = None,
    reset_state: State | None = None,
    reverse: bool = False,
    mask: Any = None,
    hold: Any = None,
) -> Run:
    """Forward and back through `inputs (T, B, I)` from `initial`, each `(B, ...)`, for the given cotangents.

    A reset puts `reset_state` back, each `(B, ...)`, zeros unless given.
    `mask (B, H)` multiplies h where the recurrent kernel reads it, which is to multiply that kernel's rows; each array
    of the state keeps a share `hold` of what it was, one number or `(T, B, ...)`.
    """
    time, batch = inputs.shape[:2]
    lengths = np.full(batch, time) if lengths is None else lengths
    resets = np.zeros((time, batch), bool) if resets is None else resets
    hold = tuple(
        np.broadcast_to(share, (time, *leaf.shape))
        for share, leaf in zip(hold or (0.0,) * len(initial), initial, strict=True)
    )
    outputs = np.zeros((time, *initial[0].shape))
    final = tuple(np.zeros_like(leaf) for leaf in initial)
    d_params = {name: np.zeros_like(leaf) for name, leaf in params.items()}
    d_inputs = np.zeros_like(inputs)
    d_initial, d_reset = ([np.zeros_like(leaf) for leaf in initial] for _ in range(2))
    reset_state = tuple(np.zeros_like(leaf) for leaf in initial) if reset_state is None else reset_state

    for b in range(batch):
        steps = [t for t in (range(time - 1, -1, -1) if reverse else range(time)) if t < lengths[b]]
        state, before = tuple(leaf[b] for leaf in initial), {}
        rows = None if mask is None else mask[b][:, None]
        own = params if rows is None else {**params, "recurrent_kernel": rows * params["recurrent_kernel"]}
        for t in steps:
            before[t] = tuple(leaf[b] for leaf in reset_state) if resets[t, b] else state
            new, held = oracle.step(own, inputs[t, b], before[t]), [share[t, b] for share in hold]
            state = tuple(s * old + (1 - s) * leaf for s, old, leaf in zip(held, before[t], new, strict=True))
            outputs[t, b] = state[0]
        for leaf, value in zip(final, state, strict=True):
            leaf[b] = value

        d_state = tuple(leaf[b] for leaf in d_final)
        for t in reversed(steps):
            d_state = (d_state[0] + d_outputs[t, b], *d_state[1:])
            held = [share[t, b] for share in hold]
            d_new = tuple((1 - s) * d for s, d in zip(held, d_state, strict=True))
            d_step, d_inputs[t, b], d_before = oracle.back(own, inputs[t, b], before[t], d_new)
            d_state = tuple(d + s * kept for d, s, kept in zip(d_before, held, d_state, strict=True))
            if rows is not None:
                d_step["recurrent_kernel"] = rows * d_step["recurrent_kernel"]
            for name, leaf in d_step.items():
                d_params[name] += leaf
            if resets[t, b]:
                _add_row(d_reset, b, d_state)
                d_state = tuple(np.zeros_like(leaf) for leaf in d_state)
        _add_row(d_initial, b, d_state)
    return Run(outputs, final, d_params, d_inputs, tuple(d_initial), tuple(d_reset))


def _add_row(total: list[np.ndarray], b: int, row: State) -> None:
    for leaf, value in zip(total, row, strict=True):
        leaf[b] += value
