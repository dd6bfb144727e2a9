"""NumPy float64 oracles: every cell's equations and their derivatives by hand, run one sequence at a time.

Nothing here is shared with the library. A sequence is a plain loop over its steps, and backpropagation
through time is the same loop run the other way, so that the contract for lengths, resets and direction is an
`if` of each loop and needs no masks.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

# Largest error measured on a CPU: values 4.8e-7, gradients 1.4e-6 (of 30 seeds; the median is 3e-7).
FLOAT32_TOLERANCE = 2e-6
# Largest error measured on a CPU: 1e-15.
FLOAT64_TOLERANCE = 1e-12

Params = dict[str, np.ndarray]
State = tuple[np.ndarray, ...]

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


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class Oracle(NamedTuple):
    """One step of a cell for one sequence, and its derivative, both from the step's inputs and earlier state."""

    # (params, x, state) -> state after; `hidden` is the first array of a state.
    step: Callable[[Params, np.ndarray, State], State]
    # (params, x, state, d_state after) -> (d_params, d_x, d_state)
    back: Callable[[Params, np.ndarray, State, State], tuple[Params, np.ndarray, State]]


def elman(activation: Callable, slope: Callable) -> Oracle:
    """`slope` is the activation's derivative, of what goes into it."""

    def z(p, x, h):
        return x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"]

    def step(p, x, state):
        return (activation(z(p, x, *state)),)

    def back(p, x, state, d_state):
        (h,), (d_h,) = state, d_state
        d_z = d_h * slope(z(p, x, h))
        d_params = {"kernel": np.outer(x, d_z), "recurrent_kernel": np.outer(h, d_z), "bias": d_z}
        return d_params, p["kernel"] @ d_z, (p["recurrent_kernel"] @ d_z,)

    return Oracle(step, back)


def lstm() -> Oracle:
    def gates(p, x, h):
        i, f, g, o = np.split(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4)
        return logistic(i), logistic(f), np.tanh(g), logistic(o)

    def step(p, x, state):
        h, c = state
        i, f, g, o = gates(p, x, h)
        c = f * c + i * g
        return o * np.tanh(c), c

    def back(p, x, state, d_state):
        (h, c), (d_h, d_c) = state, d_state
        i, f, g, o = gates(p, x, h)
        tanh_c = np.tanh(f * c + i * g)
        d_c = d_c + d_h * o * (1 - tanh_c**2)
        d_i, d_f, d_g, d_o = d_c * g, d_c * c, d_c * i, d_h * tanh_c
        d_z = np.concatenate([d_i * i * (1 - i), d_f * f * (1 - f), d_g * (1 - g**2), d_o * o * (1 - o)])
        d_params = {"kernel": np.outer(x, d_z), "recurrent_kernel": np.outer(h, d_z), "bias": d_z}
        return d_params, p["kernel"] @ d_z, (p["recurrent_kernel"] @ d_z, d_c * f)

    return Oracle(step, back)


def gru() -> Oracle:
    def gates(p, x, h):
        a_r, a_z, a_n = np.split(x @ p["kernel"] + p["bias"], 3)
        r_r, r_z, r_n = np.split(h @ p["recurrent_kernel"] + p["recurrent_bias"], 3)
        r, z = logistic(a_r + r_r), logistic(a_z + r_z)
        return r, z, np.tanh(a_n + r * r_n), r_n

    def step(p, x, state):
        (h,) = state
        _, z, n, _ = gates(p, x, h)
        return ((1 - z) * n + z * h,)

    def back(p, x, state, d_state):
        (h,), (d_h,) = state, d_state
        r, z, n, r_n = gates(p, x, h)
        d_n = d_h * (1 - z) * (1 - n**2)
        d_z = d_h * (h - n) * z * (1 - z)
        d_r = d_n * r_n * r * (1 - r)
        d_input, d_recurrent = np.concatenate([d_r, d_z, d_n]), np.concatenate([d_r, d_z, d_n * r])
        d_params = {
            "kernel": np.outer(x, d_input),
            "recurrent_kernel": np.outer(h, d_recurrent),
            "bias": d_input,
            "recurrent_bias": d_recurrent,
        }
        return d_params, p["kernel"] @ d_input, (p["recurrent_kernel"] @ d_recurrent + d_h * z,)

    return Oracle(step, back)


ORACLES: dict[str, Oracle] = {
    "elman": elman(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "elman_relu": elman(lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
    "lstm": lstm(),
    "gru": gru(),
}


class Run(NamedTuple):
    """What a recurrence gives, and the gradients of a loss whose cotangents came with the problem."""

    outputs: np.ndarray
    final: State
    d_params: Params
    d_inputs: np.ndarray
    d_initial: State


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
    reverse: bool = False,
    mask: Any = None,
    hold: Any = None,
) -> Run:
    """Forward and back through `inputs (T, B, I)` from `initial`, each `(B, H)`, for the given cotangents.

    `mask (B, H)` multiplies h where the recurrent kernel reads it, which is to multiply that kernel's rows; each array
    of the state keeps a share `hold` of what it was, one number or `(T, B, H)`.
    """
    time, batch, _ = inputs.shape
    lengths = np.full(batch, time) if lengths is None else lengths
    resets = np.zeros((time, batch), bool) if resets is None else resets
    hold = tuple(np.broadcast_to(share, (time, *initial[0].shape)) for share in hold or (0.0,) * len(initial))
    outputs = np.zeros((time, batch, initial[0].shape[-1]))
    final = tuple(np.zeros_like(leaf) for leaf in initial)
    d_params = {name: np.zeros_like(leaf) for name, leaf in params.items()}
    d_inputs = np.zeros_like(inputs)
    d_initial = tuple(np.zeros_like(leaf) for leaf in initial)

    for b in range(batch):
        steps = [t for t in (range(time - 1, -1, -1) if reverse else range(time)) if t < lengths[b]]
        start = tuple(leaf[b] for leaf in initial)
        state, before = start, {}
        rows = None if mask is None else mask[b][:, None]
        own = params if rows is None else {**params, "recurrent_kernel": rows * params["recurrent_kernel"]}
        for t in steps:
            before[t] = start if resets[t, b] else state
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
                _add_row(d_initial, b, d_state)
                d_state = tuple(np.zeros_like(leaf) for leaf in d_state)
        _add_row(d_initial, b, d_state)
    return Run(outputs, final, d_params, d_inputs, d_initial)


def _add_row(total: State, b: int, row: State) -> None:
    for leaf, value in zip(total, row, strict=True):
        leaf[b] += value
