"""Trains forecasters: epochs of all seeds side by side on the devices. Each seed keeps its best epoch."""

import functools
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
from rnnjax.runs.metrics import finite, known
from rnnjax.training import DivergedError, Objective, TrainState
from rnnjax.training.blocks import fit_blocks
from rnnjax.training.capacity import parameters_of
from rnnjax.training.devices import compiled_block, padded_seeds, seed_mesh, split_seeds, start_each
from rnnjax.training.divergence import FAR_ABOVE
from rnnjax.training.update import run_updates, update_of

# Folded into the key of a seed.
INITIAL, ORDER, PATHS = range(3)
# The batch size of forecasts and evaluations.
FORECAST_BATCH = 256


class Inputs(NamedTuple):
    """The inputs and targets of the network."""

    past: jax.Array  # (N, C, F)
    future: jax.Array  # (N, H - 1, K)
    targets: jax.Array  # (N, H)


class Best(NamedTuple):
    """The best epoch of a seed so far, which is the carry of its training state."""

    params: Any
    loss: jax.Array  # of the validation part
    epoch: jax.Array  # 0 while there is none


class Epoch(NamedTuple):
    """The results of an epoch of S seeds."""

    epoch: int
    training: np.ndarray  # (S,), mean loss
    validation: np.ndarray  # (S,)
    best: np.ndarray  # (S,), the best epoch; 0 while there is none

    def line(self) -> dict[str, Any]:
        """The epoch as JSON values (None for NaN)."""
        losses = {"train_loss": finite(self.training), "validation_loss": finite(self.validation)}
        return {"epoch": self.epoch, **losses, "best": self.best.tolist()}

    @classmethod
    def of(cls, line: dict[str, Any]) -> "Epoch":
        """The epoch from the values of `line`."""
        training, validation = (np.array(known(line[name])) for name in ("train_loss", "validation_loss"))
        return cls(line["epoch"], training, validation, np.array(line["best"]))

    def ends(self, patience: int) -> bool:
        """Whether all seeds have run out of patience."""
        return bool(np.all(self.epoch - self.best >= patience))


def inputs_of(config: Forecast, windows: Windows) -> Inputs:
    """The inputs of the network: the value of a step, what is known about the next step, and the extra columns.

    The known columns are those of all steps that the network forecasts at once.
    """
    context = windows.past.shape[1]
    ahead = [windows.covariates[:, step : step + context] for step in range(config.steps)]
    past = np.concatenate([windows.past[..., None], windows.known[:, :context], windows.extra, *ahead], axis=-1)
    future = np.concatenate([windows.known[:, context:], windows.covariates[:, context:]], axis=-1)
    return Inputs(*map(jnp.asarray, (past, future, windows.targets)))


def loss_of(config: Forecast, params: Any, batch: Inputs) -> jax.Array:
    """The mean loss of windows. With the recursive strategy each step is forecast from the true values before it."""
    network = config.network()
    if config.strategy == "direct":
        outputs: Any = network.apply({"params": params}, batch.past)[0]
        outputs = outputs[:, 0]
    else:
        fed = jnp.concatenate([batch.targets[:, :-1, None], batch.future], axis=-1)
        # Extra columns are allowed with a horizon of 1 only, where nothing is fed back.
        inputs = jnp.concatenate([batch.past, fed], axis=1) if fed.shape[1] else batch.past
        outputs = network.apply({"params": params}, inputs, reads=batch.targets.shape[1])[0]
        outputs = outputs[:, :, 0]
    return network.head.loss(outputs, batch.targets).mean()


def batch_size(config: Forecast, windows: int) -> int:
    """The batch size, at most the number of windows."""
    return min(config.batch_size, windows)


def optimizer_of(config: Forecast, windows: int) -> optax.GradientTransformation:
    """The optimizer of a training on this number of windows."""
    updates = windows // batch_size(config, windows)
    return config.transformation(config.epochs * updates, updates)


def objective(config: Forecast) -> Objective:
    """The objective: the mean loss of the windows of a batch."""

    def sums(params: Any, batch: Inputs, key: jax.Array | None) -> dict[str, jax.Array]:
        return {"loss": loss_of(config, params, batch), "weight": jnp.ones(())}

    return Objective(sums)


def initial_state(config: Forecast, features: int, windows: int, seed: ArrayLike) -> TrainState:
    """A seed's state before the first epoch."""
    key = jax.random.key(seed)
    first_key, inputs = jax.random.fold_in(key, INITIAL), jnp.zeros((1, 1, features))
    params = parameters_of(lambda: config.network().init(first_key, inputs)["params"])
    best = Best(params, jnp.full((), jnp.inf, jnp.float32), jnp.zeros((), jnp.int32))
    return TrainState.create(params, optimizer_of(config, windows), key, best, averaged=config.averaging > 0)


def train_epoch(config: Forecast, state: TrainState, training: Inputs, validation: Inputs) -> tuple[TrainState, Any]:
    """One epoch of one seed, over the windows in random order, without the last ones that do not fill a batch."""
    windows = len(training.targets)
    size = batch_size(config, windows)
    updates = windows // size
    optimizer = optimizer_of(config, windows)
    update = update_of(objective(config), optimizer, clip=config.clip, averaging=config.averaging)
    done = state.step // updates
    key = jax.random.fold_in(jax.random.fold_in(state.key, ORDER), done)
    order = jax.random.permutation(key, windows)[: updates * size].reshape(-1, size)

    def rows_of(state: TrainState, rows: jax.Array) -> Inputs:
        return Inputs(*(leaf[rows] for leaf in training))

    state, sums = run_updates(update, rows_of, state, order)
    loss = mean_loss(config, state.evaluated, validation)
    # A seed without patience left keeps its best epoch while the others continue.
    best, epoch = state.carry, done + 1
    better = (loss < best.loss) & (epoch - best.epoch <= config.patience)
    new = Best(state.evaluated, loss, epoch)
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), new, best)
    return state._replace(carry=best), (sums["loss"].mean(), loss, best.epoch)


def mean_loss(config: Forecast, params: Any, inputs: Inputs) -> jax.Array:
    """The mean loss of many windows, computed batch by batch."""

    def of_batch(batch: Inputs) -> jax.Array:
        return loss_of(config, params, Inputs(*(leaf[None] for leaf in batch)))

    return jax.lax.map(of_batch, inputs, batch_size=FORECAST_BATCH).mean()


@functools.lru_cache(maxsize=8)
def compiled_epoch(config: Forecast, mesh: Mesh) -> Callable[..., Any]:
    """`train_epoch`, compiled for all seeds side by side (`compiled_block`)."""
    return compiled_block(functools.partial(train_epoch, config), mesh)


def initial_states(config: Forecast, training: Inputs) -> TrainState:
    """The initial states `(S, ...)` of all seeds, on their devices. Raises as `seed_mesh`."""
    mesh = seed_mesh(config.seeds, config.execution.devices)
    seeds = padded_seeds(range(config.seed, config.seed + config.seeds), mesh)
    start = functools.partial(initial_state, config, training.past.shape[-1], len(training.targets))
    return start_each(start, seeds, mesh)


def train(
    config: Forecast,
    training: Inputs,
    validation: Inputs,
    state: TrainState | None = None,
    fit: Callable[..., Iterator[tuple[TrainState, Any, Any]]] = fit_blocks,
    done: Sequence[Epoch] = (),
) -> Iterator[tuple[TrainState, Epoch]]:
    """Trains all seeds until each has run out of patience, and yields state and results after every epoch.

    Each seed gives the same results as if trained alone. The yielded state `(S, ...)` is donated to the next epoch. If
    the number of seeds is not a multiple of the number of devices, the last seed is trained more than once. `state`
    resumes a training after the epochs `done`; `fit` may write checkpoints (`Session.fit_blocks`). Raises as
    `initial_states`.
    """
    mesh = seed_mesh(config.seeds, config.execution.devices)
    state = split_seeds(initial_states(config, training) if state is None else state, mesh)
    epoch = compiled_epoch(config, mesh)
    updates = len(training.targets) // batch_size(config, len(training.targets))
    last = [*done[-1:]]

    def block(state: TrainState) -> tuple[TrainState, Any]:
        return epoch(state, training, validation)

    def ended() -> bool:
        return bool(last) and last[-1].ends(config.patience)

    for after, numbers, position in fit(state, block, config.epochs, updates, ended):
        last = [Epoch(position.epoch, *(leaf[: config.seeds] for leaf in numbers))]
        yield after, last[-1]


def own_seeds(config: Forecast, tree: Any) -> Any:
    """The tree without padded seeds, `(S, ...)`, on the host."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: config.seeds], tree)


def check_all_learnt(config: Forecast, epochs: Sequence[Epoch], best: Any, validation: Inputs) -> None:
    """Raises DivergedError for a seed without an epoch whose validation loss is finite and not far above chance.

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
    """A function that forecasts quantiles `(N, H, Q)` of windows from the parameters and key of one seed.

    Each window is forecast independently of the others.
    """
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
    """Quantiles `(S, N, H, Q)` of windows, in their scaling, from the parameters `(S, ...)` of all seeds."""
    inputs, forecast = inputs_of(config, windows), compiled_forecast(config)
    found = []
    for row in range(config.seeds):
        own = jax.tree.map(lambda leaf, row=row: leaf[row], params)
        key = jax.random.fold_in(jax.random.key(config.seed + row), PATHS)
        found.append(np.asarray(forecast(own, key, inputs)))
    return np.stack(found)
