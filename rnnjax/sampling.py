"""Text generation with a language model: the prompt is processed once, then the whole loop runs on the device."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.compat import call_in_order
from rnnjax.models import LanguageModel
from rnnjax.types import Params, State, Tokens


@dataclasses.dataclass(frozen=True)
class Sampling:
    """The distribution that a token is drawn from.

        p = softmax(logits / temperature)

    restricted to the `top_k` most probable tokens, and to the smallest set of most probable tokens with a total
    probability of at least `top_p`. A temperature of 0 selects the most probable token. Sources: Fan et al. 2018,
    "Hierarchical Neural Story Generation"; Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration". Raises
    ValueError for values out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: expected a number of at least 0, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k: expected at least 1, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: expected 0 < share <= 1, got {self.top_p}")

    def restrict(self, logits: jax.Array) -> jax.Array:
        """The logits `(..., V)` divided by the temperature, with minus infinity for excluded tokens."""
        if self.temperature == 0:
            # The first maximum, so that nothing is drawn among ties.
            return jnp.where(jnp.arange(logits.shape[-1]) == logits.argmax(axis=-1, keepdims=True), 0.0, -jnp.inf)
        logits = logits / self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            least = jax.lax.top_k(logits, self.top_k)[0][..., -1:]
            logits = jnp.where(logits >= least, logits, -jnp.inf)
        if self.top_p is not None and self.top_p < 1:
            falling = jnp.sort(logits, axis=-1, descending=True)
            shares = jax.nn.softmax(falling, axis=-1)
            # Tokens with less than `top_p` before them, which always includes the first.
            needed = (jnp.cumsum(shares, axis=-1) - shares < self.top_p).sum(axis=-1, keepdims=True)
            logits = jnp.where(logits >= jnp.take_along_axis(falling, needed - 1, axis=-1), logits, -jnp.inf)
        return logits


class Begun(NamedTuple):
    """B texts so far: the state after them, and the logits `(B, V)` of the next token."""

    state: State
    logits: jax.Array


@functools.partial(jax.jit, static_argnames="model")
def read(model: LanguageModel, params: Params, tokens: Tokens, begun: Begun | None = None) -> Begun:
    """Processes texts `(B, T)`, T at least 1, from the start or as a continuation of `begun`."""
    before = None if begun is None else begun.state
    bound = model.bind({"params": params})
    features, head, state = bound.features(tokens, initial_state=before)
    return Begun(state, head.logits(features[:, -1]))


@functools.partial(jax.jit, static_argnames=("model", "length", "sampling", "tell"))
def sample(
    model: LanguageModel,
    params: Params,
    begun: Begun,
    key: jax.Array,
    length: int,
    sampling: Sampling = Sampling(),
    tell: Callable[[jax.Array], None] | None = None,
) -> tuple[jax.Array, Begun, jax.Array]:
    """The next `length` tokens `(B, length)`, the state of the texts after them, and the key for the next call.

    One scan on the device. Two calls in a row give the same tokens as one longer call. `tell` is called with the tokens
    `(B,)` of every step, in order, while the loop runs.
    """

    def step(carry: tuple[Begun, jax.Array], _: None) -> tuple[tuple[Begun, jax.Array], jax.Array]:
        begun, key = carry
        key, now = jax.random.split(key)
        tokens = jax.random.categorical(now, sampling.restrict(begun.logits)).astype(jnp.int32)
        if tell is not None:
            call_in_order(tell, tokens)
        return (read(model, params, tokens[:, None], begun), key), tokens

    (begun, key), tokens = jax.lax.scan(step, (begun, key), length=length)
    return tokens.T, begun, key
