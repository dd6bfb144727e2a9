"""A training on a memory task that never leaves the devices: sequences, updates and evaluations, seeds side by side."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from experiments.memory.config import Memory
from rnnjax.training import Objective, TrainState
from rnnjax.training.blocks import fit_blocks
from rnnjax.training.capacity import parameters_of
from rnnjax.training.devices import compiled_block, padded_seeds, seed_mesh, split_seeds, start_each
from rnnjax.training.divergence import WINDOW
from rnnjax.training.update import run_updates, update_of

# What a seed's keys are folded with: batches of training and evaluation must not be the same.
INITIAL, TRAINING, EVALUATION = range(3)


class History(NamedTuple):
    """What a seed's training carries besides its state: NaN where there was no update yet."""

    first: Any  # the loss before the first update
    recent: Any  # (WINDOW,), the last losses


class Block(NamedTuple):
    """The numbers of a block of U updates, S seeds side by side."""

    updates: int  # from the start
    training_losses: np.ndarray  # (S, U), each before its update
    losses: np.ndarray  # (S,), of the evaluation after the last
    scores: np.ndarray  # (S,)
    history: History  # (S,) and (S, WINDOW)


def objective(config: Memory) -> Objective:
    """Loss and score of the task."""
    task, network = config.problem(), config.network()

    def sums(params: Any, sample: Any, key: jax.Array | None) -> dict[str, jax.Array]:
        outputs: Any = network.apply({"params": params}, sample.inputs)
        loss, score = task.measure(outputs, sample.targets)
        return {"loss": loss, "score": score, "weight": jnp.ones(())}

    return Objective(sums, best="score", highest=True)


def initial_state(config: Memory, seed: ArrayLike) -> TrainState:
    """A seed's state before the first update."""
    key = jax.random.key(seed)
    task = config.problem()
    inputs = jnp.zeros((1, task.steps, task.features))
    params = parameters_of(lambda: config.network().init(jax.random.fold_in(key, INITIAL), inputs)["params"])
    history = History(jnp.full((), jnp.nan, jnp.float32), jnp.full(WINDOW, jnp.nan, jnp.float32))
    optimizer = config.transformation(config.updates)
    return TrainState.create(params, optimizer, key, history, averaged=config.averaging > 0)


def train_block(config: Memory, state: TrainState) -> tuple[TrainState, Any]:
    """One seed's block: the state after it; every update's loss `(U,)`, loss and score of the evaluation, history."""
    task, measured = config.problem(), objective(config)
    optimizer = config.transformation(config.updates)
    update = update_of(measured, optimizer, clip=config.clip, averaging=config.averaging)

    def key(state: TrainState, kind: int) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(state.key, kind), state.step)

    def sample(state: TrainState, _: None) -> Any:
        return task.sample(key(state, TRAINING), config.batch)

    state, sums = run_updates(update, sample, state, length=config.block)
    first, recent = state.carry
    losses = sums["loss"]
    history = History(jnp.where(jnp.isnan(first), losses[0], first), jnp.concatenate([recent, losses])[-WINDOW:])
    scores = measured(state.evaluated, task.held_out(key(state, EVALUATION), config.evaluation), None)
    return state._replace(carry=history), (losses, scores["loss"], scores["score"], history)


@functools.lru_cache(maxsize=8)
def compiled(config: Memory, mesh: Mesh, vectorised: bool | None = None) -> Callable[[TrainState], Any]:
    """`train_block` of seeds side by side (`compiled_block`)."""
    return compiled_block(functools.partial(train_block, config), mesh, vectorised)


def initial_states(config: Memory, seeds: Sequence[int], devices: int | None = None) -> TrainState:
    """The states of all seeds, `(S, ...)`, on their devices. Raises ValueError for no seed, and as `seed_mesh`."""
    if not seeds:
        raise ValueError("seeds: expected at least one, got none")
    mesh = seed_mesh(len(seeds), devices)
    return start_each(functools.partial(initial_state, config), padded_seeds(seeds, mesh), mesh)


def train(
    config: Memory,
    seeds: Sequence[int],
    devices: int | None = None,
    state: TrainState | None = None,
    fit: Callable[..., Iterator[tuple[TrainState, Any, Any]]] = fit_blocks,
    done: Callable[[], bool] = lambda: False,
) -> Iterator[Block]:
    """Every block of the training of these seeds, as it is done; each seed gives the numbers that it gives alone.

    Compiled once. Where the seeds do not divide among the devices, the last one is trained more than once. `state`
    resumes a training, and `fit` may keep checkpoints (`Session.fit_blocks`); `done` is asked before every block.
    Raises as `initial_states`.
    """
    state = initial_states(config, seeds, devices) if state is None else state
    mesh = seed_mesh(len(seeds), devices)
    state, block = split_seeds(state, mesh), compiled(config, mesh)
    for _, numbers, position in fit(state, block, config.updates // config.block, config.block, done):
        yield Block(position.step, *jax.tree.map(lambda leaf: leaf[: len(seeds)], numbers))
