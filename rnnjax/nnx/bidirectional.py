"""Two layers over the same inputs, one in each direction."""

from typing import Any, Literal

import jax
from flax import nnx

import rnnjax.layers as linen
from rnnjax.layers.containers import both_directions, check_merge, last_of_both, layer_options, refuse_step
from rnnjax.nnx.parameters import check_separate
from rnnjax.nnx.rnn import RNN
from rnnjax.nnx.streams import Rngs, dropout_stream
from rnnjax.types import BatchFlags, BatchInputs, Lengths, Size, State

# Also annotates the attribute, because `linen` passes it to the Linen layer.
Merge = Literal["concat", "sum", "mean", "product"]


class Bidirectional(nnx.Module):
    """Two layers, one in each direction: the NNX counterpart of `rnnjax.Bidirectional`.

    `backward` runs from the last step of each sequence to the first, whatever its `reverse` option is. Raises
    ValueError for an unknown merge, the same layer object for both directions, and layers with different input sizes.
    """

    def __init__(self, forward: RNN, backward: RNN, merge: Merge = "concat"):
        check_merge(merge)
        check_separate("forward, backward", (forward, backward))
        if forward.input_size != backward.input_size:
            raise ValueError(
                f"forward, backward: expected equal input_size, got {forward.input_size} and {backward.input_size}"
            )
        self.forward = forward
        self.backward = backward
        self.merge: Merge = merge

    def __call__(
        self,
        inputs: BatchInputs,
        initial_state: tuple[State, State] | None = None,
        lengths: Lengths | None = None,
        resets: BatchFlags | None = None,
        *,
        reset_state: tuple[State, State] | None = None,
        deterministic: bool | None = None,
        rngs: Rngs = None,
        rows: jax.Array | None = None,
        all_states: bool = False,
    ) -> tuple[Any, ...]:
        """Outputs `(B, T, 2H)` (`(B, T, H)` unless merge is "concat") and both final states.

        See `rnnjax.Bidirectional`. Each layer draws its own masks from `rngs`.
        """
        options = layer_options(deterministic, all_states, rngs=dropout_stream(rngs), rows=rows)
        layers = self.forward, self.backward
        return both_directions(layers, self.merge, inputs, initial_state, lengths, resets, reset_state, options)

    @property
    def input_size(self) -> Size:
        """The feature size of the inputs."""
        return self.forward.input_size

    @property
    def linen(self) -> linen.Bidirectional:
        """The Linen layer with the same options."""
        forward, backward = self.forward.linen.clone(parent=None), self.backward.linen.clone(parent=None)
        return linen.Bidirectional(forward, backward, self.merge, parent=None)

    def initial_state(self, batch_size: int, dtype: Any = None) -> tuple[State, State]:
        """The default initial states of a call."""
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
        """The merged outputs of both directions, each at its last step (see `rnnjax.Bidirectional.last`)."""
        layers = self.forward, self.backward
        return last_of_both(layers, (self.forward.linen.cell, self.backward.linen.cell), self.merge, final_state)
