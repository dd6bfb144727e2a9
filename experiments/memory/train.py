"""Trains on a memory task on the devices: sequences, updates and evaluations of all seeds side by side."""

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

# Folded into the key of a seed, so that training and evaluation batches are different.
INITIAL, TRAINING, EVALUATION = range(3)


class History(NamedTuple):
    """The carry of a seed's training state: losses, NaN before the first updates."""

    first: Any  # the loss before the first update
    recent: Any  # (WINDOW,), the last losses


class Block(NamedTuple):
    """The results of a block of U updates of S seeds."""

    updates: int  # since the start of the training
    training_losses: np.ndarray  # (S, U), each before its update
    losses: np.ndarray  # (S,), of the evaluation after the last update
    scores: np.ndarray  # (S,)
    history: History  # (S,) and (S, WINDOW)


def objective(config: Memory) -> Objective:
    """The objective with loss and score of the task."""
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
    optimizer = config.transformation(config.updates, config.block)
    return TrainState.create(params, optimizer, key, history, averaged=config.averaging > 0)


def train_block(config: Memory, state: TrainState) -> tuple[TrainState, Any]:
    """One block of one seed; returns the state, and (losses `(U,)`, loss and score of the evaluation, history)."""
    task, measured = config.problem(), objective(config)
    optimizer = config.transformation(config.updates, config.block)
    update = update_of(measured, optimizer, clip=config.clip, averaging=config.averaging)

    def key(state: TrainState, kind: int) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(state.key, kind), state.step)

    def sample(state: TrainState, _: None) -> Any:
        return task.sample(key(state, TRAINING), config.batch_size)

    state, sums = run_updates(update, sample, state, length=config.block)
    first, recent = state.carry
    losses = sums["loss"]
    history = History(jnp.where(jnp.isnan(first), losses[0], first), jnp.concatenate([recent, losses])[-WINDOW:])
    scores = measured(state.evaluated, task.held_out(key(state, EVALUATION), config.evaluation), None)
    return state._replace(carry=history), (losses, scores["loss"], scores["score"], history)


@functools.lru_cache(maxsize=8)
def compiled(config: Memory, mesh: Mesh, vectorised: bool | None = None) -> Callable[[TrainState], Any]:
    """`train_block`, compiled for all seeds side by side (`compiled_block`)."""
    return compiled_block(functools.partial(train_block, config), mesh, vectorised)


def initial_states(config: Memory, seeds: Sequence[int], devices: int | None = None) -> TrainState:
    """The initial states `(S, ...)` on their devices. Raises ValueError for no seeds, and as `seed_mesh`."""
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
    """Trains these seeds, and yields every block; each seed gives the same results as if trained alone.

    Compiled once. If the number of seeds is not a multiple of the number of devices, the last seed is trained more than
    once. `state` resumes a training. `fit` may write checkpoints (`Session.fit_blocks`). Training ends when `done()`,
    called before every block, is true. Raises as `initial_states`.
    """
    state = initial_states(config, seeds, devices) if state is None else state
    mesh = seed_mesh(len(seeds), devices)
    state, block = split_seeds(state, mesh), compiled(config, mesh)
    for _, numbers, position in fit(state, block, config.updates // config.block, config.block, done):
        yield Block(position.step, *jax.tree.map(lambda leaf: leaf[: len(seeds)], numbers))
