"""A step that is compiled ahead of time, for one device or many."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnjax.training.devices import AXIS
from rnnjax.training.objective import Objective


class CompiledStep:
    """A jitted function of (carried, batch), compiled ahead of time once for each tree structure, shapes and dtypes.

    A batch is any tree of arrays whose first axis is the batch: a NamedTuple, a dict, a tuple. `compilations` is the
    number of compilations, `compile_seconds` their total time, `objective` the objective of the sums.
    """

    def __init__(self, function: Callable, mesh: Mesh, donate: bool, objective: Objective):
        self.objective = objective

        def strong(carried: Any, batch: Any) -> Any:
            return function(*jax.tree.map(_strong, (carried, batch)))

        self._jitted = jax.jit(strong, donate_argnums=(0,) if donate else ())
        self._mesh = mesh
        self._executables: dict[Any, Callable] = {}
        self._replicated = NamedSharding(mesh, PartitionSpec())
        self._split = NamedSharding(mesh, PartitionSpec(AXIS))
        self.compile_seconds = 0.0

    @property
    def compilations(self) -> int:
        return len(self._executables)

    @property
    def in_flight(self) -> int:
        """How many steps may run or be queued at once: two, so that step t is read while step t+1 runs.

        One if several CPU devices share a batch: XLA's CPU collectives block threads of a small pool, and a second
        queued program can take the thread that the first one needs to finish.
        """
        devices = self._mesh.devices
        return 1 if devices.size > 1 and devices.flat[0].platform == "cpu" else 2

    def replicate(self, tree: Any) -> Any:
        """A copy of the tree on every device of the mesh; every process must pass the same tree."""
        return jax.tree.map(self._on_every_device, tree)

    def _on_every_device(self, leaf: Any) -> jax.Array:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = self._on_every_device(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        if jax.process_count() > 1:
            leaf = np.asarray(leaf)  # an array on local devices cannot be put on devices of other processes
        return jax.device_put(leaf, self._replicated, may_alias=False)

    def split(self, tree: Any) -> Any:
        """The tree with the first axis of its arrays split over the mesh; every process must pass the same tree."""
        if jax.process_count() > 1:
            tree = jax.tree.map(np.asarray, tree)
        # A copy: the result may be donated, and the given tree may hold the same array twice (zeros, for example).
        return jax.device_put(tree, self._split, may_alias=False)

    def put(self, batch: Any) -> Any:
        """The batch split over the mesh's devices; returned unchanged if it is split already.

        With several processes, each passes its own share of the rows. Raises ValueError if the arrays differ in their
        number of rows, or if that number is not a multiple of the number of devices.
        """
        rows = _rows(batch)
        if all(isinstance(leaf, jax.Array) and leaf.sharding == self._split for leaf in jax.tree.leaves(batch)):
            return batch
        devices = self._mesh.local_mesh.size
        if rows % devices:
            raise ValueError(f"batch size: expected a multiple of {devices} devices, got {rows}")
        if jax.process_count() == 1:
            return jax.device_put(batch, self._split)
        return jax.tree.map(lambda rows: jax.make_array_from_process_local_data(self._split, rows), batch)

    def __call__(self, carried: Any, batch: Any) -> Any:
        batch = self.put(batch)
        leaves, structure = jax.tree.flatten((carried, batch))
        # Asked before the step: on several CPU devices, XLA ends the process when it is given a deleted array.
        if any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in leaves):
            raise ValueError("state: expected one that no step has used, got one that was donated to a step before")
        given = structure, *((aval.shape, aval.dtype) for aval in map(jax.typeof, leaves))
        executable = self._executables.get(given)
        if executable is None:
            start = time.perf_counter()
            executable = self._jitted.lower(carried, batch).compile()
            self._executables[given] = executable
            self.compile_seconds += time.perf_counter() - start
        return executable(carried, batch)


def _strong(leaf: jax.Array) -> jax.Array:
    """The array without JAX's weak type, which arrays made from Python numbers have.

    One executable then serves both kinds, and the types of a step's results do not change from step to step.
    """
    return jax.lax.convert_element_type(leaf, leaf.dtype) if jax.typeof(leaf).weak_type else leaf


def _rows(batch: Any) -> int:
    """The length of the first axis of all arrays of a batch. Raises ValueError if they differ."""
    shapes = [(f"batch{jax.tree_util.keystr(path)}", np.shape(leaf)) for path, leaf in jax.tree.leaves_with_path(batch)]
    if not shapes:
        raise ValueError("batch: expected at least one array, got none")
    first, expected = shapes[0]
    for name, shape in shapes:
        if not shape:
            raise ValueError(f"{name}: expected a first axis of rows, got a single number")
        if shape[0] != expected[0]:
            raise ValueError(f"{name}: expected {expected[0]} rows, those of {first}, got {shape[0]}")
    return expected[0]
