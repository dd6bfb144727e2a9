"""Training to forecast: epochs of all seeds side by side on the devices, each seed keeping its best epoch."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.typing import ArrayLike

from experiments.forecast.config import Forecast
from rnnjax.data.windows import Windows
from rnnjax.forecasting import direct, recursive
from rnnjax.training import DivergedError, TrainState
from rnnjax.training.capacity import parameters_of
from rnnjax.training.devices import padded_seeds, seed_mesh, side_by_side, start_each
from rnnjax.training.divergence import FAR_ABOVE

# What a seed's keys are folded with.
INITIAL, ORDER, PATHS = range(3)
# Windows that are forecast at once.
FORECAST_BATCH = 256


class Inputs(NamedTuple):
    """Windows as the network takes them."""

    past: jax.Array  # (N, C, F)
    future: jax.Array  # (N, H - 1, K)
    targets: jax.Array  # (N, H)


class Learner(NamedTuple):
    """A seed's training, and the best of it so far."""

    state: TrainState
    best: Any
    best_loss: jax.Array
    best_epoch: jax.Array
    epoch: jax.Array


class Epoch(NamedTuple):
    """What an epoch came to, S seeds side by side."""

    epoch: int
    training: np.ndarray  # (S,), mean loss
    validation: np.ndarray  # (S,)
    best: np.ndarray  # (S,), the epoch that is kept; 0 while none is

    def line(self) -> dict[str, Any]:
        """For JSON, which knows no NaN."""

        def finite(values: np.ndarray) -> list[float | None]:
            return [float(value) if math.isfinite(value) else None for value in values]

        return {"epoch": self.epoch, "training": finite(self.training), "validation": finite(self.validation)}

    def ends(self, patience: int) -> bool:
        """Whether every seed's training has ended."""
        return bool(np.all(self.epoch - self.best >= patience))


def inputs_of(windows: Windows) -> Inputs:
    """The windows as the network takes them: a step's number, what is known of the next step, and other columns."""
    context = windows.past.shape[1]
    past = np.concatenate([windows.past[..., None], windows.known[:, :context], windows.extra], axis=-1)
    return Inputs(*map(jnp.asarray, (past, windows.known[:, context:], windows.targets)))


def loss_of(config: Forecast, params: Any, batch: Inputs) -> jax.Array:
    """The mean loss of windows. Recursive: of each step's forecast from the true numbers before it."""
    network = config.network()
    if config.strategy == "direct":
        outputs: Any = network.apply({"params": params}, batch.past)[0]
        outputs = outputs[:, 0]
    else:
        fed = jnp.concatenate([batch.targets[:, :-1, None], batch.future], axis=-1)
        # A column of the past that is not known of the future is there with a horizon of 1 only: then nothing is fed.
        inputs = jnp.concatenate([batch.past, fed], axis=1) if fed.shape[1] else batch.past
        outputs = network.apply({"params": params}, inputs, reads=batch.targets.shape[1])[0]
        outputs = outputs[:, :, 0]
    return network.head.loss(outputs, batch.targets).mean()


def batch_size(config: Forecast, windows: int) -> int:
    """Windows of an update: no more than there are."""
    return min(config.batch, windows)


def first_learner(config: Forecast, features: int, windows: int, seed: ArrayLike) -> Learner:
    """A seed before the first epoch."""
    key = jax.random.key(seed)
    first_key, inputs = jax.random.fold_in(key, INITIAL), jnp.zeros((1, 1, features))
    params = parameters_of(lambda: config.network().init(first_key, inputs)["params"])
    updates = config.epochs * (windows // batch_size(config, windows))
    state = TrainState.create(params, config.clipped(updates, updates // config.epochs), key)
    zero = jnp.zeros((), jnp.int32)
    return Learner(state, params, jnp.array(jnp.inf), zero, zero)


def train_epoch(config: Forecast, training: Inputs, validation: Inputs, learner: Learner) -> tuple[Learner, Any]:
    """One seed's epoch, over all windows in an order of its own but for the last few that fill no batch."""
    windows = len(training.targets)
    size = batch_size(config, windows)
    optimizer = config.clipped(config.epochs * (windows // size), windows // size)
    key = jax.random.fold_in(jax.random.fold_in(learner.state.key, ORDER), learner.epoch)
    order = jax.random.permutation(key, windows)[: windows // size * size].reshape(-1, size)

    def update(state: TrainState, rows: jax.Array) -> tuple[TrainState, jax.Array]:
        batch = Inputs(*(leaf[rows] for leaf in training))
        loss, gradient = jax.value_and_grad(functools.partial(loss_of, config))(state.params, batch)
        changes, optimizer_state = optimizer.update(gradient, state.optimizer_state, state.params)
        return TrainState(optax.apply_updates(state.params, changes), optimizer_state, state.step + 1, state.key), loss

    state, losses = jax.lax.scan(update, learner.state, order)
    loss = mean_loss(config, state.params, validation)
    epoch = learner.epoch + 1
    # A seed whose patience is over keeps what it has, though others' training goes on.
    better = (loss < learner.best_loss) & (epoch - learner.best_epoch <= config.patience)
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), state.params, learner.best)
    best_loss = jnp.where(better, loss, learner.best_loss)
    best_epoch = jnp.where(better, epoch, learner.best_epoch)
    return Learner(state, best, best_loss, best_epoch, epoch), (losses.mean(), loss, best_epoch)


def mean_loss(config: Forecast, params: Any, inputs: Inputs) -> jax.Array:
    """The mean loss of many windows, batch by batch."""

    def of_batch(batch: Inputs) -> jax.Array:
        return loss_of(config, params, Inputs(*(leaf[None] for leaf in batch)))

    return jax.lax.map(of_batch, inputs, batch_size=FORECAST_BATCH).mean()


@functools.lru_cache(maxsize=8)
def compiled_epoch(config: Forecast, mesh: Mesh) -> Callable[[Learner, Inputs, Inputs], Any]:
    """`train_epoch` of learners with a leading seed axis, split over the mesh (see `side_by_side`)."""

    def epoch(learner: Learner, training: Inputs, validation: Inputs) -> Any:
        return side_by_side(functools.partial(train_epoch, config, training, validation), mesh)(learner)

    return jax.jit(epoch, donate_argnums=0)


def train(config: Forecast, training: Inputs, validation: Inputs) -> Iterator[tuple[Learner, Epoch]]:
    """Every epoch of all seeds, as it is done, until each has run out of patience; each as if it were alone.

    The learner `(S, ...)` that is yielded is donated to the next epoch.

    Where the seeds do not divide among the devices, the last one is trained more than once. Raises as `seed_mesh`.
    """
    mesh = seed_mesh(config.seeds, config.devices)
    seeds = padded_seeds(range(config.seed, config.seed + config.seeds), mesh)
    start = functools.partial(first_learner, config, training.past.shape[-1], len(training.targets))
    learner = start_each(start, seeds, mesh)
    epoch = compiled_epoch(config, mesh)
    for number in range(1, config.epochs + 1):
        learner, numbers = epoch(learner, training, validation)
        # Reading waits for the epoch: programs of several CPU devices must not queue up.
        done = Epoch(number, *(np.asarray(leaf)[: config.seeds] for leaf in numbers))
        yield learner, done
        if done.ends(config.patience):
            return


def own_seeds(config: Forecast, tree: Any) -> Any:
    """What belongs to the seeds that were asked for, `(S, ...)`, on the host."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: config.seeds], tree)


def check_all_learnt(config: Forecast, epochs: Sequence[Epoch], best: Any, validation: Inputs) -> None:
    """Raises DivergedError for a seed that no epoch left with a finite validation loss, or one not far above chance.

    Chance is the loss of a network whose outputs are all 0.
    """
    last = epochs[-1]
    for row in np.flatnonzero(last.best == 0)[:1]:
        raise DivergedError(
            f"seed {config.seed + row}: expected an epoch with a finite validation loss, got none in {last.epoch}; try "
            "a smaller learning rate"
        )
    nothing = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), best)
    chance = float(jax.jit(functools.partial(mean_loss, config))(nothing, validation))
    for row, epoch in enumerate(last.best):
        if (loss := epochs[epoch - 1].validation[row]) > FAR_ABOVE * chance > 0:
            raise DivergedError(
                f"seed {config.seed + row}: expected an epoch with a validation loss below {FAR_ABOVE:g} times that of "
                f"outputs of 0, {chance:.3g}, got {loss:.3g} at best; try a smaller learning rate"
            )


@functools.lru_cache(maxsize=8)
def compiled_forecast(config: Forecast) -> Callable[[Any, jax.Array, Inputs], jax.Array]:
    """Quantiles `(N, H, Q)` of windows from one seed's parameters and key; each window as if it were alone."""
    network = config.network()

    def of_window(params: Any, key: jax.Array, window: Inputs) -> jax.Array:
        past, future, _ = (leaf[None] for leaf in window)
        if config.strategy == "direct":
            return direct(network, params, past)[0]
        return recursive(network, params, past, future, key, config.paths)[0]

    def forecast(params: Any, key: jax.Array, windows: Inputs) -> jax.Array:
        keys = jax.random.split(key, len(windows.past))
        return jax.lax.map(lambda window: of_window(params, *window), (keys, windows), batch_size=FORECAST_BATCH)

    return jax.jit(forecast)


def forecasts(config: Forecast, params: Any, windows: Windows) -> np.ndarray:
    """Quantiles `(S, N, H, Q)` of windows, on their scale, from every seed's parameters `(S, ...)`."""
    inputs, forecast = inputs_of(windows), compiled_forecast(config)
    found = []
    for row in range(config.seeds):
        own = jax.tree.map(lambda leaf, row=row: leaf[row], params)
        key = jax.random.fold_in(jax.random.key(config.seed + row), PATHS)
        found.append(np.asarray(forecast(own, key, inputs)))
    return np.stack(found)
