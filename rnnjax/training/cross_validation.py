"""Cross-validation on a small data set: the networks of all folds train together, side by side on the devices."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from rnnjax.data.batching import Batch
from rnnjax.models.functional import logits_of
from rnnjax.training.devices import batch_mesh, side_by_side, start_each
from rnnjax.training.divergence import FAR_ABOVE, DivergedError
from rnnjax.training.objectives import classification
from rnnjax.training.state import TrainState
from rnnjax.training.update import run_updates, update_of


class Fold(NamedTuple):
    """The rows that the network of a fold is trained on, and those that it is tested on."""

    train: np.ndarray
    test: np.ndarray


def deal(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold `(N,)` of each row, at random: the rows of one class after the other are dealt to the folds in turn.

    Of each class, and of all rows, two folds have numbers of rows that differ by at most 1.
    """
    random = np.random.default_rng(seed)
    dealt = np.concatenate([random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)])
    fold = np.empty(len(labels), int)
    fold[dealt] = np.arange(len(labels)) % folds
    return fold


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> list[Fold]:
    """K random folds with the same share of each class. Each row is a test row of one fold.

    Raises ValueError for fewer than two folds, and for a class with fewer rows than folds.
    """
    rarest = min(np.unique(labels, return_counts=True)[1])
    if not 2 <= folds <= rarest:
        raise ValueError(f"folds: expected 2 to {rarest}, the rows of the rarest class, got {folds}")
    dealt = deal(labels, folds, seed)
    tests = [np.flatnonzero(dealt == fold) for fold in range(folds)]
    return [Fold(np.setdiff1d(np.arange(len(labels)), test), test) for test in tests]


def inner_folds(labels: np.ndarray, folds: Sequence[Fold], seed: int) -> list[Fold]:
    """The training rows of each fold, split again, to choose settings with. The test rows of a fold are not used."""
    inner = []
    for number, fold in enumerate(folds):
        part = stratified_folds(labels[fold.train], len(folds), seed)[number]
        inner.append(Fold(fold.train[part.train], fold.train[part.test]))
    return inner


def cross_validate(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    train: Batch,
    test: Batch,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    watch: Callable[[float], None] = lambda loss: None,
) -> np.ndarray:
    """Trains one network for each fold, and returns its logits on the test rows of the fold, `(F, M)`.

    `model` is called with (tokens, lengths, deterministic=, rows=), and returns one logit for each row. `train` and
    `test` have a leading fold axis, and labels 0 and 1. `watch` is called after each epoch with the mean training loss
    of all folds. Raises DivergedError if that loss is not finite or far above chance.
    """
    folds, rows, _ = train.inputs.shape
    mesh = batch_mesh(math.gcd(folds, jax.device_count()))
    steps = -(-rows // batch_size)
    apply, keys = logits_of(model), jax.random.split(jax.random.key(seed), folds)
    measured = classification(apply, 2)

    @jax.jit
    def start(fold: ArrayLike) -> TrainState:
        init_key, state_key = jax.random.split(keys[fold])
        params = model.init(init_key, jnp.zeros((1, train.inputs.shape[-1]), jnp.int32))["params"]
        return TrainState.create(params, optimizer, state_key)

    def objective(params: Any, part: Batch, key: jax.Array) -> Any:
        return measured(params, part, jax.random.fold_in(key, 1))  # the order is drawn from the key itself

    update = update_of(objective, optimizer)

    def epoch(state: TrainState, part: Batch) -> tuple[TrainState, Any]:
        order = jax.random.permutation(jax.random.fold_in(state.key, state.step), rows)
        # The last batch is filled up with row 0, with weight 0.
        order = jnp.pad(order, (0, steps * batch_size - rows)).reshape(steps, batch_size)
        counted = (jnp.arange(steps * batch_size) < rows).reshape(steps, batch_size)

        def batch_of(state: TrainState, xs: tuple[jax.Array, jax.Array]) -> Batch:
            chosen, counts = xs
            batch = jax.tree.map(lambda leaf: leaf[chosen], part)
            return batch._replace(weights=batch.weights * counts, rows=jnp.arange(batch_size))

        state, sums = run_updates(update, batch_of, state, (order, counted))
        return state, sums["loss"].sum() / sums["weight"].sum()

    def score(params: Any, part: Batch) -> jax.Array:
        return apply(params, part.inputs, part.lengths)

    state = start_each(start, range(folds), mesh)
    one_epoch = jax.jit(side_by_side(epoch, mesh, vectorised=True), donate_argnums=0)
    for number in range(1, epochs + 1):
        state, losses = one_epoch(state, train)
        loss = float(jax.device_get(losses).mean())
        if not loss < FAR_ABOVE * math.log(2):
            raise DivergedError(
                f"epoch {number}: expected a loss below {FAR_ABOVE * math.log(2):.3g}, {FAR_ABOVE:g} times that of "
                f"chance, got {loss:g}; try a smaller learning rate"
            )
        watch(loss)
    return jax.device_get(jax.jit(side_by_side(score, mesh, vectorised=True))(state.params, test))
