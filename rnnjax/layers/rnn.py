"""One recurrent layer."""

import functools
from collections.abc import Mapping
from typing import Any

import flax.core
import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.cells import Cell
from rnnjax.dropout import Dropout, check_has_kernel, check_rate, drop_weights, state_mask, zoneout_masks, zoneout_rates
from rnnjax.dtypes import promoted
from rnnjax.layers.parameters import declare_cell
from rnnjax.modes import is_deterministic, known
from rnnjax.recurrences import Chunked, Noise, Recurrence
from rnnjax.recurrences.noise import reader_of_hidden
from rnnjax.types import BatchFlags, BatchInputs, Lengths, Params, State


def as_resets(inputs: BatchInputs, resets: Any) -> BatchFlags | None:
    """Resets as an array of bools. Raises ValueError where they are not one a step and sequence."""
    if resets is None:
        return None
    resets = jnp.asarray(resets).astype(bool)
    if resets.shape != inputs.shape[:2]:
        raise ValueError(f"resets: expected shape (B, T) = {inputs.shape[:2]}, got {resets.shape}")
    return resets


class RNN(nn.Module):
    """One recurrent layer: `cell` run over time by `recurrence`.

    `dtype` is what is computed in (None: what inputs and parameters promote to), `param_dtype` what
    parameters are kept in. Forward-mode differentiation (`jax.jvp`) needs `Scan` or `Unrolled`.

    Regularisation, in training only, which is where there is an rng "dropout" unless `deterministic` says otherwise;
    every mask that of one row of the batch unless said otherwise:

        input_dropout, output_dropout  features of the inputs and outputs, the same ones at every step
        state_dropout                  units of the state where the recurrent kernel reads it, the same ones at
                                       every step; outputs and the state carried on have them
        weight_dropout                 weights of the recurrent kernel, the same ones for all rows
        zoneout                        units keep their value of the step before, others at every step; one rate, or
                                       one for a state field by name: {"hidden": 0.05, "cell": 0.5}

    What is kept of the first four is scaled by `1 / (1 - rate)`; outside training `zoneout` gives the expectation,
    `rate * before + (1 - rate) * after`. The final state has no output dropout. Sources: Gal and Ghahramani 2016,
    "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", for the first three; Merity,
    Keskar and Socher 2017, "Regularizing and Optimizing LSTM Language Models"; Krueger et al. 2017, "Zoneout:
    Regularizing RNNs by Randomly Preserving Hidden Activations".

    Raises ValueError for a rate outside [0, 1), a zoneout of a field that the state has not, or where there is no
    recurrent kernel to drop from; TypeError for `state_dropout` of a cell that is not a `PointwiseCell`.
    """

    cell: Cell
    hidden_size: int
    recurrence: Recurrence = Chunked()
    reverse: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32
    input_dropout: float = 0.0
    output_dropout: float = 0.0
    state_dropout: float = 0.0
    weight_dropout: float = 0.0
    zoneout: float | Mapping[str, float] = 0.0

    def __post_init__(self):
        for name in ("input_dropout", "output_dropout", "state_dropout", "weight_dropout"):
            check_rate(name, getattr(self, name))
        zoneout_rates(self.cell, self.zoneout, self.hidden_size)
        if isinstance(self.zoneout, Mapping):
            self.zoneout = flax.core.freeze(dict(self.zoneout))  # hashable, so that the module is
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
    ) -> tuple[jax.Array, State]:
        """Outputs `(B, T, H)` and the final state, from inputs `(B, T, I)`.

        The call begins from `initial_state`, an earlier call's final state, say; `resets[b, t]` puts `reset_state`
        back before step t. Both are the cell's own initial state, zeros, where None. Sequences are padded on the
        right; past its `lengths[b]` a sequence's outputs are zero and its state is held. `reverse` overrides the
        field. Masks are drawn from the rng "dropout", and no mask where there is none or with `deterministic=True`;
        `rows (B,)` numbers each row within the whole batch (see `Dropout`). Raises ValueError where shapes do not
        fit.
        """
        inputs = jnp.asarray(inputs)
        if inputs.ndim != 3:
            raise ValueError(f"inputs: expected shape (B, T, I), got {inputs.shape}")
        resets = as_resets(inputs, resets)
        lengths = None if lengths is None else jnp.asarray(lengths)
        deterministic = is_deterministic(self, deterministic)
        dtype = self.dtype or promoted(inputs, self.param_dtype)
        params = declare_cell(self, self.cell, inputs.shape[-1], self.hidden_size, dtype, self.param_dtype)
        if initial_state is None:
            initial_state = self.cell.init_state(inputs.shape[0], self.hidden_size, dtype)
        inputs = Dropout(self.input_dropout, shared_axes=(1,))(inputs.astype(dtype), rows, deterministic=deterministic)
        params, noise = self._regularise(params, inputs, rows, deterministic)
        hidden, final_state = self.recurrence(
            self.cell,
            params,
            jnp.swapaxes(inputs, 0, 1),
            initial_state,
            lengths=lengths,
            resets=None if resets is None else jnp.swapaxes(resets, 0, 1),
            reset_state=reset_state,
            reverse=self.reverse if reverse is None else known("reverse", reverse),
            noise=noise,
        )
        outputs = Dropout(self.output_dropout, shared_axes=(1,))(
            jnp.swapaxes(hidden, 0, 1), rows, deterministic=deterministic
        )
        return outputs, final_state

    def _regularise(
        self, params: Params, inputs: jax.Array, rows: jax.Array | None, deterministic: bool
    ) -> tuple[Params, Noise]:
        """The parameters with weights dropped, and what the recurrence does to the state."""
        if self.weight_dropout:
            check_has_kernel(self.cell, params)
        if self.state_dropout:
            reader_of_hidden(self.cell, params, "state_dropout")
        rates = zoneout_rates(self.cell, self.zoneout, self.hidden_size)
        if deterministic:
            return params, Noise(hold=rates)
        batch, time, _ = inputs.shape
        make_key = functools.partial(self.make_rng, "dropout")
        if self.weight_dropout:
            params = drop_weights(make_key(), params, self.weight_dropout)
        mask = None
        if self.state_dropout:
            mask = state_mask(make_key(), self.state_dropout, batch, rows, self.hidden_size)
        return params, Noise(mask, zoneout_masks(make_key, rates, batch, rows, time, self.hidden_size))

    @property
    def causal(self) -> bool:
        """Whether no output reads a later step."""
        return not self.reverse

    def last(self, final_state: State) -> jax.Array:
        """The output at each sequence's last step, `(B, H)`, from the final state."""
        return final_state.hidden
