"""What every recurrence shares: the signature, the checks, and the contract for variable length.

Past its length a sequence's outputs are zero, no gradient flows there, and its state stays as it was: the
final state is the state at the last valid step, and a sequence of length 0 keeps its initial state. With
right padding, running from T-1 down therefore starts each sequence at its own last step. `resets[t, b]`
puts the initial state back before step t; a reset on a padded step does nothing. `carried` is a state to enter with
in place of the initial one, which resets put back all the same: that of a text read so far, say.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import Cell, PointwiseCell
from rnnjax.recurrences.noise import Noise, hold_back, prepare_noise
from rnnjax.types import Lengths, Params, State, TimeFlags, TimeHidden, TimeInputs


@runtime_checkable
class Recurrence(Protocol):
    """How steps are run over time: a strategy, the same numbers whichever is taken."""

    def __call__(
        self,
        cell: Cell,
        params: Params,
        inputs: TimeInputs,
        state: State,
        *,
        lengths: Lengths | None = None,
        resets: TimeFlags | None = None,
        reverse: bool = False,
        noise: Noise | None = None,
        carried: State | None = None,
    ) -> tuple[TimeHidden, State]:
        """Outputs `(T, B, H)` and the final state, from inputs `(T, B, I)` and the initial state."""
        ...


class Flags(NamedTuple):
    """Per step and sequence, `(T, B)` or for one step `(B,)`; None stands for "always" and "never".

    `hold` is that of `Noise`, by state field, each with the time axis or for one step without it.
    """

    valid: jax.Array | None
    reset: jax.Array | None
    hold: dict[str, jax.Array] | None = None


class Problem(NamedTuple):
    """Checked arguments, ready to be looped over: resets put `state` back, the first step begins from `entering`."""

    params: Params
    inputs: jax.Array
    state: State
    flags: Flags
    hidden_mask: jax.Array | None
    entering: State


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


def enter(initial: State, state: State, flags: Flags) -> State:
    """The state that a step starts from: the one carried to it, or the initial one after a reset."""
    return state if flags.reset is None else select(flags.reset, initial, state)


def leave(state: State, after: State, flags: Flags) -> tuple[State, State]:
    """The state to carry on after a step, and the same with zeros in `hidden` where padded."""
    if flags.valid is None:
        return after, after
    after = select(flags.valid, after, state)
    return after, after._replace(hidden=zero_where(~flags.valid, after.hidden))


def advance(
    step: Callable[[jax.Array, State], State], initial: State, state: State, inputs: jax.Array, flags: Flags
) -> tuple[State, State]:
    """One step under the contract: the state to carry on, and the same with zeros in `hidden` where padded."""
    before = enter(initial, state, flags)
    return leave(state, hold_back(before, step(inputs, before), flags.hold), flags)


def prepare(
    cell: Cell,
    params: Params,
    inputs: TimeInputs,
    state: State,
    lengths: Lengths | None,
    resets: TimeFlags | None,
    noise: Noise | None = None,
    carried: State | None = None,
) -> Problem:
    """Checked arguments with the flags of every step. Raises ValueError where shapes do not fit."""
    if inputs.ndim != 3:
        raise ValueError(f"inputs: expected shape (T, B, I), got {inputs.shape}")
    time, batch, width = inputs.shape
    kernel = getattr(params, "kernel", None)
    if kernel is not None and kernel.shape[0] != width:
        raise ValueError(f"inputs: expected {kernel.shape[0]} features (the kernel's first axis), got {width}")
    _check_state("state", cell, state, batch)
    carried = state if carried is None else carried
    _check_state("carried", cell, carried, batch, state.hidden.shape[-1])
    recurrent_kernel = getattr(params, "recurrent_kernel", None)
    if recurrent_kernel is not None and recurrent_kernel.shape[0] != state.hidden.shape[-1]:
        raise ValueError(
            f"state.hidden: expected {recurrent_kernel.shape[0]} features (the recurrent kernel's first axis), "
            f"got {state.hidden.shape[-1]}"
        )
    if isinstance(cell, PointwiseCell) and params.kernel.shape[1] != cell.gates * state.hidden.shape[-1]:
        raise ValueError(
            f"state.hidden: expected {params.kernel.shape[1] // cell.gates} features (the kernel's second axis by "
            f"{cell.gates} gates), got {state.hidden.shape[-1]}"
        )
    if lengths is not None:
        lengths = jnp.asarray(lengths)
        if lengths.shape != (batch,) or not jnp.issubdtype(lengths.dtype, jnp.integer):
            raise ValueError(f"lengths: expected shape {(batch,)} of integers, got {lengths.shape} of {lengths.dtype}")
    if resets is not None and resets.shape != (time, batch):
        raise ValueError(f"resets: expected shape {(time, batch)}, got {resets.shape}")
    dtype = jnp.result_type(inputs, *jax.tree.leaves(params))
    state, carried = jax.tree.map(lambda leaf: leaf.astype(dtype), (state, carried))
    valid = None if lengths is None else jnp.arange(time)[:, None] < lengths
    if resets is not None:
        resets = resets.astype(bool) if valid is None else resets.astype(bool) & valid
    mask, hold = prepare_noise(noise or Noise(), cell, params, state, time)
    return vary_alike(Problem(params, inputs, state, Flags(valid, resets, hold), mask, carried))


def _check_state(what: str, cell: Cell, state: State, batch: int, hidden_size: int | None = None) -> None:
    """Raises ValueError for a state of another cell or of other sizes."""
    fields = jax.eval_shape(lambda: cell.init_state(1, 1))._fields
    if getattr(state, "_fields", None) != fields:
        raise ValueError(f"{what}: expected fields {fields}, got {getattr(state, '_fields', type(state).__name__)}")
    expected = jax.eval_shape(lambda: cell.init_state(batch, hidden_size or state.hidden.shape[-1]))
    for name, want, got in zip(fields, expected, state, strict=True):
        if want.shape != got.shape:
            raise ValueError(f"{what}.{name}: expected shape {want.shape}, got {got.shape}")


def vary_alike(problem: Problem) -> Problem:
    """Inside `jax.shard_map`: every array marked as varying over the mesh axes that any of them varies over.

    A loop's carry must be of one type from step to step. Done here, once, it also keeps the sum of the
    parameters' gradients over devices out of the backward loop. Outside `shard_map` it does nothing.
    """
    axes = frozenset().union(*(jax.typeof(leaf).manual_axis_type.varying for leaf in jax.tree.leaves(problem)))

    def cast(leaf: jax.Array) -> jax.Array:
        missing = axes - jax.typeof(leaf).manual_axis_type.varying
        return jax.lax.pcast(leaf, tuple(sorted(missing)), to="varying") if missing else leaf

    return jax.tree.map(cast, problem)
