"""Two layers over the same inputs, one in each direction."""

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.layers.rnn import RNN, as_resets
from rnnjax.modes import Static, check_separate, static
from rnnjax.types import BatchFlags, BatchInputs, Lengths, State

MERGES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "concat": lambda forward, backward: jnp.concatenate([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "mean": lambda forward, backward: (forward + backward) / 2,
    "product": lambda forward, backward: forward * backward,
}


class Bidirectional(nn.Module):
    """Two layers over the same inputs, one in each direction, their outputs merged step by step.

    `backward` runs from each sequence's last step down, whatever its own `reverse` says. `merge` is
    "concat", "sum", "mean" or "product". Source: Schuster and Paliwal 1997, "Bidirectional Recurrent Neural
    Networks". Raises ValueError for another merge, sizes that do not merge, or one layer for both directions.
    """

    forward: RNN
    backward: RNN
    merge: Literal["concat", "sum", "mean", "product"] = "concat"

    def __post_init__(self):
        if self.merge not in MERGES:
            raise ValueError(f"merge: expected one of {sorted(MERGES)}, got {self.merge!r}")
        sizes = self.forward.hidden_size, self.backward.hidden_size
        if self.merge != "concat" and sizes[0] != sizes[1]:
            raise ValueError(f"merge {self.merge!r}: expected two layers of one hidden_size, got {sizes}")
        check_separate("forward, backward", (self.forward, self.backward))
        super().__post_init__()

    def __call__(
        self,
        inputs: BatchInputs,
        initial_state: tuple[State, State] | None = None,
        lengths: Lengths | None = None,
        resets: BatchFlags | None = None,
        *,
        reset_state: tuple[State, State] | None = None,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[State, State]]:
        """Outputs `(B, T, 2H)` (`(B, T, H)` unless merge is "concat") and both final states.

        `resets[b, t]` says that a new sequence starts at step t: the backward layer then starts afresh at
        step t-1, the last one of the sequence before. `initial_state` and `reset_state` are one for each direction;
        `deterministic` and `rows` are for both layers (see `RNN`).
        """
        inputs = jnp.asarray(inputs)
        resets = as_resets(inputs, resets)
        forward_state, backward_state = initial_state or (None, None)
        forward_reset, backward_reset = reset_state or (None, None)
        # A reset before the backward layer's first step, which the roll may bring there, changes nothing.
        backward_resets = None if resets is None else jnp.roll(resets, -1, axis=1)
        options = {"deterministic": static("deterministic", deterministic), "rows": rows}
        up: dict[str, Any] = options | {"reset_state": forward_reset, "reverse": Static(False)}
        down: dict[str, Any] = options | {"reset_state": backward_reset, "reverse": Static(True)}
        forward, forward_state = self.forward(inputs, forward_state, lengths, resets, **up)
        backward, backward_state = self.backward(inputs, backward_state, lengths, backward_resets, **down)
        return MERGES[self.merge](forward, backward), (forward_state, backward_state)

    @property
    def causal(self) -> bool:
        """False: the backward layer's outputs read later steps."""
        return False

    def last(self, final_state: tuple[State, State]) -> jax.Array:
        """Both directions' outputs at the last step that each ran, merged, from the final states."""
        forward, backward = final_state
        return MERGES[self.merge](self.forward.last(forward), self.backward.last(backward))
