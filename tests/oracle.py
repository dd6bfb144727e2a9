"""What an oracle of a cell is."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Params = dict[str, np.ndarray]
State = tuple[np.ndarray, ...]


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm_gates(p, x, h):
    """Input gate, forget gate, candidate and output gate of an LSTM."""
    i, f, g, o = np.split(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4)
    return logistic(i), logistic(f), np.tanh(g), logistic(o)


class Oracle(NamedTuple):
    """One step of a cell for one sequence, and its derivative, both from the step's inputs and earlier state."""

    # (params, x, state) -> state after; `hidden` is the first array of a state.
    step: Callable[[Params, np.ndarray, State], State]
    # (params, x, state, d_state after) -> (d_params, d_x, d_state)
    back: Callable[[Params, np.ndarray, State, State], tuple[Params, np.ndarray, State]]
