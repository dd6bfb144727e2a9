"""The axis legend and the array aliases that signatures share.

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

Step = Float[Array, "batch input"]
Gates = Float[Array, "batch gates"]
Hidden = Float[Array, "batch hidden"]

TimeInputs = Float[Array, "time batch input"]
TimeHidden = Float[Array, "time batch hidden"]
TimeFlags = Bool[Array, "time batch"]

BatchInputs = Float[Array, "batch time input"]
BatchFlags = Bool[Array, "batch time"]

Tokens = Int[Array, "batch time"]
Lengths = Int[Array, " batch"]

# A state and the parameters of a cell are NamedTuples of arrays: which fields they have is the cell's.
State = Any
Params = Any
