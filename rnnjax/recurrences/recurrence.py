"""What every recurrence shares: the signature, the checks, and the contract for variable length.

Past its length a sequence's outputs are zero, no gradient flows there, and its state stays as it was: the
final state is the state at the last valid step, and a sequence of length 0 keeps its initial state. With
right padding, running from T-1 down therefore starts each sequence at its own last step. A call begins from
`initial_state`; `resets[t, b]` puts `reset_state` back before step t (the cell's own initial state, zeros, unless
given), and a reset on a padded step does nothing. A length above T counts as T, one below 0 as 0.
"""

import abc
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from rnnjax.cells.cell import Cell, PointwiseCell
from rnnjax.dtypes import cast_like, promoted
from rnnjax.meshes import spec_of, vary_alike, within_explicit_axes
from rnnjax.recurrences.noise import Noise, hold_back, prepare_noise
from rnnjax.types import Lengths, Params, State, TimeFlags, TimeHidden, TimeInputs

# From the narrowest: a state's array may be given in a narrower kind than the cell keeps it in.
KINDS = (jnp.bool_, jnp.integer, jnp.floating, jnp.complexfloating)


class Flags(NamedTuple):
    """Per step and sequence, `(T, B)` or for one step `(B,)`; None stands for "always" and "never".

    `hold` is that of `Noise`, by state field, each with the time axis or for one step without it.
    """

    valid: jax.Array | None
    reset: jax.Array | None
    hold: dict[str, jax.Array] | None = None


class Problem(NamedTuple):
    """Checked arguments, ready to be looped over; `reset_state` is None where there are no resets."""

    params: Params
    inputs: jax.Array
    initial_state: State
    reset_state: State | None
    flags: Flags
    hidden_mask: jax.Array | None


class Recurrence(abc.ABC):
    """How steps are run over time: a strategy, the same numbers whichever is taken.

    A subclass is a frozen dataclass that says how a checked `Problem` is run.
    """

    def __call__(
        self,
        cell: Cell,
        params: Params,
        inputs: TimeInputs,
        initial_state: State,
        *,
        lengths: Lengths | None = None,
        resets: TimeFlags | None = None,
        reset_state: State | None = None,
        reverse: bool = False,
        noise: Noise | None = None,
    ) -> tuple[TimeHidden, State]:
        """Outputs `(T, B, H)` and the final state, from inputs `(T, B, I)` and the state to begin from.

        Raises ValueError where shapes do not fit.
        """
        problem = prepare(
            cell, params, inputs, initial_state, lengths=lengths, resets=resets, reset_state=reset_state, noise=noise
        )
        if problem.inputs.shape[0] == 0:
            hidden = problem.initial_state.hidden
            return jnp.zeros((0, *hidden.shape), hidden.dtype), problem.initial_state

        def specs() -> Any:
            # Split over the batch as the inputs are, and whole in all other axes.
            batch = spec_of(problem.inputs)[1]
            states = jax.tree.map(lambda leaf: PartitionSpec(batch, *[None] * (leaf.ndim - 1)), problem.initial_state)
            return PartitionSpec(None, batch, None), states

        return within_explicit_axes(lambda problem: self.run(cell, problem, reverse), specs, problem)

    @abc.abstractmethod
    def run(self, cell: Cell, problem: Problem, reverse: bool) -> tuple[TimeHidden, State]:
        """Outputs and the final state of at least one step; from T-1 down with `reverse`."""


def select(condition: jax.Array, when_true: Any, when_false: Any) -> Any:
    """`jnp.where` over two trees of arrays, the condition's axes being their leading ones."""

    def leaf(true: jax.Array, false: jax.Array) -> jax.Array:
        return jnp.where(jnp.expand_dims(condition, tuple(range(condition.ndim, true.ndim))), true, false)

    return jax.tree.map(leaf, when_true, when_false)


def zero_where(condition: jax.Array, tree: Any) -> Any:
    """The tree with zeros where the condition holds."""
    return select(condition, jax.tree.map(jnp.zeros_like, tree), tree)


def clear_padding(inputs: jax.Array, flags: Flags) -> jax.Array:
    """Zeros on padded steps, so that whatever stands there (a NaN, say) reaches neither value nor gradient."""
    return inputs if flags.valid is None else zero_where(~flags.valid, inputs)


def enter(reset_state: State | None, state: State, flags: Flags) -> State:
    """The state that a step starts from: the one carried to it, or after a reset the one that this puts back."""
    return state if flags.reset is None else select(flags.reset, cast_like(reset_state, state), state)


def leave(state: State, after: State, flags: Flags) -> tuple[State, State]:
    """The state to carry on after a step, and the same with zeros in `hidden` where padded."""
    if flags.valid is None:
        return after, after
    after = select(flags.valid, after, state)
    return after, after._replace(hidden=zero_where(~flags.valid, after.hidden))


def advance(
    step: Callable[[jax.Array, State], State],
    reset_state: State | None,
    state: State,
    inputs: jax.Array,
    flags: Flags,
) -> tuple[State, State]:
    """One step under the contract: the state to carry on, and the same with zeros in `hidden` where padded."""
    before = enter(reset_state, state, flags)
    return leave(state, hold_back(before, step(inputs, before), flags.hold), flags)


def prepare(
    cell: Cell,
    params: Params,
    inputs: TimeInputs,
    initial_state: State,
    *,
    lengths: Lengths | None = None,
    resets: TimeFlags | None = None,
    reset_state: State | None = None,
    noise: Noise | None = None,
) -> Problem:
    """Checked arguments with the flags of every step. Raises ValueError where shapes do not fit."""
    if inputs.ndim != 3:
        raise ValueError(f"inputs: expected shape (T, B, I), got {inputs.shape}")
    time, batch, width = inputs.shape
    kernel = getattr(params, "kernel", None)
    if kernel is not None and kernel.shape[0] != width:
        raise ValueError(f"inputs: expected {kernel.shape[0]} features (the kernel's first axis), got {width}")
    dtype = promoted(inputs, *jax.tree.leaves(params))
    state = as_state("initial_state", cell, initial_state, batch, dtype)
    hidden_size = state.hidden.shape[-1]
    recurrent_kernel = getattr(params, "recurrent_kernel", None)
    if recurrent_kernel is not None and recurrent_kernel.shape[0] != hidden_size:
        raise ValueError(
            f"initial_state.hidden: expected {recurrent_kernel.shape[0]} features (the recurrent kernel's first "
            f"axis), got {hidden_size}"
        )
    if isinstance(cell, PointwiseCell) and params.kernel.shape[1] != cell.gates * hidden_size:
        raise ValueError(
            f"initial_state.hidden: expected {params.kernel.shape[1] // cell.gates} features (the kernel's second "
            f"axis by {cell.gates} gates), got {hidden_size}"
        )
    valid = reset = None
    if lengths is not None:
        lengths = jnp.asarray(lengths)
        if lengths.shape != (batch,) or not jnp.issubdtype(lengths.dtype, jnp.integer):
            raise ValueError(f"lengths: expected shape {(batch,)} of integers, got {lengths.shape} of {lengths.dtype}")
        valid = jnp.arange(time)[:, None] < lengths[None]
    if resets is not None:
        reset = jnp.asarray(resets).astype(bool)
        if reset.shape != (time, batch):
            raise ValueError(f"resets: expected shape {(time, batch)}, got {reset.shape}")
        reset = reset if valid is None else reset & valid
        if reset_state is None:
            reset_state = cell.init_state(batch, hidden_size, dtype)
        reset_state = as_state("reset_state", cell, reset_state, batch, dtype, hidden_size)
    mask, hold = prepare_noise(noise or Noise(), cell, params, state, time)
    return vary_alike(
        Problem(params, inputs, state, None if reset is None else reset_state, Flags(valid, reset, hold), mask)
    )


def as_state(what: str, cell: Cell, state: Any, batch: int, dtype: Any, hidden_size: int | None = None) -> State:
    """A state of the cell, each array in the dtype that the cell gives it; a plain tuple or list of its arrays will do.

    Raises ValueError for a state of another cell, of other sizes, or of numbers that such a dtype cannot hold.
    """
    leaves = [leaf for leaf in jax.tree.leaves(state) if jnp.ndim(leaf)]
    if not leaves:
        raise ValueError(f"{what}: expected a state of {type(cell).__name__}, got {state!r}")
    if hidden_size is None:
        hidden_size = int(jnp.shape(getattr(state, "hidden", leaves[0]))[-1])
    template = jax.eval_shape(functools.partial(cell.init_state, batch, hidden_size, dtype))
    if type(state) in (tuple, list) and len(state) == len(template):
        state = type(template)(*state)
    fields = template._fields
    if getattr(state, "_fields", None) != fields:
        raise ValueError(f"{what}: expected fields {fields}, got {getattr(state, '_fields', type(state).__name__)}")
    for name, want, got in zip(fields, template, state, strict=True):
        if want.shape != jnp.shape(got):
            raise ValueError(f"{what}.{name}: expected shape {want.shape}, got {jnp.shape(got)}")
        got_dtype = jnp.result_type(got)
        if _kind(got_dtype) > _kind(want.dtype):
            raise ValueError(f"{what}.{name}: expected {want.dtype}, got {got_dtype}")
    return jax.tree.map(lambda like, leaf: jnp.asarray(leaf, like.dtype), template, state)


def _kind(dtype: Any) -> int:
    return next((i for i, kind in enumerate(KINDS) if jnp.issubdtype(dtype, kind)), len(KINDS))
