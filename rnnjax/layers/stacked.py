"""Recurrent layers one on the other."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from rnnjax.modes import check_separate, static
from rnnjax.types import BatchFlags, BatchInputs, Lengths, State


class StackedRNN(nn.Module):
    """Recurrent layers one on the other, each reading the outputs of the one below.

    Raises ValueError where there is no layer, or one in two places.
    """

    layers: Sequence[nn.Module]

    def __post_init__(self):
        if not self.layers:
            raise ValueError("layers: expected at least one, got none")
        self.layers = tuple(self.layers)  # hashable, so that the module is
        check_separate("layers", self.layers)
        super().__post_init__()

    def __call__(
        self,
        inputs: BatchInputs,
        initial_state: Sequence[State] | None = None,
        lengths: Lengths | None = None,
        resets: BatchFlags | None = None,
        *,
        reset_state: Sequence[State] | None = None,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[State, ...]]:
        """The top layer's outputs, and every layer's final state. `initial_state` and `reset_state` are one a layer.

        `deterministic` and `rows` are for every layer (see `RNN`).
        """
        options: list[dict[str, Any]] = [
            {"deterministic": static("deterministic", deterministic), "rows": rows} for _ in self.layers
        ]
        for name, states in (("initial_state", initial_state), ("reset_state", reset_state)):
            if states is not None and len(states) != len(self.layers):
                raise ValueError(f"{name}: expected {len(self.layers)}, one a layer, got {len(states)}")
            for option, state in zip(options, states or (), strict=False):
                option[name] = state
        finals = []
        for layer, option in zip(self.layers, options, strict=True):
            inputs, final = layer(inputs, lengths=lengths, resets=resets, **option)
            finals.append(final)
        return inputs, tuple(finals)

    @property
    def causal(self) -> bool:
        """Whether no output reads a later step."""
        return all(getattr(layer, "causal", True) for layer in self.layers)

    def last(self, final_state: Sequence[State]) -> jax.Array:
        """The top layer's output at each sequence's last step."""
        return self.layers[-1].last(final_state[-1])
