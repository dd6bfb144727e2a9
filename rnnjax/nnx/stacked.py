"""A stack of recurrent layers."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
from flax import nnx

import rnnjax.layers as linen
from rnnjax.dropout import drop
from rnnjax.layers.containers import all_causal, check_stack, last_of_stack, layer_options, stacked
from rnnjax.layers.forward import one_step
from rnnjax.nnx.parameters import check_separate
from rnnjax.nnx.streams import Rngs, dropout_stream, key_maker
from rnnjax.types import BatchFlags, BatchInputs, Lengths, Size, State, features

Norm = Literal["layer", "rms"] | None

NORMS: dict[str, Any] = {"layer": nnx.LayerNorm, "rms": nnx.RMSNorm}


def as_they_are(arrays: tuple[Any, ...], *, dtype: Any = None) -> tuple[Any, ...]:
    """The arrays without dtype promotion: float32 parameters of a norm are not rounded to the dtype of the inputs."""
    return arrays


class StackedRNN(nnx.Module):
    """A stack of recurrent layers: the NNX counterpart of `rnnjax.StackedRNN`, with the same options.

    Layers are the attributes `layers_0`, `layers_1`, ..., and with `norm` there are `norm_0`, ..., as in Linen. Only
    the norms need `rngs`. `deterministic` applies to the dropout between layers, see `RNN`. Raises ValueError if there
    is no layer or the same layer object twice, for an unknown norm, a norm without `rngs`, and a dropout outside
    [0, 1).
    """

    def __init__(
        self,
        layers: Sequence[Any],
        *,
        residual: bool = False,
        norm: Norm = None,
        dropout: float = 0.0,
        deterministic: bool | None = None,
        rngs: nnx.Rngs | None = None,
    ):
        check_stack(layers, norm, dropout)
        check_separate("layers", layers)
        self.depth = len(layers)
        self.residual = residual
        self.norm: Norm = norm
        self.dropout = dropout
        self.deterministic = deterministic
        for i, layer in enumerate(layers):
            setattr(self, f"layers_{i}", layer)
        if norm is not None:
            if rngs is None:
                raise ValueError(f"rngs: expected an nnx.Rngs for norm {norm!r}, got None")
            for i, layer in enumerate(layers):
                size = features(layer.input_size)[-1]
                setattr(self, f"norm_{i}", NORMS[norm](size, promote_dtype=as_they_are, rngs=rngs))

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers, from the first to the last."""
        return tuple(getattr(self, f"layers_{i}") for i in range(self.depth))

    def __call__(
        self,
        inputs: BatchInputs,
        initial_state: Sequence[State] | None = None,
        lengths: Lengths | None = None,
        resets: BatchFlags | None = None,
        *,
        reset_state: Sequence[State] | None = None,
        deterministic: bool | None = None,
        rngs: Rngs = None,
        rows: jax.Array | None = None,
        all_states: bool = False,
    ) -> tuple[Any, ...]:
        """The outputs of the top layer and the final states of all layers.

        See `rnnjax.StackedRNN`; `initial_state` and `reset_state` have one entry for each layer. Each layer draws its
        own masks from `rngs`.
        """
        stream = dropout_stream(rngs)
        make_key = key_maker(stream, deterministic, self.deterministic)

        def dropped(outputs: jax.Array) -> jax.Array:
            return outputs if make_key is None else drop(make_key, self.dropout, outputs, rows)

        return stacked(
            self.layers,
            inputs,
            initial_state,
            lengths,
            resets,
            reset_state,
            layer_options(deterministic, all_states, rngs=stream, rows=rows),
            normalised=self._normalised,
            dropped=dropped,
            residual=self.residual,
        )

    def _normalised(self, i: int, inputs: jax.Array) -> jax.Array:
        # The compute dtype is that of the inputs: the float32 parameters of a norm must not widen it.
        return inputs if self.norm is None else getattr(self, f"norm_{i}")(inputs).astype(inputs.dtype)

    def step(
        self,
        inputs: jax.Array,
        state: Sequence[State],
        resets: jax.Array | None = None,
        *,
        reset_state: Sequence[State] | None = None,
        deterministic: bool | None = None,
        rngs: Rngs = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[State, ...]]:
        """One observation through all layers (see `RNN.step`), with one state for each layer."""
        options = {"reset_state": reset_state, "deterministic": deterministic, "rngs": rngs, "rows": rows}
        return one_step(self, inputs, state, resets, **options)

    @property
    def input_size(self) -> Size:
        """The feature size of the inputs."""
        return self.layers[0].input_size

    @property
    def linen(self) -> linen.StackedRNN:
        """The Linen layer with the same options."""
        layers = [layer.linen.clone(parent=None) for layer in self.layers]
        return linen.StackedRNN(layers, self.residual, self.norm, self.dropout, parent=None)

    def initial_state(self, batch_size: int, dtype: Any = None) -> tuple[State, ...]:
        """The default initial states of a call."""
        return tuple(layer.initial_state(batch_size, dtype) for layer in self.layers)

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later step."""
        return all_causal(self.layers)

    def last(
        self, final_state: Sequence[State], outputs: jax.Array | None = None, lengths: Lengths | None = None
    ) -> jax.Array:
        """The output of the stack at the last step of each sequence (see `rnnjax.StackedRNN.last`)."""
        return last_of_stack(self.layers, self.residual, final_state, outputs, lengths)
