"""A training on a memory task that never leaves the devices: sequences, updates and evaluations, seeds side by side."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from experiments.memory_tasks.config import Memory
from rnnjax.training import TrainState

SEEDS = "seeds"
# What a seed's keys are folded with: batches of training and evaluation must not be the same.
INITIAL, TRAINING, EVALUATION = range(3)


class Block(NamedTuple):
    """What a block of U updates came to, S seeds side by side."""

    updates: int  # from the start
    training_losses: np.ndarray  # (S, U), each before its update
    losses: np.ndarray  # (S,), of the evaluation after the last
    scores: np.ndarray  # (S,)


def seed_mesh(seeds: int, devices: int | None = None) -> Mesh:
    """A mesh of this process's devices (the first `devices` of them), no more than there are seeds.

    Raises ValueError where there are fewer devices.
    """
    own = jax.local_devices()
    if devices is not None and not 1 <= devices <= len(own):
        raise ValueError(f"devices: expected 1 to {len(own)}, which this machine has, got {devices}")
    chosen = own[: min(seeds, devices or len(own))]
    return jax.make_mesh((len(chosen),), (SEEDS,), axis_types=(AxisType.Auto,), devices=chosen)


@functools.partial(jax.jit, static_argnums=0)
def initial_state(config: Memory, seed: ArrayLike) -> TrainState:
    """A seed's state before the first update."""
    key = jax.random.key(seed)
    task = config.problem()
    inputs = jnp.zeros((1, task.steps, task.features))
    params = config.network().init(jax.random.fold_in(key, INITIAL), inputs)["params"]
    return TrainState.create(params, config.optimizer(), key)


def train_block(config: Memory, state: TrainState) -> tuple[TrainState, tuple[jax.Array, jax.Array, jax.Array]]:
    """One seed's block: the state after it, every update's loss `(U,)`, and loss and score of the evaluation."""
    task, network, optimizer = config.problem(), config.network(), config.optimizer()

    def measured(params: Any, sample: Any) -> tuple[jax.Array, jax.Array]:
        outputs: Any = network.apply({"params": params}, sample.inputs)
        return task.measure(outputs, sample.targets)

    def key(kind: int, step: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(state.key, kind), step)

    def update(state: TrainState, _: None) -> tuple[TrainState, jax.Array]:
        sample = task.sample(key(TRAINING, state.step), config.batch)
        (loss, _), gradient = jax.value_and_grad(measured, has_aux=True)(state.params, sample)
        changes, optimizer_state = optimizer.update(gradient, state.optimizer_state, state.params)
        params = optax.apply_updates(state.params, changes)
        return TrainState(params, optimizer_state, state.step + 1, state.key), loss

    state, losses = jax.lax.scan(update, state, length=config.block)
    loss, score = measured(state.params, task.held_out(key(EVALUATION, state.step), config.evaluation))
    return state, (losses, loss, score)


@functools.lru_cache(maxsize=8)
def compiled_block(config: Memory, mesh: Mesh, vectorised: bool) -> Callable[[TrainState], Any]:
    """`train_block` for states with a leading seed axis, split over the mesh; they are donated.

    The seeds of a device are vectorised, or run one after the other.
    """
    each = functools.partial(train_block, config)
    seeds = jax.vmap(each) if vectorised else functools.partial(jax.lax.map, each)
    split = PartitionSpec(SEEDS)
    return jax.jit(jax.shard_map(seeds, mesh=mesh, in_specs=split, out_specs=split), donate_argnums=0)


def train(config: Memory, seeds: Sequence[int], devices: int | None = None) -> Iterator[Block]:
    """Every block of the training of these seeds, as it is done; each seed as if it were alone.

    Compiled once. Where the seeds do not divide among the devices, the last one is trained more than once. Raises
    ValueError for no seed, and as `seed_mesh`.
    """
    if not seeds:
        raise ValueError("seeds: expected at least one, got none")
    mesh = seed_mesh(len(seeds), devices)
    padded = [*seeds, *[seeds[-1]] * (-len(seeds) % mesh.size)]
    # Seed after seed: a vectorised QR decomposition may hang where several CPU devices share the host's threads.
    states = [initial_state(config, seed) for seed in padded]
    sharding = NamedSharding(mesh, PartitionSpec(SEEDS))
    state = jax.device_put(jax.tree.map(lambda *leaves: jnp.stack(leaves), *states), sharding)
    # A CPU core is busy with one seed's products: to vectorise two of them took 1.2 to 1.3 times as long.
    block = compiled_block(config, mesh, vectorised=mesh.devices.flat[0].platform != "cpu")
    for done in range(config.block, config.updates + 1, config.block):
        state, numbers = block(state)
        # Reading waits for the block: programs of several CPU devices must not queue up.
        yield Block(done, *(np.asarray(leaf)[: len(seeds)] for leaf in numbers))
