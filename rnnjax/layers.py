"""Flax modules over cells and recurrences: they declare parameters and hold no maths."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import flax.core
import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.cells import Cell
from rnnjax.dropout import Dropout, check_has_kernel, check_rate, drop_weights, state_mask, zoneout_masks, zoneout_rates
from rnnjax.recurrences import Chunked, Noise, Recurrence
from rnnjax.recurrences.noise import reader_of_hidden
from rnnjax.types import BatchFlags, BatchInputs, Lengths, Params, State

MERGES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "concat": lambda forward, backward: jnp.concatenate([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "mean": lambda forward, backward: (forward + backward) / 2,
    "product": lambda forward, backward: forward * backward,
}


def declare_cell(
    module: nn.Module, cell: Cell, input_size: int, hidden_size: int, dtype: Any, param_dtype: Any
) -> Params:
    """The cell's parameters as one entry "cell" of the module, a plain dict there; cast to the compute dtype."""

    def init(key: jax.Array) -> Params:
        return cell.init_params(key, input_size, hidden_size, param_dtype)

    def fields(key: jax.Array) -> dict[str, jax.Array]:
        return {name: value for name, value in init(key)._asdict().items() if value is not None}

    return cell_params(cell, module.param("cell", fields), dtype)


def cell_params(cell: Cell, values: Mapping[str, jax.Array], dtype: Any) -> Params:
    """A cell's parameters from the dict that a module keeps them in, cast to a dtype."""
    template = jax.eval_shape(lambda: cell.init_params(jax.random.key(0), 1, 1))
    params = type(template)(**{name: values.get(name) for name in template._fields})
    return jax.tree.map(lambda leaf: leaf.astype(dtype), params)


def check_resets(inputs: jax.Array, resets: jax.Array | None) -> None:
    """Raises ValueError where resets are not one a step and sequence."""
    if resets is not None and resets.shape != inputs.shape[:2]:
        raise ValueError(f"resets: expected shape (B, T) = {inputs.shape[:2]}, got {resets.shape}")


class RNN(nn.Module):
    """One recurrent layer: `cell` run over time by `recurrence`.

    `dtype` is what is computed in (None: what inputs and parameters promote to), `param_dtype` what
    parameters are kept in. Forward-mode differentiation (`jax.jvp`) needs `Scan` or `Unrolled`.

    Regularisation, in training only, every mask that of one row of the batch unless said otherwise:

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
        zoneout_rates(self.cell, self.zoneout)
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
        reverse: bool | None = None,
        deterministic: bool = True,
        rows: jax.Array | None = None,
        carried: State | None = None,
    ) -> tuple[jax.Array, State]:
        """Outputs `(B, T, H)` and the final state, from inputs `(B, T, I)`.

        `initial_state` is zeros where None. Sequences are padded on the right; past its `lengths[b]` a
        sequence's outputs are zero and its state is held. `resets[b, t]` puts the initial state back before
        step t; `carried`, an earlier call's final state, is what the first step begins from in place of it.
        `reverse` overrides the field. Unless deterministic, masks are drawn from the rng "dropout";
        `rows (B,)` numbers each row within the whole batch (see `Dropout`). Raises ValueError where shapes do not
        fit.
        """
        if inputs.ndim != 3:
            raise ValueError(f"inputs: expected shape (B, T, I), got {inputs.shape}")
        check_resets(inputs, resets)
        dtype = self.dtype or jnp.result_type(inputs, self.param_dtype)
        params = declare_cell(self, self.cell, inputs.shape[-1], self.hidden_size, dtype, self.param_dtype)
        if initial_state is None:
            initial_state = self.cell.init_state(inputs.shape[0], self.hidden_size, dtype)
        going_on = {} if carried is None else {"carried": carried}
        inputs = Dropout(self.input_dropout, shared_axes=(1,))(inputs, rows, deterministic=deterministic)
        params, noise = self._regularise(params, inputs, rows, deterministic)
        hidden, final_state = self.recurrence(
            self.cell,
            params,
            jnp.swapaxes(inputs, 0, 1).astype(dtype),
            initial_state,
            lengths=lengths,
            resets=None if resets is None else jnp.swapaxes(resets, 0, 1),
            reverse=self.reverse if reverse is None else reverse,
            noise=noise,
            **going_on,
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
        rates = zoneout_rates(self.cell, self.zoneout)
        if deterministic:
            return params, Noise(hold=rates)
        batch, time, _ = inputs.shape
        rows = jnp.arange(batch) if rows is None else rows
        make_key = functools.partial(self.make_rng, "dropout")
        if self.weight_dropout:
            params = drop_weights(make_key(), params, self.weight_dropout)
        mask = None
        if self.state_dropout:
            mask = state_mask(make_key(), self.state_dropout, rows, self.hidden_size)
        return params, Noise(mask, zoneout_masks(make_key, rates, rows, time, self.hidden_size))

    def last(self, final_state: State) -> jax.Array:
        """The output at each sequence's last step, `(B, H)`, from the final state."""
        return final_state.hidden


class Bidirectional(nn.Module):
    """Two layers over the same inputs, one in each direction, their outputs merged step by step.

    `backward` runs from each sequence's last step down, whatever its own `reverse` says. `merge` is
    "concat", "sum", "mean" or "product". Source: Schuster and Paliwal 1997, "Bidirectional Recurrent Neural
    Networks". Raises ValueError for another merge, or sizes that do not merge.
    """

    forward: RNN
    backward: RNN
    merge: Literal["concat", "sum", "mean", "product"] = "concat"

    def __post_init__(self):
        if self.merge not in MERGES:
            raise ValueError(f"merge: expected one of {sorted(MERGES)}, got {self.merge!r}")
        sizes = self.forward.hidden_size, self.backward.hidden_size
        if self.merge != "concat" and sizes[0] != sizes[1]:
            raise ValueError(f"merge {self.merge!r}: expected two layers of one hidden_size, got {sizes}")
        super().__post_init__()

    def __call__(
        self,
        inputs: BatchInputs,
        initial_state: tuple[State, State] | None = None,
        lengths: Lengths | None = None,
        resets: BatchFlags | None = None,
        *,
        deterministic: bool = True,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[State, State]]:
        """Outputs `(B, T, 2H)` (`(B, T, H)` unless merge is "concat") and both final states.

        `resets[b, t]` says that a new sequence starts at step t: the backward layer then starts afresh at
        step t-1, the last one of the sequence before. `deterministic` and `rows` are for both layers (see `RNN`).
        """
        check_resets(inputs, resets)
        forward_state, backward_state = initial_state or (None, None)
        # A reset before the backward layer's first step, which the roll may bring there, changes nothing.
        backward_resets = None if resets is None else jnp.roll(resets, -1, axis=1)
        options = {"deterministic": deterministic, "rows": rows}
        forward, forward_state = self.forward(inputs, forward_state, lengths, resets, reverse=False, **options)
        backward, backward_state = self.backward(
            inputs, backward_state, lengths, backward_resets, reverse=True, **options
        )
        return MERGES[self.merge](forward, backward), (forward_state, backward_state)

    def last(self, final_state: tuple[State, State]) -> jax.Array:
        """Both directions' outputs at the last step that each ran, merged, from the final states."""
        forward, backward = final_state
        return MERGES[self.merge](self.forward.last(forward), self.backward.last(backward))


class StackedRNN(nn.Module):
    """Recurrent layers one on the other, each reading the outputs of the one below.

    Raises ValueError where there is no layer.
    """

    layers: Sequence[nn.Module]

    def __post_init__(self):
        if not self.layers:
            raise ValueError("layers: expected at least one, got none")
        self.layers = tuple(self.layers)  # hashable, so that the module is
        super().__post_init__()

    def __call__(
        self,
        inputs: BatchInputs,
        initial_state: Sequence[State] | None = None,
        lengths: Lengths | None = None,
        resets: BatchFlags | None = None,
        *,
        deterministic: bool = True,
        rows: jax.Array | None = None,
        carried: Sequence[State] | None = None,
    ) -> tuple[jax.Array, tuple[State, ...]]:
        """The top layer's outputs, and every layer's final state. `initial_state` and `carried` are one a layer.

        `deterministic` and `rows` are for every layer (see `RNN`).
        """
        options: list[dict[str, Any]] = [{"deterministic": deterministic, "rows": rows} for _ in self.layers]
        for name, states in (("initial_state", initial_state), ("carried", carried)):
            if states is not None and len(states) != len(self.layers):
                raise ValueError(f"{name}: expected {len(self.layers)}, one a layer, got {len(states)}")
            for option, state in zip(options, states or (), strict=False):
                option[name] = state
        finals = []
        for layer, option in zip(self.layers, options, strict=True):
            inputs, final = layer(inputs, lengths=lengths, resets=resets, **option)
            finals.append(final)
        return inputs, tuple(finals)

    def last(self, final_state: Sequence[State]) -> jax.Array:
        """The top layer's output at each sequence's last step."""
        return self.layers[-1].last(final_state[-1])


class FlaxCell(nn.RNNCellBase):
    """Any rnnjax cell as a Flax cell, to be run by `flax.linen.RNN(FlaxCell(LSTM(), 64))`."""

    cell: Cell
    hidden_size: int
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, carry: State, inputs: jax.Array) -> tuple[State, jax.Array]:
        """One step over any batch axes: the new state, and its `hidden (..., H)`."""
        dtype = self.dtype or jnp.result_type(inputs, self.param_dtype)
        params = declare_cell(self, self.cell, inputs.shape[-1], self.hidden_size, dtype, self.param_dtype)
        batch = inputs.shape[:-1]
        carry, inputs = jax.tree.map(lambda leaf: leaf.astype(dtype).reshape(-1, leaf.shape[-1]), (carry, inputs))
        state = self.cell.step(params, inputs, carry)
        state = jax.tree.map(lambda leaf: leaf.reshape(*batch, leaf.shape[-1]), state)
        return state, state.hidden

    @nn.nowrap
    def initialize_carry(self, rng: jax.Array, input_shape: tuple[int, ...]) -> State:
        """The cell's zero state for inputs of shape `(..., I)`."""
        *batch, _ = input_shape
        state = self.cell.init_state(math.prod(batch), self.hidden_size, self.dtype or self.param_dtype)
        return jax.tree.map(lambda leaf: leaf.reshape(*batch, self.hidden_size), state)

    @property
    def num_feature_axes(self) -> int:
        return 1
