"""The devices a run uses: CPU cores, GPUs or TPU chips, as one mesh over the batch."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "batch"


def use_cpu_cores(count: int | None = None) -> None:
    """One XLA CPU device a core (or `count` of them), which has no effect on GPUs and TPUs.

    Must come before the first JAX computation: raises RuntimeError where that had another number. Raises
    ValueError for a count below 1.
    """
    if count is not None and count < 1:
        raise ValueError(f"devices: expected at least 1, got {count}")
    count = count or _usable_cores()
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        if len(jax.devices("cpu")) != count:
            raise


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def batch_mesh(count: int | None = None) -> Mesh:
    """A mesh whose one axis splits the batch: the first `count` devices (None: all) of every process.

    Raises ValueError where there are fewer.
    """
    own = len(jax.local_devices())
    if count is not None and not 1 <= count <= own:
        raise ValueError(f"devices: expected 1 to {own}, which this machine has, got {count}")
    # Process by process: each one's rows of a batch are next to each other.
    devices = [
        device for process in range(jax.process_count()) for device in jax.local_devices(process_index=process)[:count]
    ]
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def seed_mesh(seeds: int, devices: int | None = None) -> Mesh:
    """A mesh of this process's devices (the first `devices` of them), no more than there are seeds.

    Raises ValueError where there are fewer devices.
    """
    return batch_mesh(min(seeds, batch_mesh(devices).size))


def padded_seeds(seeds: Sequence[int], mesh: Mesh) -> list[int]:
    """The seeds, the last one more than once where they do not divide among the mesh's devices."""
    return [*seeds, *[seeds[-1]] * (-len(seeds) % mesh.size)]


def seed_groups(seeds: Sequence[int], mesh: Mesh) -> list[list[int]]:
    """The padded seeds as those that one program takes at a time: all of them on accelerators, one for each CPU device.

    A CPU gains nothing from more of them in a program, and what a loop over large states copies cost as much as the
    training itself (text classifiers with 1.3 million parameters).
    """
    padded = padded_seeds(seeds, mesh)
    size = mesh.size if mesh.devices.flat[0].platform == "cpu" else len(padded)
    return [padded[first : first + size] for first in range(0, len(padded), size)]


def start_each(start: Callable[[int], Any], seeds: Sequence[int], mesh: Mesh) -> Any:
    """What every seed starts from, as one tree with a leading axis of seeds, which the mesh splits."""
    # Seed after seed: a vectorised QR decomposition may hang where several CPU devices share the host's threads.
    trees = [start(seed) for seed in seeds]
    return split_seeds(jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees), mesh)


def split_seeds(tree: Any, mesh: Mesh) -> Any:
    """A tree with a leading axis of seeds, split over the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(AXIS)))


def compiled_block(block: Callable[..., Any], mesh: Mesh, vectorised: bool | None = None) -> Callable[..., Any]:
    """A function (state, *shared) -> (state, numbers) of one seed, compiled for all seeds side by side.

    State and numbers then have a leading axis of seeds, which the mesh splits (see `side_by_side`); every seed gets the
    same `shared` arrays. The state is donated.
    """

    def of_all(state: Any, *shared: Any) -> Any:
        return side_by_side(lambda one: block(one, *shared), mesh, vectorised)(state)

    return jax.jit(of_all, donate_argnums=0)


def side_by_side(function: Callable[..., Any], mesh: Mesh, vectorised: bool | None = None) -> Callable[..., Any]:
    """The function for arguments with a leading axis more, which the mesh splits: each entry as if it were alone.

    An accelerator's share of the entries is vectorised, unless told otherwise; a CPU device takes one after the other,
    which is faster there: one entry's products keep its core busy (two memory tasks vectorised took 1.2 to 1.3 times as
    long).
    """
    if vectorised is None:
        vectorised = mesh.devices.flat[0].platform != "cpu"
    if not vectorised:

        def local(*arguments: Any) -> Any:
            return jax.lax.map(lambda one: function(*one), arguments)
    else:
        local = jax.vmap(function)
    split = PartitionSpec(AXIS)
    # Nothing is summed over the mesh. Left unchecked is what varies over it, on which the branches of what optax makes
    # of a gradient that is not finite would not agree.
    return jax.shard_map(local, mesh=mesh, in_specs=split, out_specs=split, check_vma=False)
