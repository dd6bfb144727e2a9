"""The fast recurrence: chunks of steps, with a backward pass of its own."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells.cell import Cell, PointwiseCell, affine
from rnnjax.recurrences.recurrence import Flags, advance, clear_padding, prepare, select, zero_where
from rnnjax.types import Lengths, Params, State, TimeFlags, TimeHidden, TimeInputs


@dataclasses.dataclass(frozen=True)
class Chunked:
    """A scan over chunks of `size` steps, each a scan over steps, and a fused backward pass.

        for chunk in range(ceil(T / size)):         # from the last down with reverse=True
            a = inputs[chunk] @ W + b               # one product for the chunk's input part
            for t in chunk:
                state = update(a[t], state.hidden @ R + c, state)
                hidden[t] = state.hidden

    The forward pass keeps only the states. The backward pass walks the chunks the other way and
    recomputes a chunk's pre-activations with two large products (every h is known by then); its loop over
    steps holds the derivative of `update` and `dr @ R.T`, and the weights' gradients are one product a
    chunk. T need not be a multiple of `size`; what is left over is a chunk of its own. Float32 sums run
    over the chunks in whichever compute dtype. Differentiable in reverse mode only, any number of times.

    Raises ValueError for a size below 1, TypeError for a cell that is not a `PointwiseCell`.
    """

    size: int = 20

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"size: expected at least 1, got {self.size}")

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
    ) -> tuple[TimeHidden, State]:
        """Outputs `(T, B, H)` and the final state. Raises ValueError where shapes do not fit."""
        if not isinstance(cell, PointwiseCell):
            raise TypeError(
                f"Chunked: expected a PointwiseCell, got {type(cell).__name__}; run it under Scan or Unrolled"
            )
        params, inputs, initial, flags = prepare(cell, params, inputs, state, lengths, resets)
        if inputs.shape[0] == 0:
            return jnp.zeros((0, *initial.hidden.shape), initial.hidden.dtype), initial
        walk = Walk(size=self.size, reverse=reverse)
        return _run(cell, walk, params, inputs, initial, flags)


class Walk(NamedTuple):
    """The order of a loop over chunks."""

    size: int
    reverse: bool

    def over(self, chunk: Callable, carry: Any, xs: Any) -> tuple[Any, Any]:
        """`lax.scan` of `chunk(carry, slices) -> (carry, outputs)`, whose slices have up to `size` steps each.

        `xs` and the outputs are trees of arrays with the time axis first.
        """
        time = jax.tree.leaves(xs)[0].shape[0]
        whole = time - time % self.size
        split = jax.tree.map(lambda leaf: leaf[:whole].reshape(whole // self.size, self.size, *leaf.shape[1:]), xs)
        rest = jax.tree.map(lambda leaf: leaf[whole:], xs)
        if whole == 0:
            return chunk(carry, rest)
        if whole == time:
            carry, outputs = jax.lax.scan(chunk, carry, split, reverse=self.reverse)
            return carry, jax.tree.map(_merge, outputs)
        if self.reverse:
            carry, last = chunk(carry, rest)
            carry, outputs = jax.lax.scan(chunk, carry, split, reverse=True)
        else:
            carry, outputs = jax.lax.scan(chunk, carry, split)
            carry, last = chunk(carry, rest)
        return carry, jax.tree.map(lambda many, one: jnp.concatenate([_merge(many), one]), outputs, last)


def _merge(leaf: jax.Array) -> jax.Array:
    return leaf.reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:])


def _extras(params: Params) -> Params:
    """What `update` may read: the parameters without those of the two affine maps."""
    return params._replace(kernel=None, recurrent_kernel=None, bias=None, recurrent_bias=None)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _run(cell: PointwiseCell, walk: Walk, params: Params, inputs: jax.Array, initial: State, flags: Flags):
    states, final = _forward(cell, walk, params, inputs, initial, flags)
    return states.hidden, final


def _forward(cell: PointwiseCell, walk: Walk, params: Params, inputs: jax.Array, initial: State, flags: Flags):
    extras = _extras(params)

    def step(state, xs):
        inputs, flags = xs

        def update(inputs, before):
            recurrent = affine(before.hidden, params.recurrent_kernel, params.recurrent_bias)
            return cell.update(extras, inputs, recurrent, before)

        return advance(update, initial, state, inputs, flags)

    def chunk(state, xs):
        inputs, flags = xs
        inputs = affine(clear_padding(inputs, flags), params.kernel, params.bias)
        return jax.lax.scan(step, state, (inputs, flags), reverse=walk.reverse)

    final, states = walk.over(chunk, initial, (inputs, flags))
    return states, final


def _save(cell: PointwiseCell, walk: Walk, params: Params, inputs: jax.Array, initial: State, flags: Flags):
    states, final = _forward(cell, walk, params, inputs, initial, flags)
    return (states.hidden, final), (params, inputs, initial, flags, states)


def _backward(cell: PointwiseCell, walk: Walk, saved, cotangents):
    params, inputs, initial, flags, states = saved
    d_hidden, d_final = cotangents
    extras = _extras(params)
    kernel_t, recurrent_t = params.kernel.T, params.recurrent_kernel.T

    def step(carry, xs):
        d_state, d_initial, d_extras = carry
        inputs, recurrent, before, d_hidden, flags = xs
        d_after = d_state._replace(hidden=d_state.hidden + d_hidden)
        if flags.valid is not None:
            d_after = zero_where(~flags.valid, d_after)
        _, update_vjp = jax.vjp(cell.update, extras, inputs, recurrent, before)
        d_extra, d_inputs, d_recurrent, d_before = update_vjp(d_after)
        d_before = d_before._replace(hidden=d_before.hidden + d_recurrent @ recurrent_t)
        if flags.valid is not None:
            d_before = select(flags.valid, d_before, d_state)
        if flags.reset is not None:
            d_initial = select(flags.reset, _sum(d_initial, d_before), d_initial)
            d_before = zero_where(flags.reset, d_before)
        # Where only a + r is read, both cotangents are one array: it is written once.
        outputs = (d_inputs, None if d_recurrent is d_inputs else d_recurrent)
        return (d_before, d_initial, _sum(d_extras, d_extra)), outputs

    def chunk(carry, xs):
        d_state, d_initial, d_params = carry
        times, inputs, after, d_hidden, flags, starts = xs
        inputs = clear_padding(inputs, flags)
        before = _states_before(walk, times, after, states, initial)
        if starts is not None:
            before = select(starts, jax.tree.map(lambda leaf: leaf[None], initial), before)
        a = affine(inputs, params.kernel, params.bias)
        r = affine(before.hidden, params.recurrent_kernel, params.recurrent_bias)
        (d_state, d_initial, d_extras), (d_a, d_r) = jax.lax.scan(
            step, (d_state, d_initial, _extras(d_params)), (a, r, before, d_hidden, flags), reverse=not walk.reverse
        )
        d_r = d_a if d_r is None else d_r
        d_second = d_params.recurrent_bias
        if d_second is not None:
            d_second = d_second + d_r.sum((0, 1), dtype=d_second.dtype)
        d_params = d_extras._replace(
            kernel=d_params.kernel + _outer(inputs, d_a),
            recurrent_kernel=d_params.recurrent_kernel + _outer(before.hidden, d_r),
            bias=d_params.bias + d_a.sum((0, 1), dtype=d_params.bias.dtype),
            recurrent_bias=d_second,
        )
        return (d_state, d_initial, d_params), clear_padding(d_a @ kernel_t, flags).astype(inputs.dtype)

    sums = jax.tree.map(lambda leaf: leaf.astype(_sum_dtype(leaf)) * 0, params)
    carry = (d_final, jax.tree.map(jnp.zeros_like, d_final), sums)
    xs = (jnp.arange(inputs.shape[0]), inputs, states, d_hidden, flags, _starts(walk, flags))
    back = Walk(size=walk.size, reverse=not walk.reverse)
    (d_state, d_initial, d_params), d_inputs = back.over(chunk, carry, xs)
    d_params = jax.tree.map(lambda total, leaf: total.astype(leaf.dtype), d_params, params)
    return d_params, d_inputs, _sum(d_state, d_initial), None


_run.defvjp(_save, _backward)


def _starts(walk: Walk, flags: Flags) -> jax.Array | None:
    """Where a step begins from the initial state although other steps ran before it in the batch."""
    if flags.valid is None or not walk.reverse:
        return flags.reset
    last = flags.valid & ~jnp.concatenate([flags.valid[1:], jnp.zeros_like(flags.valid[:1])])
    return last if flags.reset is None else last | flags.reset


def _states_before(walk: Walk, times: jax.Array, after: State, states: State, initial: State) -> State:
    """The state before each step of a chunk, from the states after its steps and that of the chunk before."""
    total = states.hidden.shape[0]
    edge = times[-1] + 1 if walk.reverse else times[0] - 1

    def leaf(after: jax.Array, states: jax.Array, initial: jax.Array) -> jax.Array:
        inside = jax.lax.dynamic_index_in_dim(states, jnp.clip(edge, 0, total - 1), keepdims=True)
        entering = jnp.where((edge >= 0) & (edge < total), inside, initial[None])
        return jnp.concatenate([after[1:], entering] if walk.reverse else [entering, after[:-1]])

    return jax.tree.map(leaf, after, states, initial)


def _outer(left: jax.Array, right: jax.Array) -> jax.Array:
    """The sum over steps and batch of outer products, as one matrix product."""
    return jax.lax.dot_general(
        left,
        right,
        (((0, 1), (0, 1)), ((), ())),
        preferred_element_type=_sum_dtype(left),
    )


def _sum_dtype(leaf: jax.Array) -> Any:
    return jnp.promote_types(leaf.dtype, jnp.float32)


def _sum(left: Any, right: Any) -> Any:
    """The sum of two trees, leaf by leaf."""
    return jax.tree.map(jnp.add, left, right)
