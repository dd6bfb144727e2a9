"""The continuous neural cache: a language model that expects recent words again."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.data import Stream
from rnnjax.dtypes import widen
from rnnjax.fields import check_range
from rnnjax.training.stream_losses import in_a_row, read_window, state_before


@dataclasses.dataclass(frozen=True, kw_only=True)
class NeuralCache:
    """A mixture of a language model and of the tokens that followed similar features.

        p(w)       = (1 - lambda) p_model(w) + lambda p_cache(w)
        p_cache(w) ~ sum over i < t of 1{w = x_{i+1}} exp(theta h_t . h_i)

    for token t + 1, from the features h of the head (`LanguageModel.features`) and the tokens x of the last `size`
    positions i. An empty cache leaves p_model unchanged. Nothing is trained: choose the three numbers on validation
    data. Raises ValueError for a size below 1, a theta below 0, or a lambda outside [0, 1). Source: Grave, Joulin and
    Usunier 2017, "Improving Neural Language Models with a Continuous Cache".
    """

    size: int = 500
    theta: float = 0.3
    lambda_: float = 0.1

    def __post_init__(self):
        check_range("size", self.size, 1)
        if not 0 <= self.theta < math.inf:
            raise ValueError(f"theta: expected a number of at least 0, got {self.theta}")
        if not 0 <= self.lambda_ < 1:
            raise ValueError(f"lambda: expected 0 <= share < 1, got {self.lambda_}")


class Cache(NamedTuple):
    """The last W positions before a window, the oldest first: features, and the token after each."""

    features: jax.Array  # (W, F)
    tokens: jax.Array  # (W,) int32
    filled: jax.Array  # () int32: how many of them, the last ones, are positions of the text


def cached_losses(
    features: Callable[..., Any], params: Any, stream: Stream, options: NeuralCache = NeuralCache()
) -> np.ndarray:
    """The losses `(N - 1,)` in nats of `token_losses`, with a cache that starts empty.

    Every token is scored before it enters the cache. Resets of the stream restore the state of the network; the cache
    is kept. Losses do not depend on the window length of the stream. Raises ValueError for a stream of several rows.
    """
    # A text never fills a larger cache.
    options = dataclasses.replace(options, size=min(options.size, len(stream.tokens)))
    state, cache, losses = state_before(features, params, stream), empty_cache(features, params, options), []
    for window in stream:
        reading = read_window(features, params, window, state)
        state = reading.state
        mixed, cache = look_up(options, cache, reading.features[0], jnp.asarray(window.targets[0]), reading.losses[0])
        losses.append(mixed[None])
    return in_a_row(losses, stream)


def empty_cache(features: Callable[..., Any], params: Any, options: NeuralCache) -> Cache:
    """The cache before a text."""
    like = widen(features(params, jnp.zeros((1, 0), jnp.int32))[0])
    return Cache(
        jnp.zeros((options.size, like.shape[-1]), like.dtype),
        jnp.zeros(options.size, jnp.int32),
        jnp.zeros((), jnp.int32),
    )


@functools.partial(jax.jit, static_argnums=0)
def look_up(
    options: NeuralCache, cache: Cache, features: jax.Array, targets: jax.Array, losses: jax.Array
) -> tuple[jax.Array, Cache]:
    """The losses `(T,)` of a window with the cache, and the cache after it.

    From the features `(T, F)`, the targets `(T,)` and the losses `(T,)` of the model alone.
    """
    size, steps = options.size, len(targets)
    features = widen(features)
    keys = jnp.concatenate([cache.features, features])
    tokens = jnp.concatenate([cache.tokens, targets])
    # Step t of the window is at place size + t, and sees the `size` places before it.
    places, own_places = jnp.arange(size + steps), size + jnp.arange(steps)[:, None]
    seen = (places < own_places) & (places >= own_places - size) & (places >= size - cache.filled)
    similarity = jnp.where(seen, options.theta * (features @ keys.T), -jnp.inf)
    same = jnp.where(tokens == targets[:, None], similarity, -jnp.inf)
    empty = ~seen.any(axis=1)
    every = jnp.where(empty, 0, jax.nn.logsumexp(similarity, axis=1))
    log_cache = jax.nn.logsumexp(same, axis=1) - every
    log_lambda = math.log(options.lambda_) if options.lambda_ else -math.inf
    mixed = jnp.where(empty, losses, -jnp.logaddexp(math.log1p(-options.lambda_) - losses, log_lambda + log_cache))
    return mixed, Cache(keys[-size:], tokens[-size:], jnp.minimum(cache.filled + steps, size))
