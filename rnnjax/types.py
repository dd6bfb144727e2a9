"""The axis legend and the array aliases used in signatures.

| letter | name in a signature | axis |
|---|---|---|
| B | `batch`  | sequences of a batch |
| T | `time`   | steps of a sequence |
| I | `input`  | input features of a step |
| H | `hidden` | hidden features |
| G | `gates`  | gate pre-activations, a multiple of H (Elman 1, GRU 3, LSTM 4) |
| V | `vocabulary` | words |

Recurrences are time-major, `(T, B, ...)`; layers and models are batch-major, `(B, T, ...)`.
"""

from typing import Any

from jaxtyping import Array, Bool, Float, Int

# Features may have several axes: `*input`, `*hidden` and, with the gate blocks along the last axis, `*gates`.
Step = Float[Array, "batch *input"]
Gates = Float[Array, "batch *gates"]
# Outputs of the recurrent map, which may have a different number of blocks than the input map.
RecurrentGates = Float[Array, "batch *recurrent_gates"]
Hidden = Float[Array, "batch *hidden"]

TimeInputs = Float[Array, "time batch *input"]
TimeFlags = Bool[Array, "time batch"]

BatchInputs = Float[Array, "batch time *input"]
BatchFlags = Bool[Array, "batch time"]

Tokens = Int[Array, "batch time"]
Lengths = Int[Array, " batch"]

# The sizes of the feature axes. With one axis, `Size` may be an int.
Features = tuple[int, ...]
Size = int | Features

# A state is a NamedTuple of arrays; the cell defines its fields. Parameters and extras are any tree of arrays.
State = Any
Params = Any
Extras = Any


def features(size: Size) -> Features:
    """The feature axes of a size. Raises ValueError for an axis below 1."""
    axes = tuple(size) if isinstance(size, tuple | list) else (size,)
    if not axes or min(axes) < 1:
        raise ValueError(f"expected sizes of at least 1, got {size}")
    return axes
