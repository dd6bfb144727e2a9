"""The devices of a run (CPU cores, GPUs or TPU chips) as one mesh that splits the batch."""

import functools
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "batch"


def use_cpu_cores(count: int | None = None) -> None:
    """Makes one XLA CPU device for each core, or `count` of them. Has no effect on GPUs and TPUs.

    XLA_FLAGS may set another number of CPU devices than cores. Must be called before the first JAX computation. Raises
    RuntimeError if JAX has started with another number of CPU devices, ValueError for a count below 1, or above the
    number of devices of this machine.
    """
    if count is not None and count < 1:
        raise ValueError(f"devices: expected at least 1, got {count}")
    most = _forced_devices() or _usable_cores()
    try:
        jax.config.update("jax_num_cpu_devices", min(count or most, most))
    except RuntimeError:
        if len(jax.devices("cpu")) != (count or most):
            raise
    if count is not None and count > most:  # unless they are GPUs or TPUs
        batch_mesh(count)


def _forced_devices() -> int | None:
    """The number of CPU devices in XLA_FLAGS, if it is set there."""
    found = re.findall(r"--xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", ""))
    return int(found[-1]) if found else None


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def batch_mesh(count: int | None = None) -> Mesh:
    """A mesh whose one axis splits the batch: the first `count` devices (None: all) of every process.

    Raises ValueError if there are fewer devices.
    """
    own = len(jax.local_devices())
    if count is not None and not 1 <= count <= own:
        raise ValueError(f"devices: expected 1 to {own}, which this machine has, got {count}")
    # Ordered by process, so that the rows of each process are contiguous in a batch.
    devices = [
        device for process in range(jax.process_count()) for device in jax.local_devices(process_index=process)[:count]
    ]
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def seed_mesh(seeds: int, devices: int | None = None) -> Mesh:
    """A mesh of the first `devices` devices of this process (None: all), but of no more devices than seeds.

    Raises ValueError if there are fewer than `devices`.
    """
    return batch_mesh(min(seeds, batch_mesh(devices).size))


def padded_seeds(seeds: Sequence[int], mesh: Mesh) -> list[int]:
    """The seeds, with the last one repeated until their number is a multiple of the number of devices."""
    return [*seeds, *[seeds[-1]] * (-len(seeds) % mesh.size)]


def seed_groups(seeds: Sequence[int], mesh: Mesh) -> list[list[int]]:
    """The padded seeds in groups that one program trains: all of them on accelerators, one for each device on CPUs.

    On CPUs larger groups are no faster, and the loop over large states copies them, which took as long as the training
    itself (text classifiers with 1.3 million parameters).
    """
    padded = padded_seeds(seeds, mesh)
    size = mesh.size if mesh.devices.flat[0].platform == "cpu" else len(padded)
    return [padded[first : first + size] for first in range(0, len(padded), size)]


def start_each(start: Callable[[int], Any], seeds: Sequence[int], mesh: Mesh) -> Any:
    """`start(seed)` of every seed, stacked along a leading axis that is split over the mesh."""
    # One seed at a time: a vectorised QR decomposition may hang if several CPU devices share the host's threads.
    trees = [start(seed) for seed in seeds]
    return split_seeds(jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees), mesh)


def split_seeds(tree: Any, mesh: Mesh) -> Any:
    """A tree with a leading axis of seeds, split over the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(AXIS)))


def compiled_block(block: Callable[..., Any], mesh: Mesh, vectorised: bool | None = None) -> Callable[..., Any]:
    """A function (state, *shared) -> (state, numbers) of one seed, compiled for all seeds side by side.

    State and numbers then have a leading axis of seeds that is split over the mesh (see `side_by_side`); every seed
    gets the same `shared` arrays. The state is donated.
    """

    def of_all(state: Any, *shared: Any) -> Any:
        return side_by_side(lambda one: block(one, *shared), mesh, vectorised)(state)

    return jax.jit(of_all, donate_argnums=0)


def side_by_side(function: Callable[..., Any], mesh: Mesh, vectorised: bool | None = None) -> Callable[..., Any]:
    """The function mapped over a leading axis that is split over the mesh; each entry is computed independently.

    Unless `vectorised` is given, accelerators use `jax.vmap` for their entries, and CPU devices take one entry after
    the other. That is faster on CPUs, because one entry keeps its core busy (two memory tasks vectorised took 1.2 to
    1.3 times as long).
    """
    if vectorised is None:
        vectorised = mesh.devices.flat[0].platform != "cpu"
    if not vectorised:

        def local(*arguments: Any) -> Any:
            return jax.lax.map(lambda one: function(*one), arguments)
    else:
        local = jax.vmap(function)
    split = PartitionSpec(AXIS)
    # Nothing is summed over the mesh. `check_vma` is off because the two branches of `optax.apply_if_finite` differ in
    # what varies over the mesh.
    return jax.shard_map(local, mesh=mesh, in_specs=split, out_specs=split, check_vma=False)


def over_rows(function: Callable[[Any, Any], Any], params: Any, mesh: Mesh) -> Callable[[Any], Any]:
    """`function(params, batch)` as a compiled function of the batch; rows of batch and outputs are split over the mesh.

    The parameters are copied to every device once. The outputs of a row must not depend on other rows of the batch,
    whose number must be a multiple of the devices.
    """
    whole, rows = PartitionSpec(), PartitionSpec(AXIS)
    split = jax.shard_map(function, mesh=mesh, in_specs=(whole, rows), out_specs=rows, check_vma=False)
    return functools.partial(jax.jit(split), jax.device_put(params, NamedSharding(mesh, whole)))
