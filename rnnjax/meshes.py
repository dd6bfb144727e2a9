"""Arrays on meshes: consistent types for the arrays of a loop, inside `jax.shard_map` and on explicit axes."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.sharding import PartitionSpec

Tree = TypeVar("Tree")


def vary_alike(tree: Tree) -> Tree:
    """Inside `jax.shard_map`, marks every array as varying over the mesh axes that any of them varies over.

    The carry of a loop must have the same type at every step. Because it is done once, before the loop, the parameter
    gradients are not summed over devices inside the backward loop. Outside `shard_map` it has no effect.
    """
    axes = frozenset().union(*(jax.typeof(leaf).manual_axis_type.varying for leaf in jax.tree.leaves(tree)))

    def cast(leaf: jax.Array) -> jax.Array:
        missing = axes - jax.typeof(leaf).manual_axis_type.varying
        return jax.lax.pcast(leaf, tuple(sorted(missing)), to="varying") if missing else leaf

    return jax.tree.map(cast, tree)


def within_explicit_axes(run: Callable[..., Any], specs: Callable[[], Any], *arguments: Any) -> Any:
    """`run(*arguments)`; on a mesh with axes of type `Explicit`, these are left to the compiler during the call.

    On explicit axes, array types contain shardings: those of a loop carry must be the same in every iteration, and a
    lookup needs the sharding of its result. `specs()` returns the shardings of the outputs.
    """
    if not jax.sharding.get_abstract_mesh().explicit_axes:
        return run(*arguments)
    return jax.sharding.auto_axes(run, out_sharding=specs())(*arguments)


def spec_of(array: jax.Array) -> PartitionSpec:
    """The sharding of an array over explicit axes."""
    return jax.typeof(array).sharding.spec
