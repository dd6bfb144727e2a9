"""What regularisation does to the state from step to step: a recurrence applies it, a layer draws it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import Cell, PointwiseCell
from rnnjax.dtypes import cast_like, widen
from rnnjax.recurrences.gates import Weights, update
from rnnjax.types import Params, State


class Noise(NamedTuple):
    """Masks of a run over time; None, or no entry for a state field, changes nothing.

        r_t = (hidden_mask * h_{t-1}) R + c
        s_t = hold_t * s_{t-1} + (1 - hold_t) * (the cell's new state)

    `hidden_mask` is `(B, H)`. `hold` has for a state field by its name either one number or `(T, B, H)`, in [0, 1]
    or bool; of a field of integers, bool alone. After a reset the reset state is the one before. No gradient flows
    to either.
    """

    hidden_mask: jax.Array | None = None
    hold: Mapping[str, Any] | None = None


def prepare_noise(
    noise: Noise, cell: Cell, params: Params, state: State, time: int
) -> tuple[jax.Array | None, dict[str, jax.Array] | None]:
    """Hidden mask and holds `(T, ...)` in the state's dtype.

    Raises as `reader_of_hidden`, and ValueError where shapes do not fit.
    """
    mask, hold = noise
    if mask is not None:
        reader_of_hidden(cell, params)
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
    """A state field's hold at every step, one number being that of all."""
    share, expected = jnp.asarray(share), (time, *leaf.shape)
    if share.dtype != bool and not jnp.issubdtype(leaf.dtype, jnp.inexact):
        raise ValueError(f"hold of {name}: expected bools, since the field is {leaf.dtype}, got {share.dtype}")
    if share.shape not in ((), expected):
        raise ValueError(f"hold of {name}: expected one number or shape {expected}, got {share.shape}")
    if share.ndim == 0:
        share = jnp.broadcast_to(share, (time, *(1,) * leaf.ndim))
    return jax.lax.stop_gradient(share if share.dtype == bool else share.astype(leaf.dtype))


def reader_of_hidden(cell: Cell, params: Params, name: str = "hidden_mask") -> PointwiseCell:
    """The cell, if its hidden state can be masked, as `name` asks for, where a recurrent kernel reads it.

    Raises TypeError for a cell that is not pointwise, ValueError for one without a recurrent kernel.
    """
    if not isinstance(cell, PointwiseCell):
        raise TypeError(f"{name}: expected a PointwiseCell, got {type(cell).__name__}")
    if getattr(params, "recurrent_kernel", None) is None:
        raise ValueError(f"{name}: expected a cell with a recurrent kernel, got {type(cell).__name__}")
    return cell


def masked(hidden: jax.Array, mask: jax.Array | None) -> jax.Array:
    """The hidden state, of one step or of many, as the recurrent kernel reads it."""
    return hidden if mask is None else hidden * jnp.expand_dims(mask, range(hidden.ndim - mask.ndim))


def step_of(cell: Cell, params: Params, mask: jax.Array | None) -> Callable[[jax.Array, State], State]:
    """The cell's step, `(inputs, before) -> after`, the hidden state masked where the recurrent kernel reads it.

    Each array of the state keeps its dtype. A loop sums the gradients of the parameters over its steps in their own
    dtype, which must not be a narrow one: there the sum stands still once it is some hundred times what is added.
    The step is therefore given wide parameters, and narrows them.
    """
    wide = widen(params)
    reader = None if mask is None else reader_of_hidden(cell, params)

    def step(inputs: jax.Array, before: State) -> State:
        narrow = cast_like(wide, params)
        if reader is None:
            return cast_like(cell.step(narrow, inputs, before), before)
        gates = Weights(narrow, None).pre_activations(inputs, masked(before.hidden, mask))
        return update(reader, narrow, gates, before)

    return step


def hold_back(before: State, after: State, hold: Mapping[str, jax.Array] | None) -> State:
    """The state after a step, of which each field in `hold` keeps that share of what was before."""
    if hold is None:
        return after

    def blend(share: jax.Array, old: jax.Array, new: jax.Array) -> jax.Array:
        if share.dtype == bool:
            return jnp.where(share, old, new)
        return share * old + (1 - share) * new

    return after._replace(
        **{name: blend(share, getattr(before, name), getattr(after, name)) for name, share in hold.items()}
    )
