"""The equations that `Newton` solves: the step of a cell with the whole contract of a recurrence, and its Jacobian."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import Cell, PointwiseCell, as_read
from rnnjax.cells.jacobians import recurrent_matrix, unit_jacobians
from rnnjax.dtypes import cast_like, promoted
from rnnjax.recurrences.linear import identity_like
from rnnjax.recurrences.noise import hold_back, masked
from rnnjax.recurrences.recurrence import Flags, Problem, enter, select
from rnnjax.types import Params, State


class System(NamedTuple):
    """`s_t = f_t(s_{t-1})` for the states that a loop carries; inputs are the pre-activations `a` of a pointwise cell.

    With `by_unit`, a state is packed as `(B, fields, *hidden)`, and a Jacobian is one block of the fields for each
    unit; otherwise `(B, D)` and `(B, D, D)`.
    """

    cell: Cell
    by_unit: bool

    def pack(self, state: State) -> jax.Array:
        """A state as one vector."""
        leaves = jax.tree.leaves(state)
        dtype = promoted(*leaves)
        leaves = [leaf.astype(dtype) for leaf in leaves]
        if self.by_unit:
            return jnp.stack(leaves, axis=1)
        return jnp.concatenate([leaf.reshape(leaf.shape[0], math.prod(leaf.shape[1:])) for leaf in leaves], axis=1)

    def unpack(self, vector: jax.Array, like: State) -> State:
        """`pack` undone, with the dtypes of `like`."""
        leaves, structure = jax.tree.flatten(like)
        if self.by_unit:
            parts = [vector[:, at] for at in range(len(leaves))]
        else:
            ends = [0]
            for leaf in leaves:
                ends.append(ends[-1] + math.prod(leaf.shape[1:]))
            flat = zip(leaves, ends[:-1], ends[1:], strict=True)
            parts = [vector[:, start:end].reshape(vector.shape[0], *leaf.shape[1:]) for leaf, start, end in flat]
        return cast_like(jax.tree.unflatten(structure, parts), like)

    def step(self, params: Params, mask: Any, inputs: jax.Array, before: State) -> State:
        """The step of the cell, from the pre-activations `a` if it is pointwise."""
        if not isinstance(self.cell, PointwiseCell):
            return cast_like(self.cell.step(params, inputs, before), before)
        return self.cell.wide_update(params.extras, inputs, self._recurrent(params, mask, inputs, before), before)

    def _recurrent(self, params: Params, mask: Any, inputs: jax.Array, before: State) -> jax.Array:
        cell: Any = self.cell
        if cell.recurrent_map is None:
            return jnp.zeros_like(inputs)
        read = as_read(masked(before.hidden, mask), params.recurrent.kernel)
        return cell.recurrent_map.apply(params.recurrent, read, cell.recurrent_gates)

    def carried(
        self, params: Params, reset_state: State, mask: Any, state: State, inputs: jax.Array, flags: Flags
    ) -> State:
        """`f_t`: the state that a loop carries after a step, from the one that it carried before."""
        before = enter(reset_state, state, flags)
        after = hold_back(before, self.step(params, mask, inputs, before), flags.hold)
        return after if flags.valid is None else select(flags.valid, after, before)

    def all_steps(self, problem: Problem, states: State) -> State:
        """`f_t` of each state `(T, B, ...)`."""
        own = problem.params, problem.reset_state, problem.hidden_mask
        return jax.vmap(lambda *now: self.carried(*own, *now))(states, problem.inputs, problem.flags)

    def jacobians(self, problem: Problem, states: State) -> jax.Array:
        """The Jacobian of `f_t` at each state; with `by_unit`, what each unit has of its own."""
        recurrent = None
        if self._is_elementwise and self.cell.recurrent_map is not None:  # pyright: ignore
            recurrent = recurrent_matrix(self.cell, problem.params, states.hidden.shape[2:])  # pyright: ignore

        def jacobian(state: State, inputs: jax.Array, flags: Flags) -> jax.Array:
            before = enter(problem.reset_state, state, flags)
            matrix = self._of_cell(problem, recurrent, inputs, before)
            identity = identity_like(matrix)
            if flags.hold is not None:
                shares = {
                    name: jnp.broadcast_to(flags.hold.get(name, 0), leaf.shape).astype(leaf.dtype)
                    for name, leaf in before._asdict().items()
                }
                share = self.pack(type(before)(**shares))[:, :, None]
                matrix = share * identity + (1 - share) * matrix
            if flags.valid is not None:
                matrix = select(flags.valid, matrix, jnp.broadcast_to(identity, matrix.shape))
            return matrix if flags.reset is None else select(flags.reset, jnp.zeros_like(matrix), matrix)

        return jax.vmap(jacobian)(states, problem.inputs, problem.flags)

    @property
    def _is_elementwise(self) -> bool:
        return isinstance(self.cell, PointwiseCell) and self.cell.elementwise

    def _of_cell(self, problem: Problem, recurrent: jax.Array | None, inputs: jax.Array, before: State) -> jax.Array:
        """The Jacobian of the cell at one step."""
        params, mask = problem.params, problem.hidden_mask
        if not self._is_elementwise:
            return self._by_columns(params, mask, inputs, before)
        cell: Any = self.cell
        units = unit_jacobians(cell, params.extras, inputs, self._recurrent(params, mask, inputs, before), before)
        own = jnp.stack([jnp.stack(list(each), axis=1) for each in units.state], axis=1)  # (B, fields, fields, *hidden)
        if recurrent is None:
            return own
        batch, fields, _, *hidden = own.shape
        size = recurrent.shape[0]
        slopes = jnp.stack(list(units.recurrent), axis=1).reshape(batch, fields, cell.recurrent_gates, size)
        seen = jnp.ones((batch, 1), own.dtype) if mask is None else mask.reshape(batch, size)
        read = before._fields.index("hidden")
        if self.by_unit:
            alone = jnp.einsum("bfku,uku->bfu", slopes, recurrent) * seen[:, None]
            return own.at[:, :, read].add(alone.reshape(batch, fields, *hidden))
        whole = jnp.einsum("bfgu,uv->bfugv", own.reshape(batch, fields, fields, size), jnp.eye(size, dtype=own.dtype))
        mixed = jnp.einsum("bfku,vku->bfuv", slopes, recurrent) * seen[:, None, None]
        return whole.at[:, :, :, read].add(mixed).reshape(batch, fields * size, fields * size)

    def _by_columns(self, params: Params, mask: Any, inputs: jax.Array, before: State) -> jax.Array:
        """One forward-mode derivative for each number of the state, of all rows at once, since rows do not mix."""
        at = self.pack(before)
        directions = jnp.broadcast_to(jnp.eye(at.shape[1], dtype=at.dtype)[:, None], (at.shape[1], *at.shape))

        def along(direction: jax.Array) -> jax.Array:
            change = self.unpack(direction, before)
            return self.pack(jax.jvp(lambda state: self.step(params, mask, inputs, state), (before,), (change,))[1])

        return jax.vmap(along, out_axes=2)(directions)


def before_steps(initial_state: State, states: State) -> State:
    """The state before every step, from the state after every step `(T, B, ...)`."""
    return jax.tree.map(lambda first, after: jnp.concatenate([first[None], after[:-1]]), initial_state, states)
