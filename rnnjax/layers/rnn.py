"""One recurrent layer."""

from collections.abc import Mapping
from typing import Any

import flax.core
import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.cells import Cell
from rnnjax.layers.forward import (
    as_inputs,
    check_options,
    compute_dtype,
    forward,
    input_size,
    last_output,
    one_row,
    one_step,
    start_state,
)
from rnnjax.layers.parameters import declare_cell
from rnnjax.modes import is_deterministic, known
from rnnjax.recurrences import Chunked, Recurrence
from rnnjax.types import BatchFlags, BatchInputs, Lengths, Size, State


class RNN(nn.Module):
    """One recurrent layer: `cell` run over time by `recurrence`.

    `hidden_size` is a number of features, or for a cell over several feature axes their shape: `(16, 16, 8)` for 8
    channels on 16 x 16 places. `dtype` is what is computed in (None: what inputs and parameters promote to),
    `param_dtype` what parameters are kept in. With `learn_initial_state` the state that a call begins from, and that a
    reset puts back, is a parameter, the same for every sequence. Forward-mode differentiation (`jax.jvp`) needs `Scan`
    or `Unrolled`.

    Regularisation, in training only, which is where there is an rng "dropout" unless `deterministic` says otherwise;
    every mask that of one row of the batch unless said otherwise:

        input_dropout, output_dropout  features of the inputs and outputs, the same ones at every step
        state_dropout                  units of the state where the recurrent kernel reads it, the same ones at
                                       every step; outputs and the state carried on have them
        weight_dropout                 weights of the recurrent kernel, the same ones for all rows
        zoneout                        each step draws a new set of units that keep their previous value; one rate, or
                                       one for a state field by name: {"hidden": 0.05, "cell": 0.5}

    What is kept of the first four is scaled by `1 / (1 - rate)`; outside training `zoneout` gives the expectation,
    `rate * before + (1 - rate) * after`. The final state has no output dropout. Sources: Gal and Ghahramani 2016,
    "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", for the first three; Merity,
    Keskar and Socher 2017, "Regularizing and Optimizing LSTM Language Models"; Krueger et al. 2017, "Zoneout:
    Regularizing RNNs by Randomly Preserving Hidden Activations".

    Raises ValueError for a rate outside [0, 1) and, when called, a zoneout of a field that the state has not, or where
    there is no recurrent kernel to drop from; TypeError for `state_dropout` of a cell that is not a `PointwiseCell`.
    """

    cell: Cell
    hidden_size: Size
    recurrence: Recurrence = Chunked()
    reverse: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32
    input_dropout: float = 0.0
    output_dropout: float = 0.0
    state_dropout: float = 0.0
    weight_dropout: float = 0.0
    zoneout: float | Mapping[str, float] = 0.0
    learn_initial_state: bool = False

    def __post_init__(self):
        check_options(self)
        # Hashable, so that the module is.
        if isinstance(self.zoneout, Mapping):
            self.zoneout = flax.core.freeze(dict(self.zoneout))
        if isinstance(self.hidden_size, list):
            self.hidden_size = tuple(self.hidden_size)
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
        """Outputs `(B, T, O)` and the final state, from inputs `(B, T, I)`.

        The call begins from `initial_state`, an earlier call's final state, say; `resets[b, t]` puts `reset_state`
        back before step t. Both are the cell's own initial state, zeros, where None. Sequences are padded on the
        right; past its `lengths[b]` a sequence's outputs are zero and its state is held. `reverse` overrides the
        field. With `all_states` the state after every step follows as a third, each array `(B, T, ...)`. Masks are
        drawn from the rng "dropout", and no mask where there is none or with `deterministic=True`; `rows (B,)` numbers
        each row within the whole batch (see `Dropout`). Raises ValueError where shapes do not fit.
        """
        inputs = as_inputs(inputs)
        dtype = compute_dtype(self, inputs)
        params = declare_cell(self, self.cell, input_size(inputs), self.hidden_size, dtype, self.param_dtype)
        learnt = None
        if self.learn_initial_state:
            learnt = self.param("initial_state", lambda _: one_row(self.cell, self.hidden_size, self.param_dtype))
        return forward(
            self,
            params,
            learnt,
            inputs,
            initial_state,
            lengths,
            resets,
            reset_state=reset_state,
            reverse=self.reverse if reverse is None else known("reverse", reverse),
            make_key=None if is_deterministic(self, deterministic) else lambda: self.make_rng("dropout"),
            rows=rows,
            all_states=known("all_states", all_states),
        )

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
        """One observation `(B, I)` and the state before it in, its output `(B, O)` and the state after it out.

        `resets (B,)` puts `reset_state` back first. Steps one after the other give what one call over all of them
        gives.
        """
        options = {"reset_state": reset_state, "deterministic": deterministic, "rows": rows}
        return one_step(self, inputs, state, resets, **options)

    def initial_state(self, batch_size: int, dtype: Any = None) -> State:
        """The state that a call begins from where none is given, for so many sequences.

        A learnt one is among the variables: `layer.apply(variables, batch_size, method="initial_state")`. Raises
        ValueError where they are not given.
        """
        dtype = dtype or self.dtype or self.param_dtype
        if not self.learn_initial_state:
            return start_state(self, batch_size, dtype, None)
        if self.scope is None or not self.has_variable("params", "initial_state"):
            raise ValueError(
                "initial_state: expected the variables that it is learnt in, got none: "
                'layer.apply(variables, batch_size, method="initial_state")'
            )
        return start_state(self, batch_size, dtype, self.get_variable("params", "initial_state"))

    @property
    def causal(self) -> bool:
        """Whether no output reads a later step."""
        return not self.reverse

    def last(self, final_state: State, outputs: jax.Array | None = None, lengths: Lengths | None = None) -> jax.Array:
        """The output at the last step that each sequence runs, `(B, O)`: the final state's `hidden`.

        `outputs` and `lengths` are those of the call that the state is of.
        For a cell with an output of its own it is read from `outputs`: zeros for a sequence of length 0, and output
        dropout has reached it. Raises TypeError where that cell's outputs are not given.
        """
        return last_output(self.cell, final_state, outputs, lengths, self.reverse)
