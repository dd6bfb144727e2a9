"""Recurrent forecasting of time series: the network, its output distributions, direct and recursive forecasts."""

import abc
import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jax.scipy.stats import norm

from rnnjax.dtypes import promoted
from rnnjax.modes import check_causal, is_deterministic, static
from rnnjax.types import BatchInputs, State

# Quantile levels of the median and of the bounds of the 50%, 80% and 95% intervals.
LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
MEDIAN = LEVELS.index(0.5)
LEAST_SCALE = 1e-4


def pinball(quantiles: jax.Array, targets: jax.Array, levels: jax.Array) -> jax.Array:
    """The quantile loss `max(q (y - f), (q - 1)(y - f))` of forecasts `(..., Q)` of targets `(...)`.

    Source: Koenker and Bassett 1978, "Regression Quantiles".
    """
    error = targets[..., None] - quantiles
    return jnp.maximum(levels * error, (levels - 1) * error)


@dataclasses.dataclass(frozen=True)
class Head(abc.ABC):
    """The predicted distribution of a number, from outputs `(..., O)`. Pure functions; hashable, so static in jit."""

    outputs: ClassVar[int]

    @abc.abstractmethod
    def loss(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        """The loss of each number."""

    @abc.abstractmethod
    def quantiles(self, outputs: jax.Array) -> jax.Array:
        """The quantiles of each number at `LEVELS`, `(..., Q)`."""

    @abc.abstractmethod
    def median(self, outputs: jax.Array) -> jax.Array:
        """The median of each number."""


@dataclasses.dataclass(frozen=True)
class Point(Head):
    """A point forecast, the median; the loss is the absolute error. All quantiles are equal to it."""

    outputs: ClassVar[int] = 1

    def loss(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        return jnp.abs(targets - outputs[..., 0])

    def quantiles(self, outputs: jax.Array) -> jax.Array:
        return jnp.broadcast_to(outputs, (*outputs.shape[:-1], len(LEVELS)))

    def median(self, outputs: jax.Array) -> jax.Array:
        return outputs[..., 0]


@dataclasses.dataclass(frozen=True)
class Gaussian(Head):
    """A normal distribution: mean, and softplus of the second output as scale. Negative log-likelihood as loss."""

    outputs: ClassVar[int] = 2

    def _parts(self, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        return outputs[..., 0], nn.softplus(outputs[..., 1]) + LEAST_SCALE

    def loss(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        return -norm.logpdf(targets, *self._parts(outputs))

    def quantiles(self, outputs: jax.Array) -> jax.Array:
        mean, scale = self._parts(outputs)
        return mean[..., None] + scale[..., None] * ndtri(jnp.array(LEVELS))

    def median(self, outputs: jax.Array) -> jax.Array:
        return outputs[..., 0]

    def sample(self, key: jax.Array, outputs: jax.Array) -> jax.Array:
        """A sample from each distribution."""
        mean, scale = self._parts(outputs)
        return mean + scale * jax.random.normal(key, mean.shape)


@dataclasses.dataclass(frozen=True)
class Quantile(Head):
    """A quantile at each of `LEVELS`; the loss is twice the mean pinball loss (for the median: the absolute error).

    Quantiles that cross are sorted, which never increases their error: Chernozhukov, Fernandez-Val and Galichon 2010,
    "Quantile and Probability Curves without Crossing".
    """

    outputs: ClassVar[int] = len(LEVELS)

    def loss(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        return 2 * pinball(outputs, targets, jnp.array(LEVELS)).mean(axis=-1)

    def quantiles(self, outputs: jax.Array) -> jax.Array:
        return jnp.sort(outputs, axis=-1)

    def median(self, outputs: jax.Array) -> jax.Array:
        return self.quantiles(outputs)[..., MEDIAN]


class Forecaster(nn.Module):
    """Projection, recurrent stack and dense head; at each step, it forecasts the next `steps` steps.

        inputs -> dense (only with a projection) -> recurrent -> dense

    `recurrent` is a causal `StackedRNN` or `RNN`. `steps` is the horizon for a direct forecast and 1 for a recursive
    one. Only the recurrent layers have regularisation. Raises ValueError for a size below 1, and for reversed or
    bidirectional layers, which would see the values to forecast.
    """

    recurrent: nn.Module
    head: Head
    steps: int = 1
    projection: int | None = None

    def __post_init__(self):
        for name in ("steps", "projection"):
            size = getattr(self, name)
            if size is not None and size < 1:
                raise ValueError(f"{name}: expected at least 1, got {size}")
        check_causal(self.recurrent)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        inputs: BatchInputs,
        initial_state: State | None = None,
        *,
        reads: int = 1,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, State]:
        """Outputs `(B, R, S, O)` for the S steps after each of the last R steps (`reads`), and the final state.

        The call starts from `initial_state`; None means zeros. Dropout is active if there is an rng "dropout", unless
        `deterministic=True`. `rows (B,)` are the row numbers within the whole batch (see `Dropout`).
        """
        inputs, deterministic = jnp.asarray(inputs), is_deterministic(self, deterministic)
        if self.projection is not None:
            inputs = nn.Dense(self.projection, dtype=promoted(inputs, jnp.float32), name="projection")(inputs)
        hidden, final_state = self.recurrent(
            inputs, initial_state, deterministic=static("deterministic", deterministic), rows=rows
        )
        dtype = promoted(hidden, jnp.float32)
        outputs = nn.Dense(self.steps * self.head.outputs, dtype=dtype, name="head")(hidden[:, -reads:])
        return outputs.reshape(*outputs.shape[:2], self.steps, self.head.outputs), final_state


def direct(model: Forecaster, params: Any, inputs: jax.Array) -> jax.Array:
    """Quantiles `(B, S, Q)` of the S steps after the inputs `(B, C, F)`, from one call of the model."""
    outputs: Any = model.apply({"params": params}, inputs)[0]
    return model.head.quantiles(outputs[:, 0])


def recursive(
    model: Forecaster, params: Any, inputs: jax.Array, known: jax.Array, key: jax.Array, paths: int
) -> jax.Array:
    """Quantiles `(B, H, Q)` of the H steps after the inputs `(B, C, F)`, step by step with a carried state.

    The forecast value is the first input feature of the next step; `known (B, H - 1, K)` are the other features. The
    quantiles of the first step are those of the head. With a `Gaussian`, `paths` sample paths are drawn, each fed back
    into the model, and the later quantiles are those of the paths; with a `Point`, the forecast is fed back. Raises
    TypeError for a different head.
    """
    head = model.head
    if not isinstance(head, Gaussian | Point):
        raise TypeError(f"head: expected Gaussian or Point to forecast recursively, got {type(head).__name__}")
    first: Any
    first, state = model.apply({"params": params}, inputs)
    first = first[:, 0, 0]
    quantiles = head.quantiles(first)[:, None]
    if not known.shape[1]:
        return quantiles
    count = paths if isinstance(head, Gaussian) else 1

    def drawn(key: jax.Array, outputs: jax.Array) -> jax.Array:
        return head.sample(key, outputs) if isinstance(head, Gaussian) else head.median(outputs)

    def step(carried: Any, given: Any) -> Any:
        state, value = carried
        known, key = given
        features = jnp.concatenate([value[:, None], jnp.repeat(known, count, axis=0)], axis=-1)
        outputs: Any
        outputs, state = model.apply({"params": params}, features[:, None], state)
        value = drawn(key, outputs[:, 0, 0])
        return (state, value), value

    state, first = jax.tree.map(lambda leaf: jnp.repeat(leaf, count, axis=0), (state, first))
    first_key, *keys = jax.random.split(key, 1 + known.shape[1])
    given = jnp.swapaxes(known, 0, 1), jnp.stack(keys)
    _, values = jax.lax.scan(step, (state, drawn(first_key, first)), given)
    values = values.reshape(len(values), len(inputs), count)  # (H - 1, B, P)
    later = jnp.quantile(values, jnp.array(LEVELS), axis=-1)  # (Q, H - 1, B)
    return jnp.concatenate([quantiles, later.transpose(2, 1, 0)], axis=1)
