"""A training on a memory task that never leaves the devices: sequences, updates and evaluations, seeds side by side."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.typing import ArrayLike

from experiments.memory.config import Memory
from rnnjax.training import TrainState
from rnnjax.training.capacity import parameters_of
from rnnjax.training.devices import padded_seeds, seed_mesh, side_by_side, start_each

# What a seed's keys are folded with: batches of training and evaluation must not be the same.
INITIAL, TRAINING, EVALUATION = range(3)


class Block(NamedTuple):
    """What a block of U updates came to, S seeds side by side."""

    updates: int  # from the start
    training_losses: np.ndarray  # (S, U), each before its update
    losses: np.ndarray  # (S,), of the evaluation after the last
    scores: np.ndarray  # (S,)


def initial_state(config: Memory, seed: ArrayLike) -> TrainState:
    """A seed's state before the first update."""
    key = jax.random.key(seed)
    task = config.problem()
    inputs = jnp.zeros((1, task.steps, task.features))
    params = parameters_of(lambda: config.network().init(jax.random.fold_in(key, INITIAL), inputs)["params"])
    return TrainState.create(params, config.clipped(config.updates), key)


def train_block(config: Memory, state: TrainState) -> tuple[TrainState, tuple[jax.Array, jax.Array, jax.Array]]:
    """One seed's block: the state after it, every update's loss `(U,)`, and loss and score of the evaluation."""
    task, network, optimizer = config.problem(), config.network(), config.clipped(config.updates)

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
def compiled_block(config: Memory, mesh: Mesh, vectorised: bool | None = None) -> Callable[[TrainState], Any]:
    """`train_block` for states with a leading seed axis, split over the mesh (see `side_by_side`)."""
    return jax.jit(side_by_side(functools.partial(train_block, config), mesh, vectorised), donate_argnums=0)


def train(config: Memory, seeds: Sequence[int], devices: int | None = None) -> Iterator[Block]:
    """Every block of the training of these seeds, as it is done; each seed as if it were alone.

    Compiled once. Where the seeds do not divide among the devices, the last one is trained more than once. Raises
    ValueError for no seed, and as `seed_mesh`.
    """
    if not seeds:
        raise ValueError("seeds: expected at least one, got none")
    mesh = seed_mesh(len(seeds), devices)
    state = start_each(functools.partial(initial_state, config), padded_seeds(seeds, mesh), mesh)
    block = compiled_block(config, mesh)
    for done in range(config.block, config.updates + 1, config.block):
        state, numbers = block(state)
        # Reading waits for the block: programs of several CPU devices must not queue up.
        yield Block(done, *(np.asarray(leaf)[: len(seeds)] for leaf in numbers))
