"""Two layers over the same inputs, one in each direction."""

from typing import Any, Literal

import flax.linen as nn
import jax

from rnnjax.layers.containers import both_directions, check_merge, last_of_both, layer_options, refuse_step
from rnnjax.layers.rnn import RNN
from rnnjax.modes import check_separate
from rnnjax.types import BatchFlags, BatchInputs, Lengths, State


class Bidirectional(nn.Module):
    """Two layers over the same inputs, one in each direction, their outputs merged step by step.

    `backward` runs from each sequence's last step down, whatever its own `reverse` says. `merge` is
    "concat", "sum", "mean" or "product". Source: Schuster and Paliwal 1997, "Bidirectional Recurrent Neural
    Networks". Raises ValueError for another merge or one layer for both directions and, when called, for outputs whose
    sizes do not merge.
    """

    forward: RNN
    backward: RNN
    merge: Literal["concat", "sum", "mean", "product"] = "concat"

    def __post_init__(self):
        check_merge(self.merge)
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
        all_states: bool = False,
    ) -> tuple[Any, ...]:
        """Outputs `(B, T, 2H)` (`(B, T, H)` unless merge is "concat") and both final states.

        `resets[b, t]` says that a new sequence starts at step t: the backward layer then starts afresh at
        step t-1, the last one of the sequence before. `initial_state` and `reset_state` are one for each direction;
        `deterministic` and `rows` are for both layers (see `RNN`). With `all_states` both directions' states over time
        follow as a third; a backward layer's stand at the inputs that they read.
        """
        options = layer_options(deterministic, all_states, rows=rows)
        layers = self.forward, self.backward
        return both_directions(layers, self.merge, inputs, initial_state, lengths, resets, reset_state, options)

    def initial_state(self, batch_size: int, dtype: Any = None) -> tuple[State, State]:
        """The states that a call begins from where none are given (see `RNN.initial_state`)."""
        return self.forward.initial_state(batch_size, dtype), self.backward.initial_state(batch_size, dtype)

    def step(self, *args: Any, **options: Any) -> Any:
        """Raises ValueError: the backward layer cannot read one observation after the other."""
        refuse_step()

    @property
    def causal(self) -> bool:
        """False: the backward layer's outputs read later steps."""
        return False

    def last(
        self, final_state: tuple[State, State], outputs: jax.Array | None = None, lengths: Lengths | None = None
    ) -> jax.Array:
        """Both directions' outputs at the last step that each ran, merged, from the final states.

        Raises TypeError for a cell with an output of its own: merged, both directions' cannot be told apart.
        """
        layers = self.forward, self.backward
        return last_of_both(layers, (self.forward.cell, self.backward.cell), self.merge, final_state)
