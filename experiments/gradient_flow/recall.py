"""The recall task: predict the first input at the last step. Short trainings, with and without clipping."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax import Cell, Scan
from rnnjax.tables import table
from rnnjax.training import TrainState
from rnnjax.training.update import run_updates, update_of
from rnnjax.types import Params

INPUTS = 2


class Readout(NamedTuple):
    """The parameters of the cell, and the weight `(H,)` and bias of a linear readout of the last hidden state."""

    cell: Params
    weight: jax.Array
    bias: jax.Array


class Training(NamedTuple):
    """The loss of each update and the norm of its gradient before clipping, each `(U,)`."""

    losses: np.ndarray
    gradient_norms: np.ndarray


def sequences(key: jax.Array, time: int, batch: int, noise: float) -> tuple[jax.Array, jax.Array]:
    """Inputs `(T, B, 2)` and targets `(B,)`. Feature 0 of the first input is the target, -1 or 1; all else is noise.

    The best answer without knowledge is 0, with a mean squared error of 1.
    """
    target_key, noise_key = jax.random.split(key)
    targets = jax.random.rademacher(target_key, (batch,), jnp.float32)
    inputs = noise * jax.random.normal(noise_key, (time, batch, INPUTS))
    return inputs.at[0, :, 0].set(targets), targets


@functools.partial(jax.jit, static_argnums=(0,), static_argnames=("time", "batch", "updates", "clip"))
def _train(cell, start, key, noise, learning_rate, *, time, batch, updates, clip):
    def objective(model: Readout, sample: tuple[jax.Array, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        inputs, targets = sample
        state = cell.init_state(batch, len(model.weight))
        _, final = Scan()(cell, model.cell, inputs, state)
        loss = jnp.mean((final.hidden @ model.weight + model.bias - targets) ** 2)
        return {"loss": loss, "weight": jnp.ones(())}

    optimizer = optax.sgd(learning_rate)
    update = update_of(objective, optimizer, clip=clip)

    def sample(state: TrainState, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return sequences(key, time, batch, noise)

    _, sums = run_updates(update, sample, TrainState.create(start, optimizer, key), jax.random.split(key, updates))
    return sums["loss"], sums["gradient_norm"]


def train(
    cell: Cell,
    params: Params,
    *,
    time: int,
    batch: int,
    noise: float,
    updates: int,
    learning_rate: float,
    clip: float | None,
    seed: int,
) -> Training:
    """Trains from the given parameters of the cell, with new sequences for each update.

    By plain gradient descent: Adam divides by the size of the gradient, which would hide the effect of clipping.
    Losses and norms that are not finite are returned as they are.
    """
    batches_key, weight_key = jax.random.split(jax.random.key(seed))
    hidden = params.recurrent.kernel.shape[0]
    weight = jax.random.normal(weight_key, (hidden,)) / np.sqrt(hidden)
    measured = _train(
        cell,
        Readout(params, weight, jnp.zeros(())),
        batches_key,
        noise,
        learning_rate,
        time=time,
        batch=batch,
        updates=updates,
        clip=clip,
    )
    return Training(*map(np.asarray, measured))


def training_table(results: dict[float, dict[float | None, Training]]) -> str:
    """For each training: the largest gradient, the loss before the first update, and at the end."""
    headers = ("Elman, scale", "clipping", "largest gradient norm", "first loss", "last 20 losses, mean", "not finite")
    rows = []
    for scale, pair in results.items():
        for clip, (losses, norms) in pair.items():
            (lost,) = np.nonzero(~(np.isfinite(losses) & np.isfinite(norms)))
            finite = norms[np.isfinite(norms)]
            rows.append(
                (
                    f"{scale:g}",
                    "none" if clip is None else f"{clip:g}",
                    f"{finite.max():.2g}" if len(finite) else "",
                    f"{losses[0]:.3g}",
                    "" if len(lost) else f"{losses[-20:].mean():.3g}",
                    f"from update {lost[0] + 1}" if len(lost) else "never",
                )
            )
    return table(headers, rows)
