"""A recurrent layer as a pure function of its options and parameters, shared by Flax Linen and NNX."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.cells import Cell
from rnnjax.dropout import check_rate, check_zoneout, drop, drop_weights, state_mask, zoneout_masks, zoneout_rates
from rnnjax.dtypes import promoted
from rnnjax.recurrences import Noise, Recurrence
from rnnjax.recurrences.noise import check_reads_hidden, has_output
from rnnjax.recurrences.recurrence import as_state, one_size, settle
from rnnjax.types import BatchFlags, BatchInputs, Params, Size, State

RATES = ("input_dropout", "output_dropout", "state_dropout", "weight_dropout")


class LayerOptions(Protocol):
    """The options of one recurrent layer."""

    cell: Cell
    hidden_size: Size
    recurrence: Recurrence
    dtype: Any
    param_dtype: Any
    input_dropout: float
    output_dropout: float
    state_dropout: float
    weight_dropout: float
    zoneout: float | Mapping[str, float]


def check_options(layer: Any) -> None:
    """Raises ValueError for a rate outside [0, 1), and for a cell, recurrence or size of another kind."""
    for name, kind, example in (("cell", Cell, "GRU()"), ("recurrence", Recurrence, "Chunked()")):
        if not isinstance(given := getattr(layer, name), kind):
            raise ValueError(f"{name}: expected a {kind.__name__}, such as {example}, got {given!r:.100}")
    sizes = layer.hidden_size if isinstance(layer.hidden_size, (tuple, list)) else (layer.hidden_size,)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise ValueError(f"hidden_size: expected integers, got {layer.hidden_size!r:.100}")
    for name in RATES:
        check_rate(name, getattr(layer, name))
    check_zoneout(layer.zoneout)


def as_resets(inputs: BatchInputs, resets: Any) -> BatchFlags | None:
    """Resets as an array of bools. Raises ValueError unless there is one for each step and sequence."""
    if resets is None:
        return None
    resets = jnp.asarray(resets).astype(bool)
    if resets.shape != inputs.shape[:2]:
        raise ValueError(f"resets: expected shape (B, T) = {inputs.shape[:2]}, got {resets.shape}")
    return resets


def as_inputs(inputs: Any) -> jax.Array:
    """Inputs as an array. Raises ValueError unless they have axes for batch, time and features."""
    inputs = jnp.asarray(inputs)
    if inputs.ndim < 3:
        raise ValueError(f"inputs: expected shape (B, T, I), got {inputs.shape}")
    return inputs


def valid_steps(steps: jax.Array, lengths: Any) -> jax.Array:
    """`(B, T)`: whether each step of `steps (B, T, ...)` is within the length of its sequence."""
    return jnp.arange(steps.shape[1])[None] < jnp.asarray(lengths)[:, None]


def clear_past(steps: jax.Array, lengths: Any) -> jax.Array:
    """`(B, T, ...)` with zeros after the end of each sequence."""
    valid = valid_steps(steps, lengths)
    return jnp.where(jnp.expand_dims(valid, range(2, steps.ndim)), steps, 0)


def compute_dtype(layer: LayerOptions, inputs: jax.Array) -> Any:
    """The compute dtype of a layer."""
    return layer.dtype or promoted(inputs, layer.param_dtype)


def forward(
    layer: LayerOptions,
    params: Params,
    learnt: Mapping[str, jax.Array] | None,
    inputs: jax.Array,
    initial_state: State | None,
    lengths: Any,
    resets: Any,
    *,
    reset_state: State | None,
    reverse: bool,
    make_key: Callable[[], jax.Array] | None,
    rows: jax.Array | None,
    all_states: bool,
) -> tuple[Any, ...]:
    """Batch-major outputs, the final state and, if requested, all states; parameters in the compute dtype.

    `learnt` is one row of a learnt initial state, or None. Masks are drawn from keys made by `make_key`; if it is None,
    nothing is drawn.
    """
    resets = as_resets(inputs, resets)
    batch, time = inputs.shape[:2]
    dtype = compute_dtype(layer, inputs)
    inputs = inputs.astype(dtype)
    start = start_state(layer, batch, dtype, learnt)
    initial_state = start if initial_state is None else initial_state
    if reset_state is None and resets is not None and learnt is not None:
        reset_state = start
    state = as_state("initial_state", layer.cell, initial_state, batch, dtype, layer.hidden_size)
    rates = zoneout_rates(state, layer.zoneout)
    cell, params = settle(layer.cell, params)
    if layer.state_dropout:
        check_reads_hidden(cell, "state_dropout")
    noise = Noise(hold=rates)
    if layer.weight_dropout and getattr(params, "recurrent", None) is None:
        raise ValueError(f"weight_dropout: expected a cell with a recurrent map, got {type(cell).__name__}")
    if make_key is not None:
        inputs = drop(make_key, layer.input_dropout, inputs, rows, shared_axes=(1,))
        if layer.weight_dropout:
            params = drop_weights(make_key(), cell, params, layer.weight_dropout)
        mask = None
        if layer.state_dropout:
            mask = state_mask(make_key(), layer.state_dropout, state.hidden, rows)
        noise = Noise(mask, zoneout_masks(make_key, rates, state, rows, time))
    hidden, *states = layer.recurrence(
        cell,
        params,
        jnp.swapaxes(inputs, 0, 1),
        state,
        lengths=None if lengths is None else jnp.asarray(lengths),
        resets=None if resets is None else jnp.swapaxes(resets, 0, 1),
        reset_state=reset_state,
        reverse=reverse,
        noise=noise,
        all_states=all_states,
    )
    outputs = jnp.swapaxes(hidden, 0, 1)
    if make_key is not None:
        outputs = drop(make_key, layer.output_dropout, outputs, rows, shared_axes=(1,))
    final, *over_time = states
    return outputs, final, *(jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), each) for each in over_time)


def input_size(inputs: jax.Array) -> Size:
    """The size of the features of inputs `(B, T, ...)`."""
    return one_size(inputs.shape[2:])


def rows_of(state: Mapping[str, jax.Array], like: State) -> State:
    """A learnt initial state (one row) repeated for a batch; fields that are not learnt are taken from `like`."""
    return like._replace(
        **{
            name: jnp.broadcast_to(row.astype(getattr(like, name).dtype), getattr(like, name).shape)
            for name, row in state.items()
        }
    )


def start_state(layer: LayerOptions, batch_size: int, dtype: Any, learnt: Mapping[str, jax.Array] | None) -> State:
    """The default initial state of a call: the learnt one, or the cell's `init_state`."""
    state = layer.cell.init_state(batch_size, layer.hidden_size, dtype)
    return state if learnt is None else rows_of(learnt, state)


def at_last(outputs: jax.Array, lengths: Any, reverse: bool) -> jax.Array:
    """`(B, O)`: outputs `(B, T, O)` at the last step of each sequence, zeros for a sequence of length 0."""
    batch, steps = outputs.shape[:2]
    if not steps:
        return jnp.zeros((batch, *outputs.shape[2:]), outputs.dtype)
    counts = jnp.full(batch, steps) if lengths is None else jnp.clip(jnp.asarray(lengths), 0, steps)
    position = jnp.zeros_like(counts) if reverse else jnp.maximum(counts - 1, 0)
    rows = jax.vmap(lambda row, step: row[step])(outputs, position)
    return jnp.where(jnp.expand_dims(counts > 0, range(1, rows.ndim)), rows, 0)


def last_output(cell: Cell, final_state: State, outputs: jax.Array | None, lengths: Any, reverse: bool) -> jax.Array:
    """The output at the last step of each sequence, from the final state or, if the output is not `hidden`, `outputs`.

    Raises TypeError if the outputs are needed but not given.
    """
    if not has_output(cell):
        return final_state.hidden
    if outputs is None:
        raise TypeError(f"last: expected the outputs too, since those of {type(cell).__name__} are not state.hidden")
    return at_last(outputs, lengths, reverse)


def one_row(cell: Cell, hidden_size: Size, dtype: Any) -> dict[str, jax.Array]:
    """One row of the cell's initial state, only the learnable fields: the initial value of the parameter."""
    state = cell.init_state(1, hidden_size, dtype)
    return {name: leaf[0] for name, leaf in state._asdict().items() if jnp.issubdtype(leaf.dtype, jnp.inexact)}


def one_step(
    run: Callable[..., tuple[Any, ...]], inputs: Any, state: Any, resets: Any, **options: Any
) -> tuple[Any, Any]:
    """One observation `(B, I)` through a layer: its output `(B, O)` and the new state.

    Raises ValueError for a layer that runs in reverse.
    """
    if not getattr(run, "causal", True):
        raise ValueError("step: expected causal layers, got one that runs in reverse")
    resets = None if resets is None else jnp.asarray(resets)[:, None]
    outputs, state = run(jnp.asarray(inputs)[:, None], state, resets=resets, **options)
    return outputs[:, 0], state
