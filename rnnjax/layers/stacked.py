"""A stack of recurrent layers."""

from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax

from rnnjax.dropout import drop
from rnnjax.dtypes import promoted
from rnnjax.layers.containers import all_causal, check_stack, last_of_stack, layer_options, stacked
from rnnjax.layers.forward import one_step
from rnnjax.modes import check_separate, is_deterministic
from rnnjax.types import BatchFlags, BatchInputs, Lengths, State

NORMS = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}


class StackedRNN(nn.Module):
    """A stack of recurrent layers: the outputs of each layer are the inputs of the next.

        y_l = layer_l(norm_l(x_l))
        x_{l+1} = dropout(y_l) + x_l               x_l only with `residual`, no dropout after the last layer

    `norm` is "layer", "rms" or None, with separate parameters for each layer. `dropout` draws a mask for each row and
    step in training (see `RNN`). With `residual`, the inputs of the first layer are added if they have the size of its
    outputs; for the other layers the sizes must be equal. After the end of a sequence, its outputs are zero. Sources:
    Ba, Kiros and Hinton 2016, "Layer Normalization"; Zhang and Sennrich 2019, "Root Mean Square Layer Normalization";
    Zaremba, Sutskever and Vinyals 2014, "Recurrent Neural Network Regularization" (dropout between layers); Wu et al.
    2016, "Google's Neural Machine Translation System" (residual connections). Raises ValueError if there is no layer or
    the same layer object twice, for an unknown norm, and for a dropout outside [0, 1).
    """

    layers: Sequence[nn.Module]
    residual: bool = False
    norm: Literal["layer", "rms"] | None = None
    dropout: float = 0.0

    def __post_init__(self):
        check_stack(self.layers, self.norm, self.dropout)
        self.layers = tuple(self.layers)  # the module must be hashable
        check_separate("layers", self.layers)
        super().__post_init__()

    @nn.compact
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
        all_states: bool = False,
    ) -> tuple[Any, ...]:
        """The outputs of the top layer and the final states of all layers.

        `initial_state` and `reset_state` have one entry for each layer. With `all_states`, the third result is the
        states of every layer over time. `deterministic` and `rows` apply to every layer (see `RNN`).
        """
        draws = self.dropout and not is_deterministic(self, deterministic)

        def dropped(outputs: jax.Array) -> jax.Array:
            return drop(lambda: self.make_rng("dropout"), self.dropout, outputs, rows) if draws else outputs

        return stacked(
            self.layers,
            inputs,
            initial_state,
            lengths,
            resets,
            reset_state,
            layer_options(deterministic, all_states, rows=rows),
            normalised=self._normalised,
            dropped=dropped,
            residual=self.residual,
        )

    def _normalised(self, i: int, inputs: jax.Array) -> jax.Array:
        if self.norm is None:
            return inputs
        # The compute dtype is that of the inputs: the float32 parameters of a norm must not widen it.
        return NORMS[self.norm](dtype=promoted(inputs), name=f"norm_{i}")(inputs)

    def step(
        self,
        inputs: jax.Array,
        state: Sequence[State],
        resets: jax.Array | None = None,
        *,
        reset_state: Sequence[State] | None = None,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[State, ...]]:
        """One observation through all layers (see `RNN.step`), with one state for each layer."""
        options = {"reset_state": reset_state, "deterministic": deterministic, "rows": rows}
        return one_step(self, inputs, state, resets, **options)

    def initial_state(self, batch_size: int, dtype: Any = None) -> tuple[State, ...]:
        """The default initial states of a call (see `RNN.initial_state`)."""
        return tuple(layer.initial_state(batch_size, dtype) for layer in self.layers)

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later step."""
        return all_causal(self.layers)

    def last(
        self, final_state: Sequence[State], outputs: jax.Array | None = None, lengths: Lengths | None = None
    ) -> jax.Array:
        """The output of the stack at the last step of each sequence (see `RNN.last`).

        Raises TypeError with `residual` if outputs are not given, since no state contains the added inputs, or if the
        top layer is a `Bidirectional`.
        """
        return last_of_stack(self.layers, self.residual, final_state, outputs, lengths)
