"""One recurrent layer."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import rnnjax.layers as linen
from rnnjax.cells import Cell
from rnnjax.layers.forward import as_inputs, compute_dtype, forward, last_output, one_step
from rnnjax.layers.parameters import as_dicts, cell_params
from rnnjax.modes import known
from rnnjax.nnx.parameters import InitialState, as_arrays, as_variables, learnt
from rnnjax.nnx.streams import Rngs, dropout_stream, key_maker
from rnnjax.recurrences import Chunked, Recurrence
from rnnjax.types import BatchFlags, BatchInputs, Lengths, Size, State, features


class RNN(nnx.Module):
    """One recurrent layer: the NNX counterpart of `rnnjax.RNN`.

    The options are those of `rnnjax.RNN` plus `input_size`, the feature size of the inputs. With the same parameters
    (`from_linen`), the numbers are the same. Parameters are `nnx.Param` with the same names as in Linen:
    `layer.cell["input"]["kernel"]` and so on, and with `learn_initial_state` also `layer.initial_state.hidden`.
    `layer.linen` is the Linen layer with the same options, `layer.linen.cell` the cell. `rngs` initialises the
    parameters (stream "params") and is not stored.

    `deterministic` is the default for calls: True draws no masks, False draws them, and None draws them if the call is
    given `rngs`. `nnx.Module.eval()` and `train()` set it.

    Raises ValueError for a rate outside [0, 1) and for sizes that the cell does not support; when called, as
    `rnnjax.RNN`.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: Size,
        hidden_size: Size,
        recurrence: Recurrence = Chunked(),  # noqa: B008 (frozen)
        *,
        reverse: bool = False,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        input_dropout: float = 0.0,
        output_dropout: float = 0.0,
        state_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | Mapping[str, float] = 0.0,
        learn_initial_state: bool = False,
        deterministic: bool | None = None,
        rngs: nnx.Rngs,
    ):
        # NNX requires static attributes that are hashable and compared by value.
        self.linen = linen.RNN(
            cell,
            hidden_size,
            recurrence,
            reverse=reverse,
            dtype=dtype,
            param_dtype=param_dtype,
            input_dropout=input_dropout,
            output_dropout=output_dropout,
            state_dropout=state_dropout,
            weight_dropout=weight_dropout,
            zoneout=zoneout,
            learn_initial_state=learn_initial_state,
            parent=None,  # not a child of a Linen module that may be running
        )
        self.input_size = tuple(input_size) if isinstance(input_size, list) else input_size
        self.deterministic = deterministic
        params = cell.init_params(rngs.params(), self.input_size, self.linen.hidden_size, param_dtype)
        self.cell = as_variables(as_dicts(params))
        self.initial_state = InitialState(self.linen)

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
        rngs: Rngs = None,
        rows: jax.Array | None = None,
        all_states: bool = False,
    ) -> tuple[Any, ...]:
        """Outputs `(B, T, O)` and the final state from inputs `(B, T, I)`; with `all_states` also all states.

        Arguments are those of `rnnjax.RNN`. Masks are drawn from `rngs`: an `nnx.Rngs` with a stream "dropout" or a
        default stream, or a key. Without it, or if `deterministic` is True, nothing is drawn. Raises ValueError for
        shapes that do not match, and if masks are needed with `deterministic=False` but without `rngs`.
        """
        inputs, options = as_inputs(inputs), self.linen
        if inputs.shape[2:] != features(self.input_size):
            raise ValueError(f"inputs: expected features {features(self.input_size)}, got shape {inputs.shape}")
        dtype = compute_dtype(options, inputs)
        return forward(
            options,
            cell_params(options.cell, as_arrays(self.cell), self.input_size, options.hidden_size, dtype),
            learnt(self.initial_state),
            inputs,
            initial_state,
            lengths,
            resets,
            reset_state=reset_state,
            reverse=options.reverse if reverse is None else known("reverse", reverse),
            make_key=key_maker(dropout_stream(rngs), deterministic, self.deterministic),
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
        rngs: Rngs = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, State]:
        """One step: the output `(B, O)` and the new state, from one observation `(B, I)` and the previous state."""
        options = {"reset_state": reset_state, "deterministic": deterministic, "rngs": rngs, "rows": rows}
        return one_step(self, inputs, state, resets, **options)

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later step."""
        return self.linen.causal

    def last(self, final_state: State, outputs: jax.Array | None = None, lengths: Lengths | None = None) -> jax.Array:
        """The output at the last step of each sequence, `(B, O)` (see `rnnjax.RNN.last`)."""
        return last_output(self.linen.cell, final_state, outputs, lengths, self.linen.reverse)
