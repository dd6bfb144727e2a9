"""A recurrent layer with a norm, a gate and a skip connection around it, as deep linear recurrent networks have it."""

import math
from typing import Any, Literal

import flax.linen as nn
import jax

from rnnjax.cells import Cell, LinearCell
from rnnjax.dropout import check_rate, drop
from rnnjax.layers.containers import NORMS as KNOWN
from rnnjax.layers.containers import layer_options
from rnnjax.layers.forward import as_inputs, at_last, clear_past, compute_dtype, one_step
from rnnjax.layers.rnn import RNN
from rnnjax.layers.stacked import NORMS
from rnnjax.modes import is_deterministic, static
from rnnjax.types import BatchFlags, BatchInputs, Lengths, State, features


class RecurrentBlock(nn.Module):
    """A recurrent layer within a block; a stack of blocks is a deep network of linear cells.

        u = x                                      x P + p if the inputs are not as many as the hidden units
        z = gelu(layer(norm(u)))
        y = u + dropout((z A + a) * sigmoid(z B + b))

    A linear cell by itself has no nonlinearity between two layers: this is the block of the LRU's paper, with the
    projection of its encoder. `norm` is "layer" or "rms". Inputs, outputs and `layer` have `layer.hidden_size`
    features, so that any cell fits, also one whose outputs have the size of its inputs. Use blocks in a `StackedRNN` or
    `Bidirectional` like an `RNN`. Source: Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long
    Sequences". Raises ValueError for an unknown norm, a dropout outside [0, 1) and a layer that is not an `RNN` with
    one feature axis.
    """

    layer: RNN
    norm: Literal["layer", "rms"] = "layer"
    dropout: float = 0.0

    def __post_init__(self):
        if not isinstance(self.layer, RNN) or isinstance(self.layer.hidden_size, tuple):
            raise ValueError(f"layer: expected an RNN with one feature axis, got {self.layer!r:.100}")
        if self.norm not in KNOWN:
            raise ValueError(f"norm: expected one of {sorted(KNOWN)}, got {self.norm!r}")
        check_rate("dropout", self.dropout)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        inputs: BatchInputs,
        initial_state: State | None = None,
        lengths: Lengths | None = None,
        resets: BatchFlags | None = None,
        *,
        reset_state: State | None = None,
        reverse: bool | None = None,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
        all_states: bool = False,
    ) -> tuple[Any, ...]:
        """As `RNN`: outputs `(B, T, H)`, the final state of the layer and, with `all_states`, its states over time."""
        inputs, size = as_inputs(inputs), math.prod(features(self.layer.hidden_size))
        inputs = inputs.astype(compute_dtype(self.layer, inputs))
        options = {"dtype": inputs.dtype, "param_dtype": self.layer.param_dtype}
        if lengths is not None:
            # Values on padded steps (NaN, for example) must not reach the norm or the skip connection.
            inputs = clear_past(inputs, lengths)
        if inputs.shape[-1] != size:
            inputs = nn.Dense(size, name="projection", **options)(inputs)
        normalised = NORMS[self.norm](name="norm", **options)(inputs)
        own = {"rows": rows, "reset_state": reset_state, "reverse": static("reverse", reverse)}
        own = layer_options(deterministic, all_states, **own)
        outputs, *states = self.layer(normalised, initial_state, lengths, resets, **own)
        outputs = nn.glu(nn.Dense(2 * size, name="gate", **options)(nn.gelu(outputs)))
        if self.dropout and not is_deterministic(self, deterministic):
            outputs = drop(lambda: self.make_rng("dropout"), self.dropout, outputs, rows)
        outputs = inputs + outputs
        return (outputs if lengths is None else clear_past(outputs, lengths)), *states

    def step(
        self,
        inputs: jax.Array,
        state: State,
        resets: jax.Array | None = None,
        *,
        reset_state: State | None = None,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, State]:
        """One observation (see `RNN.step`)."""
        options = {"reset_state": reset_state, "deterministic": deterministic, "rows": rows}
        return one_step(self, inputs, state, resets, **options)

    def initial_state(self, batch_size: int, dtype: Any = None) -> State:
        """The default initial state of a call (see `RNN.initial_state`)."""
        return self.layer.initial_state(batch_size, dtype)

    @property
    def cell(self) -> Cell:
        """The cell of the layer."""
        return self.layer.cell

    @property
    def reverse(self) -> bool:
        """Whether the layer runs from the last step to the first."""
        return self.layer.reverse

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later step."""
        return self.layer.causal

    def last(self, final_state: State, outputs: jax.Array | None = None, lengths: Lengths | None = None) -> jax.Array:
        """The output at the last step of each sequence, from the outputs; zeros for a sequence of length 0.

        Raises TypeError if they are not given, as by a `Bidirectional`: use a model that needs no last output.
        """
        if outputs is None:
            raise TypeError(
                "last: expected the outputs too, since the state of a RecurrentBlock does not contain its gate and "
                "skip connection; of a Bidirectional, use a model that needs no last output: pooling 'mean' or 'max', "
                "start='zeros'"
            )
        return at_last(outputs, lengths, self.reverse)


def layer_of(cell: Cell, hidden_size: int, *options: Any, **named: Any) -> RNN | RecurrentBlock:
    """The recurrent layer of a study: an `RNN` with these options; for a `LinearCell`, within a block."""
    layer = RNN(cell, hidden_size, *options, **named, parent=None)
    return RecurrentBlock(layer, parent=None) if isinstance(cell, LinearCell) else layer
