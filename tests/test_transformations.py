"""JAX's transformations: under each of them, the gradient taken outside, inside or both, every recurrence gives the
numbers that `Scan` gives outside of all.

What is read of a layer decides which cotangents are zeros that nobody built, so that each part is read alone: all
outputs, the final state, the last step.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import FAST_COMPILE
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from reference import assert_close
from tables import slow_unless

from rnnjax import RNN, Chunked, Elman, Newton, Recurrence, Scan, Unrolled
from rnnjax.layers.parameters import as_dicts

pytestmark = pytest.mark.usefixtures("quick_compile")

# Small, since compiling is what a case costs: two chunks of two steps, of which the second has one; two rows a device.
BATCH, TIME, INPUT, HIDDEN, MEMBERS = 4, 3, 2, 3, 2
CELL = Elman()
RECURRENCES: dict[str, Recurrence] = {
    "scan": Scan(),
    "unrolled": Unrolled(),
    "gates": Chunked(2, "gates"),
    "boundaries": Chunked(2, "boundaries"),
    "newton": Newton(),
}
# Three chunks of one step, and none left over.
WITHOUT_REST = {"without_rest": Chunked(1, "boundaries")}
READ: dict[str, Callable[[Any], Any]] = {
    "outputs": lambda values: values[0],
    "final": lambda values: values[1],
    "last": lambda values: values[0][..., -1, :],
}
# Largest error measured: 7e-7 with one gradient, 1.4e-6 with two.
TOLERANCE = 5e-6

inputs = jax.random.normal(jax.random.key(0), (BATCH, TIME, INPUT))
lengths = jnp.array([TIME, 2, 0, 1])
resets = jnp.zeros((BATCH, TIME), bool).at[0, 1].set(True)
start, again = (
    jax.tree.map(
        lambda leaf, key=key: jax.random.normal(jax.random.key(key), leaf.shape), CELL.init_state(BATCH, HIDDEN)
    )
    for key in (1, 2)
)
members = as_dicts(
    jax.vmap(lambda key: CELL.init_params(key, INPUT, HIDDEN))(jax.random.split(jax.random.key(3), MEMBERS))
)
members = jax.tree.map(lambda leaf: leaf + 0.3, members)
first = jax.tree.map(lambda leaf: leaf[0], members)


def network(recurrence: Recurrence, layer: Any = RNN) -> Callable[..., Any]:
    """A layer as a function of its parameters and what has a row a sequence."""

    def run(params: Any, inputs: Any, rows: Any) -> Any:
        lengths, resets, start, again = rows
        module = layer(CELL, HIDDEN, recurrence)
        return module.apply({"params": {"cell": params}}, inputs, start, lengths, resets, reset_state=again)

    return run


ROWS = (lengths, resets, start, again)


def in_scan(function):
    return lambda *given: jax.tree.map(
        lambda leaf: leaf[0], jax.lax.scan(lambda carry, _: (carry, function(*given)), 0.0, length=1)[1]
    )


def in_cond(function):
    def other(*given):
        return jax.tree.map(jnp.zeros_like, function(*given))

    return lambda params, *rest: jax.lax.cond(params["input"]["bias"].sum() < 1e6, function, other, params, *rest)


def in_shard_map(function):
    """Rows over two devices; what is no row (a gradient) is summed over them."""
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(AxisType.Auto,))

    def run(params, inputs, rows):
        shapes = jax.eval_shape(function, params, inputs, rows)
        is_row = jax.tree.map(lambda leaf: leaf.shape[:1] == (BATCH,), shapes)
        specs = jax.tree.map(lambda row: P("rows") if row else P(), is_row)

        def local(params, inputs, rows):
            params = jax.lax.pcast(params, "rows", to="varying")
            values = function(params, inputs, rows)
            return jax.tree.map(lambda leaf, row: leaf if row else jax.lax.psum(leaf, "rows"), values, is_row)

        return jax.shard_map(local, mesh=mesh, in_specs=(P(), P("rows"), P("rows")), out_specs=specs)(
            params, inputs, rows
        )

    return run


ONE: dict[str, Callable[[Any], Any]] = {
    "jit": jax.jit,
    "checkpoint": jax.checkpoint,
    "remat": lambda function: function,  # the layer itself, by `nn.remat`
    "scan": in_scan,
    "cond": in_cond,
    "shard_map": in_shard_map,
}


def mapped(function: Any) -> Any:
    return jax.vmap(function, in_axes=(0, None, None))


MANY: dict[str, Callable[[Any], Any]] = {
    "vmap": mapped,
    "pmap": lambda function: jax.pmap(function, in_axes=(0, None, None)),
    **{f"vmap_of_{name}": lambda function, one=one: mapped(one(function)) for name, one in ONE.items()},
}


def squares(tree: Any) -> Any:
    return sum((leaf**2).sum() for leaf in jax.tree.leaves(tree))


def numbers(function: Any, transformed: Any, order: str) -> Any:
    """Values, and gradients of every part that is read; `transformed` gives a transformed function."""

    def outside(params, inputs, rows):
        def loss(params, inputs, read):
            return squares(read(transformed(function)(params, inputs, rows)))

        gradients = {name: jax.value_and_grad(loss, (0, 1))(params, inputs, read) for name, read in READ.items()}
        return transformed(function)(params, inputs, rows), gradients

    def within(params, inputs, rows):
        return {
            name: jax.grad(lambda *moved, read=read: squares(read(function(*moved, rows))), (0, 1))(params, inputs)
            for name, read in READ.items()
        }

    def twice(params, inputs, rows):
        gradient = transformed(jax.grad(lambda *given: squares(function(*given)) / 2, (0, 1)))
        return jax.grad(lambda *moved: squares(gradient(*moved, rows)), (0, 1))(params, inputs)

    return {"outside": outside, "inside": transformed(within), "twice": twice}[order]


def one_by_one(function):
    """What `vmap` stands for, without it."""

    def run(members, *rest):
        found = [function(jax.tree.map(lambda leaf, i=i: leaf[i], members), *rest) for i in range(MEMBERS)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)

    return run


@functools.cache
def wanted(order: str, many: bool) -> Any:
    """What `Scan` gives outside of every transformation."""
    program = numbers(network(Scan()), one_by_one if many else lambda function: function, order)
    return jax.jit(program)(members if many else first, inputs, ROWS)


CASES = [
    (transformation, recurrence, order)
    for transformation in (*ONE, *MANY)
    for recurrence in RECURRENCES
    for order in ("outside", "inside", "twice")
] + [(transformation, "without_rest", "outside") for transformation in MANY]


def runs_always(transformation: str, recurrence: str, order: str) -> bool:
    """Every transformation of one of the backward passes that are written by hand, in one order."""
    if recurrence == "newton":
        return (transformation, order) == ("vmap_of_shard_map", "inside")
    if recurrence == "without_rest":
        return transformation == "vmap"
    at = list(ONE | MANY).index(transformation)
    return recurrence == ("gates", "boundaries")[at % 2] and order == ("outside", "inside", "twice")[at % 3]


@pytest.mark.parametrize(("transformation", "recurrence", "order"), slow_unless(runs_always, CASES))
def test_numbers_are_those_outside_of_every_transformation(transformation, recurrence, order):
    many = transformation in MANY
    layer = nn.remat(RNN) if transformation.endswith("remat") else RNN
    program = numbers(network((RECURRENCES | WITHOUT_REST)[recurrence], layer), (ONE | MANY)[transformation], order)
    compiled = program if transformation == "pmap" else jax.jit(program, compiler_options=FAST_COMPILE)
    got = compiled(members if many else first, inputs, ROWS)
    want = wanted(order, many)
    assert all(np.abs(leaf).max() > 1e-2 for leaf in jax.tree.leaves(want))
    assert_close(got, want, f"{order} gradients", tolerance=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("recurrence", ["gates", "boundaries"])
@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint], ids=["jit", "checkpoint"])
def test_a_gradient_does_not_hang_on_those_taken_before(recurrence, wrap):
    """JAX keeps what a forward rule found out: of which arguments a gradient is wanted must not be part of it."""
    one = wrap(network(RECURRENCES[recurrence]))
    many = mapped(one)
    jax.grad(lambda *moved: squares(many(*moved, ROWS)), (0, 1))(members, inputs)
    jax.grad(lambda params: squares(many(params, inputs, ROWS)))(members)
    got = jax.grad(lambda *moved: squares(one(*moved, ROWS)), (0, 1))(first, inputs)
    want = jax.grad(lambda *moved: squares(network(Scan())(*moved, ROWS)), (0, 1))(first, inputs)
    assert np.abs(want[1]).max() > 0.1
    assert_close(got, want, "outside gradients", tolerance=TOLERANCE)
