"""Regularisation of the state at each step: a layer draws the masks, a recurrence applies them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import Cell, PointwiseCell
from rnnjax.cells.linear import LinearCell
from rnnjax.dtypes import cast_like, promoted, real_leaves, widen
from rnnjax.types import Extras, Params, State


class Noise(NamedTuple):
    """The masks of one run over time; None, or a missing state field, means no mask.

        r_t = (hidden_mask * h_{t-1}) R + c
        s_t = hold_t * s_{t-1} + (1 - hold_t) * (the cell's new state)

    `hidden_mask` is `(B, H)`. `hold` maps the name of a state field to one number or to an array `(T, B, H)`, in [0, 1]
    or bool; for a field of integers, only bool. After a reset, the reset state is the previous state. No gradient flows
    to `hidden_mask` or `hold`.
    """

    hidden_mask: jax.Array | None = None
    hold: Mapping[str, Any] | None = None


def prepare_noise(
    noise: Noise, cell: Cell, state: State, time: int
) -> tuple[jax.Array | None, dict[str, jax.Array] | None]:
    """Hidden mask and holds `(T, ...)` in the state's dtype.

    Raises as `check_reads_hidden`, and ValueError for shapes that do not match.
    """
    mask, hold = noise
    if mask is not None:
        check_reads_hidden(cell)
        if mask.shape != state.hidden.shape:
            raise ValueError(f"hidden_mask: expected shape {state.hidden.shape}, got {mask.shape}")
        mask = jax.lax.stop_gradient(mask.astype(state.hidden.dtype))
    if not hold:
        return mask, None
    unknown = sorted(set(hold) - set(state._fields))
    if unknown:
        raise ValueError(f"hold: expected state fields of {state._fields}, got {unknown}")
    return mask, {name: _shares(name, share, getattr(state, name), time) for name, share in hold.items()}


def _shares(name: str, share: Any, leaf: jax.Array, time: int) -> jax.Array:
    """The hold of a state field at every step; one number applies to all steps."""
    share, expected = jnp.asarray(share), (time, *leaf.shape)
    if share.dtype != bool and not jnp.issubdtype(leaf.dtype, jnp.inexact):
        raise ValueError(f"hold of {name}: expected bools, since the field is {leaf.dtype}, got {share.dtype}")
    if share.shape not in ((), expected):
        raise ValueError(f"hold of {name}: expected one number or shape {expected}, got {share.shape}")
    if share.ndim == 0:
        share = jnp.broadcast_to(share, (time, *(1,) * leaf.ndim))
    return jax.lax.stop_gradient(share if share.dtype == bool else share.astype(leaf.dtype))


def check_reads_hidden(cell: Cell, name: str = "hidden_mask") -> None:
    """Raises an error if the hidden state of this cell cannot be masked; `name` is the option that needs it.

    TypeError for a cell that is not a `PointwiseCell`, ValueError for a cell without a recurrent map.
    """
    if not isinstance(cell, PointwiseCell):
        raise TypeError(f"{name}: expected a PointwiseCell, got {type(cell).__name__}")
    if cell.recurrent_map is None:
        raise ValueError(f"{name}: expected a cell with a recurrent map, got {type(cell).__name__}")


def masked(hidden: jax.Array, mask: jax.Array | None) -> jax.Array:
    """The hidden state of one or many steps, multiplied by the mask, as the input of the recurrent kernel."""
    return hidden if mask is None else hidden * jnp.expand_dims(mask, range(hidden.ndim - mask.ndim))


class Loop(NamedTuple):
    """The functions of a loop over steps: `step(inputs, before) -> after`, and `output(inputs, after)`."""

    step: Callable[[jax.Array, State], State]
    output: Callable[[jax.Array, State], jax.Array]


def loop_of(cell: Cell, params: Params, mask: jax.Array | None) -> Loop:
    """The step of a cell, with the hidden state masked for the recurrent map, and its output.

    Each array of the state keeps its dtype. A loop sums the gradients of the parameters over its steps in the dtype of
    the parameters. In a narrow dtype, such a sum stops growing once it is some hundred times as large as the summands.
    Therefore the step is given wide parameters and converts them to the narrow dtype.
    """
    wide = widen(params)

    def step(inputs: jax.Array, before: State) -> State:
        narrow = cast_like(wide, params)
        if not isinstance(cell, PointwiseCell):
            return cast_like(cell.step(narrow, inputs, before), before)
        gates = cell.pre_activations(narrow, inputs, masked(before.hidden, mask))
        return cell.wide_update(narrow.extras, *gates, before)

    def output(inputs: jax.Array, after: State) -> jax.Array:
        return read_out(cell, cell.extras_of(cast_like(wide, params)), inputs, after)

    return Loop(step, output)


def has_output(cell: Cell) -> bool:
    """Whether the cell defines an output other than `state.hidden`."""
    return type(cell).output is not Cell.output


def read_out(cell: Cell, extras: Extras, inputs: jax.Array, after: State) -> jax.Array:
    """The output, computed in at least float32; a real output has the promoted dtype of inputs and extras.

    So has the hidden state of a linear cell, which is wider; that of other cells is returned as it is.
    """
    if not has_output(cell) and not isinstance(cell, LinearCell):
        return after.hidden
    dtype = promoted(inputs, *real_leaves(extras))
    extras, after, wide = widen((extras, after, inputs))
    output = cell.output(extras, after, wide)
    return output.astype(dtype) if jnp.issubdtype(output.dtype, jnp.floating) else output


def hold_back(before: State, after: State, hold: Mapping[str, jax.Array] | None) -> State:
    """The new state, with each field in `hold` blended with its previous value by that share."""
    if hold is None:
        return after

    def blend(share: jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
        if share.dtype == bool:
            return jnp.where(share, old, new)
        return share * old + (1 - share) * new

    return after._replace(
        **{name: blend(share, getattr(before, name), getattr(after, name)) for name, share in hold.items()}
    )
