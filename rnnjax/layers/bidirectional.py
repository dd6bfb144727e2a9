"""Two layers over the same inputs, one in each direction."""

from typing import Any, Literal

import flax.linen as nn
import jax

from rnnjax.layers.block import RecurrentBlock
from rnnjax.layers.containers import both_directions, check_merge, last_of_both, layer_options, refuse_step
from rnnjax.layers.rnn import RNN
from rnnjax.modes import check_separate
from rnnjax.types import BatchFlags, BatchInputs, Lengths, State


class Bidirectional(nn.Module):
    """Two layers over the same inputs, one in each direction, with their outputs merged at every step.

    `backward` runs from the last step of each sequence to the first, whatever its `reverse` option is. `merge` is
    "concat", "sum", "mean" or "product". Source: Schuster and Paliwal 1997, "Bidirectional Recurrent Neural Networks".
    Raises ValueError for an unknown merge or the same layer object for both directions and, when called, for outputs
    with sizes that cannot be merged.
    """

    forward: RNN | RecurrentBlock
    backward: RNN | RecurrentBlock
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

        `resets[b, t]` means that a new sequence starts at step t: the backward layer is then reset at step t-1, the
        last step of the previous sequence. `initial_state` and `reset_state` are pairs, one entry for each direction.
        `deterministic` and `rows` apply to both layers (see `RNN`). With `all_states`, the third result is the states
        of both directions over time; those of the backward layer are in the order of the inputs.
        """
        options = layer_options(deterministic, all_states, rows=rows)
        layers = self.forward, self.backward
        return both_directions(layers, self.merge, inputs, initial_state, lengths, resets, reset_state, options)

    def initial_state(self, batch_size: int, dtype: Any = None) -> tuple[State, State]:
        """The default initial states of a call (see `RNN.initial_state`)."""
        return self.forward.initial_state(batch_size, dtype), self.backward.initial_state(batch_size, dtype)

    def step(self, *args: Any, **options: Any) -> Any:
        """Raises ValueError: the backward layer cannot process one observation at a time."""
        refuse_step()

    @property
    def causal(self) -> bool:
        """False: the outputs of the backward layer depend on later steps."""
        return False

    def last(
        self, final_state: tuple[State, State], outputs: jax.Array | None = None, lengths: Lengths | None = None
    ) -> jax.Array:
        """The merged outputs of both directions, each at the last step that it ran, from the final states.

        Raises TypeError for a cell with an output other than `hidden`: the merged outputs cannot be separated.
        """
        layers = self.forward, self.backward
        return last_of_both(layers, (self.forward.cell, self.backward.cell), self.merge, final_state)
