"""The common part of all recurrences: the signature, the checks, and the contract for variable length.

After the end of a sequence, its outputs are zero, no gradient flows, and its state does not change: the final state is
the state at the last valid step, and a sequence of length 0 keeps its initial state. With right padding, a reversed run
therefore starts each sequence at its last valid step. A call starts from `initial_state`. `resets[t, b]` restores
`reset_state` before step t (by default the initial state of the cell, zeros). A reset on a padded step has no effect. A
length above T is treated as T, a length below 0 as 0.
"""

import abc
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from rnnjax.cells.cell import Cell, CellParams, PointwiseCell
from rnnjax.dtypes import cast_like, promoted, real_leaves
from rnnjax.maps import MapParams
from rnnjax.meshes import spec_of, vary_alike, within_explicit_axes
from rnnjax.recurrences.noise import Loop, Noise, hold_back, loop_of, prepare_noise
from rnnjax.types import Features, Lengths, Params, Size, State, TimeFlags, TimeInputs

# From narrow to wide: a given state array may be of a narrower kind than in the cell's state.
KINDS = (jnp.bool_, jnp.integer, jnp.floating, jnp.complexfloating)


class Flags(NamedTuple):
    """Flags for each step and sequence: `(T, B)`, or `(B,)` for one step; None stands for "always" or "never".

    `hold` is the one of `Noise`, by state field: each with the time axis, or without it for one step.
    """

    valid: jax.Array | None
    reset: jax.Array | None
    hold: dict[str, jax.Array] | None = None


class Problem(NamedTuple):
    """Checked arguments of a loop over steps; `reset_state` is None if there are no resets."""

    params: Params
    inputs: jax.Array
    initial_state: State
    reset_state: State | None
    flags: Flags
    hidden_mask: jax.Array | None


class Taken(NamedTuple):
    """The result of every step: its output, and its new state or None."""

    outputs: jax.Array
    states: State | None


class Recurrence(abc.ABC):
    """A loop that runs a cell over time. All recurrences give the same numbers.

    A subclass is a frozen dataclass that defines `run` for a checked `Problem`.
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
        all_states: bool = False,
    ) -> tuple[Any, ...]:
        """Outputs `(T, B, O)` and the final state, from inputs `(T, B, I)` and the initial state.

        With `all_states`, the third result is the state after every step, each array `(T, B, ...)`; padded steps repeat
        the last state. Raises ValueError for shapes that do not match.
        """
        cell, problem = prepare(
            cell, params, inputs, initial_state, lengths=lengths, resets=resets, reset_state=reset_state, noise=noise
        )
        initial = problem.initial_state

        if problem.inputs.shape[0] == 0:
            output = one_output(cell, problem)
            empty = jax.tree.map(lambda leaf: jnp.zeros((0, *leaf.shape), leaf.dtype), (output, initial))
            return (empty[0], initial, empty[1]) if all_states else (empty[0], initial)

        def specs() -> Any:
            # Sharded over the batch like the inputs, and unsharded along all other axes.
            batch = spec_of(problem.inputs)[1]
            output: Any = one_output(cell, problem)
            final = jax.tree.map(lambda leaf: PartitionSpec(batch, *[None] * (leaf.ndim - 1)), initial)
            steps = jax.tree.map(
                lambda leaf: PartitionSpec(None, batch, *[None] * (leaf.ndim - 1)),
                Taken(output, initial if all_states else None),
            )
            return steps, final

        (outputs, states), final = within_explicit_axes(
            lambda problem: self.run(cell, problem, reverse, all_states), specs, problem
        )
        return (outputs, final, states) if all_states else (outputs, final)

    @abc.abstractmethod
    def run(self, cell: Cell, problem: Problem, reverse: bool, all_states: bool) -> tuple[Taken, State]:
        """The outputs (and states) and the final state, for at least one step; from T-1 down with `reverse`."""


def fixed_steps(recurrence: Recurrence, problem: Problem) -> int:
    """The number of steps. Raises ValueError if it is unknown while tracing (`jax.export` with a symbolic time)."""
    time = problem.inputs.shape[0]
    if not isinstance(time, int):
        kind = type(recurrence).__name__
        raise ValueError(f"{kind}: expected a fixed number of steps, got T = {time}; use Scan or Chunked")
    return time


def settle(cell: Cell, params: Params) -> tuple[Cell, Params]:
    """The cell and its parameters for use in a loop (`Cell.effective`).

    Raises TypeError for a cell that is not hashable, such as one with a traced array in a field.
    """
    try:
        hash(cell)
    except TypeError:
        raise TypeError(
            f"{type(cell).__name__}: expected a hashable cell, got an array (or a list) in one of the fields of "
            f"{cell!r:.200}; traced or learnt values belong in the parameters"
        ) from None
    return cell.effective(params)


def one_output(cell: Cell, problem: Problem) -> jax.ShapeDtypeStruct:
    """The shape and dtype of the output of one step."""
    like = [
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
        for tree in (problem.params, problem.initial_state)
    ]
    step = jax.ShapeDtypeStruct(problem.inputs.shape[1:], problem.inputs.dtype)
    return jax.eval_shape(lambda params, state, inputs: loop_of(cell, params, None).output(inputs, state), *like, step)


def select(condition: jax.Array, when_true: Any, when_false: Any) -> Any:
    """`jnp.where` over two trees of arrays; the condition has the leading axes of the arrays."""

    def leaf(true: jax.Array, false: jax.Array) -> jax.Array:
        return jnp.where(jnp.expand_dims(condition, tuple(range(condition.ndim, true.ndim))), true, false)

    return jax.tree.map(leaf, when_true, when_false)


def zero_where(condition: jax.Array, tree: Any) -> Any:
    """The tree with zeros where the condition is true."""
    return select(condition, jax.tree.map(jnp.zeros_like, tree), tree)


def clear_padding(inputs: jax.Array, flags: Flags) -> jax.Array:
    """Zeros on padded steps, so that padding (NaN, for example) affects neither values nor gradients."""
    return inputs if flags.valid is None else zero_where(~flags.valid, inputs)


def enter(reset_state: State | None, state: State, flags: Flags) -> State:
    """The state before a step: the carried state, or the reset state if there is a reset."""
    return state if flags.reset is None else select(flags.reset, cast_like(reset_state, state), state)


def advance(
    loop: Loop, reset_state: State | None, state: State, inputs: jax.Array, flags: Flags, all_states: bool = False
) -> tuple[State, Taken]:
    """One step: the state to carry, and the result of the step, with zero outputs on padding."""
    before = enter(reset_state, state, flags)
    after = hold_back(before, loop.step(inputs, before), flags.hold)
    return leave(before, after, loop.output(inputs, after), flags, all_states)


def leave(before: State, after: State, output: jax.Array, flags: Flags, all_states: bool) -> tuple[State, Taken]:
    """The state to carry after a step, and the result of the step."""
    if flags.valid is not None:
        after, output = select(flags.valid, after, before), zero_where(~flags.valid, output)
    return after, Taken(output, after if all_states else None)


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
) -> tuple[Cell, Problem]:
    """The cell for use in a loop, and the checked arguments with the flags of every step.

    Raises ValueError for shapes that do not match, and as `settle`.
    """
    cell, params = settle(cell, params)
    if inputs.ndim < 3:
        raise ValueError(f"inputs: expected shape (T, B, I), got {inputs.shape}")
    time, batch, *features = inputs.shape
    # Complex parameters do not imply a complex state: `init_state` of the cell decides which arrays are complex.
    dtype = promoted(inputs, *real_leaves(params))
    state = as_state("initial_state", cell, initial_state, batch, dtype)
    hidden_size = cell.size_of(state)
    if isinstance(cell, PointwiseCell):
        check_kernels(cell, params, tuple(features), state.hidden.shape[1:], hidden_size)
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
            reset_state = cell.init_state(batch, one_size(hidden_size), dtype)
        reset_state = as_state("reset_state", cell, reset_state, batch, dtype, one_size(hidden_size))
    mask, hold = prepare_noise(noise or Noise(), cell, state, time)
    problem = Problem(params, inputs, state, None if reset is None else reset_state, Flags(valid, reset, hold), mask)
    return cell, vary_alike(problem)


def check_kernels(cell: PointwiseCell, params: CellParams, inputs: Features, read: Features, hidden: Features) -> None:
    """Raises ValueError for maps of a different cell or of different sizes."""
    if not isinstance(params, CellParams):
        raise ValueError(f"params: expected CellParams, got {type(params).__name__}")
    maps = [("input.kernel", cell.input_map, params.input, inputs, cell.gates)]
    if cell.recurrent_map is not None:
        own = cell.recurrent_map
        maps.append(("recurrent.kernel", own, params.recurrent, read, cell.recurrent_gates))
        further = cell.further_kernels.items()
        maps += [(f"extras[{name!r}]", own, MapParams(params.extras[name]), hidden, gates) for name, gates in further]
    for name, own, values, features, gates in maps:
        expected = own.kernel_shape(features, hidden, gates)
        if values is None or values.kernel.shape != expected:
            got = None if values is None else values.kernel.shape
            raise ValueError(
                f"params.{name}: expected shape {expected} for features {features} and a hidden size of "
                f"{hidden}, got {got}"
            )


def one_size(features: Features) -> Size:
    """The size as an int if there is one feature axis; some cells accept only ints."""
    return features[0] if len(features) == 1 else features


def as_state(what: str, cell: Cell, state: Any, batch: int, dtype: Any, hidden_size: Size | None = None) -> State:
    """A state of the cell, each array in the dtype of the cell's state; a plain tuple or list of arrays is accepted.

    Raises ValueError for a state of a different cell, of different sizes, or of a wider kind of numbers.
    """
    if not jax.tree.leaves(state):
        raise ValueError(f"{what}: expected a state of {type(cell).__name__}, got {state!r}")
    if hidden_size is None:
        hidden_size = _size_of(what, cell, state)
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


def _size_of(what: str, cell: Cell, state: Any) -> Size:
    if type(state) in (tuple, list):
        kind = cell.state_type if isinstance(cell, PointwiseCell) else None
        if kind is not None and len(state) == len(kind._fields):
            state = kind(*state)
        else:
            return one_size(tuple(jnp.shape(state[0])[1:]))
    if not hasattr(state, "_fields"):
        raise ValueError(f"{what}: expected a state of {type(cell).__name__}, got {state!r}")
    try:
        return one_size(cell.size_of(state))
    except AttributeError:
        raise ValueError(
            f"{what}: expected a state of {type(cell).__name__}, got fields {state._fields}; a cell without "
            "`hidden` in its state must define `size_of`"
        ) from None


def _kind(dtype: Any) -> int:
    return next((i for i, kind in enumerate(KINDS) if jnp.issubdtype(dtype, kind)), len(KINDS))
