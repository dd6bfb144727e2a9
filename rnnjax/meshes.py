"""Arrays on meshes: what those of a loop must agree on, inside `jax.shard_map` and on explicit axes."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.sharding import PartitionSpec

Tree = TypeVar("Tree")


def vary_alike(tree: Tree) -> Tree:
    """Inside `jax.shard_map`: every array marked as varying over the mesh axes that any of them varies over.

    A loop's carry must be of one type from step to step. Done here, once, it also keeps the sum of the
    parameters' gradients over devices out of the backward loop. Outside `shard_map` it does nothing.
    """
    axes = frozenset().union(*(jax.typeof(leaf).manual_axis_type.varying for leaf in jax.tree.leaves(tree)))

    def cast(leaf: jax.Array) -> jax.Array:
        missing = axes - jax.typeof(leaf).manual_axis_type.varying
        return jax.lax.pcast(leaf, tuple(sorted(missing)), to="varying") if missing else leaf

    return jax.tree.map(cast, tree)


def within_explicit_axes(run: Callable[..., Any], specs: Callable[[], Any], *arguments: Any) -> Any:
    """`run(*arguments)`; on a mesh with axes of the type `Explicit`, with these left to the compiler in between.

    There the arrays of a loop carry shardings in their types, which must be equal at every turn, and a look-up must
    be told where its result goes. `specs()` says how what comes out is to be split.
    """
    if not jax.sharding.get_abstract_mesh().explicit_axes:
        return run(*arguments)
    return jax.sharding.auto_axes(run, out_sharding=specs())(*arguments)


def spec_of(array: jax.Array) -> PartitionSpec:
    """How an array is split over explicit axes."""
    return jax.typeof(array).sharding.spec
