"""Dynamic evaluation: a language model that goes on learning from the text that it is scored on."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.data import Stream, Window
from rnnjax.dtypes import cast_like, widen
from rnnjax.training.stream_losses import in_a_row, read_window, state_before
from rnnjax.training.streams import initial_carry, next_in_stream
from rnnjax.training.update import gradient_sums


@dataclasses.dataclass(frozen=True, kw_only=True)
class DynamicEvaluation:
    """A gradient step after each window, and a pull back to the trained parameters.

        params += -learning_rate g / (rms + epsilon) + min(1, decay rms / mean(rms)) (trained - params)

    from the gradient g of the mean loss of the window. `rms` are the root mean squared gradients of each parameter
    (`root_mean_squares`), and `mean(rms)` is the mean over all arrays of their means, as in the authors' program, whose
    epsilon is the default. Without `rms` it is plain SGD, `params += -learning_rate g + decay (trained - params)`.
    Choose the numbers on validation data. Raises ValueError for a number below 0, an epsilon that is not above 0, and a
    decay above 1. Source: Krause, Kahembwe, Murray and Renals 2018, "Dynamic Evaluation of Neural Sequence Models".
    """

    learning_rate: float
    decay: float = 0.0
    epsilon: float = 2e-5

    def __post_init__(self):
        if not 0 <= self.learning_rate < math.inf:
            raise ValueError(f"learning_rate: expected a number of at least 0, got {self.learning_rate}")
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay: expected 0 <= decay <= 1, got {self.decay}")
        if not 0 < self.epsilon < math.inf:
            raise ValueError(f"epsilon: expected a number above 0, got {self.epsilon}")

    def rates(self, params: Any, rms: Any = None) -> tuple[Any, Any]:
        """For each parameter: the factor of the gradient, and the share of the pull."""
        if rms is None:
            wide = widen(params)
            return jax.tree.map(lambda leaf: jnp.full_like(leaf, self.learning_rate, shape=()), wide), jax.tree.map(
                lambda leaf: jnp.full_like(leaf, self.decay, shape=()), wide
            )
        means = [leaf.mean() for leaf in jax.tree.leaves(rms)]
        mean = sum(means) / len(means)
        return (
            jax.tree.map(lambda leaf: self.learning_rate / (leaf + self.epsilon), rms),
            jax.tree.map(lambda leaf: jnp.minimum(1, self.decay * leaf / mean), rms),
        )


def dynamic_losses(
    features: Callable[..., Any], params: Any, stream: Stream, options: DynamicEvaluation, rms: Any = None
) -> np.ndarray:
    """The losses `(N - 1,)` in nats of `token_losses`, with parameters that learn from each window of the stream.

        for window in stream:
            score the window; then update the parameters with its gradient

    so that no token is scored after it was learnt from. The state goes on from window to window, and no gradient
    does. Resets of the stream restore the state; the parameters are kept. `params` are not changed. Raises ValueError
    for a stream of several rows.
    """
    state, losses = state_before(features, params, stream), []
    rates, current = options.rates(params, rms), jax.tree.map(jnp.copy, params)
    for window in stream:
        reading = read_window(features, current, window, state)
        losses.append(reading.losses)
        current = _learn(features, current, params, rates, window, state)
        state = reading.state
    return in_a_row(losses, stream)


def root_mean_squares(features: Callable[..., Any], params: Any, stream: Stream) -> Any:
    """The root of the mean over all windows of the squared gradients of their mean losses, for each parameter.

        rms = sqrt(sum over windows k of g_k ** 2 / K)

    The stream is training text, of any number of rows.
    """
    state = initial_carry(features, params, stream.filled)
    squares = jax.tree.map(jnp.zeros_like, widen(params))
    for window in stream:
        squares, state = _add_squares(features, squares, params, window, state)
    return jax.tree.map(lambda leaf: jnp.sqrt(leaf / len(stream)), squares)


def _gradient(features: Callable[..., Any], params: Any, window: Window, state: Any) -> tuple[Any, Any]:
    """The gradient of the mean loss of a window, and the state after it."""
    gradient, sums, after = gradient_sums(next_in_stream(features))(params, window, None, state)
    return jax.tree.map(lambda leaf: leaf / jnp.maximum(sums["weight"], 1), gradient), after


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _learn(features: Callable[..., Any], params: Any, trained: Any, rates: Any, window: Window, state: Any) -> Any:
    gradient, _ = _gradient(features, params, window, state)

    def leaf(old: jax.Array, start: jax.Array, slope: jax.Array, rate: jax.Array, pull: jax.Array) -> jax.Array:
        return old - rate * slope + pull * (start - old)

    learned = jax.tree.map(leaf, widen(params), widen(trained), gradient, *rates)
    return cast_like(learned, params)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _add_squares(
    features: Callable[..., Any], squares: Any, params: Any, window: Window, state: Any
) -> tuple[Any, Any]:
    gradient, after = _gradient(features, params, window, state)
    return jax.tree.map(lambda total, slope: total + slope**2, squares, gradient), after
