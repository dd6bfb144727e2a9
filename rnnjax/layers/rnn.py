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

    `hidden_size` is a number of features or, for a cell with several feature axes, their shape: `(16, 16, 8)` for 8
    channels on 16 x 16 positions. `dtype` is the compute dtype (None: the promoted dtype of inputs and parameters),
    `param_dtype` the dtype of the parameters. With `learn_initial_state`, the initial state is a parameter, shared by
    all sequences, and resets restore it. Forward-mode differentiation (`jax.jvp`) needs `Scan` or `Unrolled`.

    Regularisation is active only in training: if there is an rng "dropout", unless `deterministic` overrides it. Masks
    are drawn separately for each row of the batch, except those of `weight_dropout`:

        input_dropout, output_dropout  features of the inputs and outputs, the same ones at every step
        state_dropout                  units of the state as input of the recurrent kernel, the same ones at every step;
                                       outputs and the carried state are not masked
        weight_dropout                 weights of the recurrent kernel, the same ones for all rows
        zoneout                        each step draws a new set of units that keep their previous value; one rate, or
                                       rates by state field: {"hidden": 0.05, "cell": 0.5}

    The first four scale the kept values by `1 / (1 - rate)`. Outside training, `zoneout` uses the expectation,
    `rate * before + (1 - rate) * after`. The final state has no output dropout. Sources: Gal and Ghahramani 2016, "A
    Theoretically Grounded Application of Dropout in Recurrent Neural Networks", for the first three; Merity, Keskar and
    Socher 2017, "Regularizing and Optimizing LSTM Language Models"; Krueger et al. 2017, "Zoneout: Regularizing RNNs by
    Randomly Preserving Hidden Activations".

    Raises ValueError for a rate outside [0, 1) and, when called, for zoneout of an unknown state field, or dropout
    without a recurrent kernel; TypeError for `state_dropout` of a cell that is not a `PointwiseCell`.
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
        # The module must be hashable, so its fields must be.
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

        The call starts from `initial_state`, for example the final state of an earlier call. `resets[b, t]` restores
        `reset_state` before step t. For both, None means the initial state of the cell (zeros). Sequences are padded on
        the right; after `lengths[b]` steps the outputs are zero and the state does not change. `reverse` overrides the
        option of the layer. With `all_states`, the third result is the state after every step, each array
        `(B, T, ...)`. Masks are drawn from the rng "dropout"; without it, or with `deterministic=True`, nothing is
        drawn. `rows (B,)` are the row numbers within the whole batch (see `Dropout`). Raises ValueError for shapes that
        do not match.
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
        """One step: the output `(B, O)` and the new state, from one observation `(B, I)` and the previous state.

        `resets (B,)` restores `reset_state` first. Single steps give the same results as one call over all of them.
        """
        options = {"reset_state": reset_state, "deterministic": deterministic, "rows": rows}
        return one_step(self, inputs, state, resets, **options)

    def initial_state(self, batch_size: int, dtype: Any = None) -> State:
        """The default initial state of a call, for this number of sequences.

        A learnt state needs the variables: `layer.apply(variables, batch_size, method="initial_state")`. Raises
        ValueError if they are missing.
        """
        dtype = dtype or self.dtype or self.param_dtype
        if not self.learn_initial_state:
            return start_state(self, batch_size, dtype, None)
        if self.scope is None or not self.has_variable("params", "initial_state"):
            raise ValueError(
                "initial_state: expected the variables that contain the learnt state, got none: "
                'layer.apply(variables, batch_size, method="initial_state")'
            )
        return start_state(self, batch_size, dtype, self.get_variable("params", "initial_state"))

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later step."""
        return not self.reverse

    def last(self, final_state: State, outputs: jax.Array | None = None, lengths: Lengths | None = None) -> jax.Array:
        """The output at the last step of each sequence, `(B, O)`: `hidden` of the final state.

        `outputs` and `lengths` are those of the call that returned the state. If the cell defines an output other than
        `hidden`, the result is taken from `outputs`: zeros for a sequence of length 0, and with output dropout applied.
        Raises TypeError if the outputs of such a cell are not given.
        """
        return last_output(self.cell, final_state, outputs, lengths, self.reverse)
