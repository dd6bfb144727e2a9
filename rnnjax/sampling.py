"""Text generation with a language model: the prompt is processed once, then the whole loop runs on the device."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.beam_search import Beams, beam_search
from rnnjax.compat import call_in_order
from rnnjax.models import LanguageModel
from rnnjax.recurrences.recurrence import select
from rnnjax.types import Params, State, Tokens


@dataclasses.dataclass(frozen=True)
class Sampling:
    """The distribution that a token is drawn from.

        p = softmax(logits / temperature)

    restricted to the `top_k` most probable tokens, and to the smallest set of most probable tokens with a total
    probability of at least `top_p`. A temperature of 0 selects the most probable token. Before all that, the logits of
    tokens that the text already has are divided by `repetition_penalty` if they are positive, and multiplied by it
    otherwise. Sources: Fan et al. 2018, "Hierarchical Neural Story Generation"; Holtzman et al. 2020, "The Curious Case
    of Neural Text Degeneration"; Keskar et al. 2019, "CTRL" (who divide logits of either sign). Raises ValueError for
    values out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: expected a number of at least 0, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k: expected at least 1, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: expected 0 < share <= 1, got {self.top_p}")
        if not 0 < self.repetition_penalty < math.inf:
            raise ValueError(f"repetition_penalty: expected a number above 0, got {self.repetition_penalty}")

    def penalised(self, logits: jax.Array, seen: jax.Array) -> jax.Array:
        """The logits `(..., V)` after the repetition penalty; `seen (..., V)` are the tokens of the text so far."""
        if self.repetition_penalty == 1:
            return logits
        factor = jnp.where(logits > 0, 1 / self.repetition_penalty, self.repetition_penalty)
        return jnp.where(seen, logits * factor, logits)

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
    """B texts so far: the state after them, the logits `(B, V)` of the next token, and the tokens that they have."""

    state: State
    logits: jax.Array
    seen: jax.Array  # (B, V) bool


class _Turn(NamedTuple):
    """The loop carry: the position of the next token, the tokens so far, and which texts have ended."""

    position: jax.Array
    tokens: jax.Array
    last: jax.Array
    begun: Begun
    key: jax.Array
    ended: jax.Array


@functools.partial(jax.jit, static_argnames="model")
def read(model: LanguageModel, params: Params, tokens: Tokens, begun: Begun | None = None) -> Begun:
    """Processes texts `(B, T)`, T at least 1, from the start or as a continuation of `begun`."""
    batch = len(tokens)
    before = None if begun is None else begun.state
    bound = model.bind({"params": params})
    features, head, state = bound.features(tokens, initial_state=before)
    seen = jnp.zeros((batch, model.vocabulary_size), bool) if begun is None else begun.seen
    seen = seen.at[jnp.arange(batch)[:, None], tokens].set(True)
    return Begun(state, head.logits(features[:, -1]), seen)


@functools.partial(jax.jit, static_argnames=("model", "length", "sampling", "tell", "stop"))
def sample(
    model: LanguageModel,
    params: Params,
    begun: Begun,
    key: jax.Array,
    length: int,
    sampling: Sampling = Sampling(),
    tell: Callable[[jax.Array], None] | None = None,
    stop: tuple[int, ...] = (),
) -> tuple[jax.Array, Begun, jax.Array]:
    """The next `length` tokens `(B, length)`, the state of the texts after them, and the key for the next call.

    One loop on the device. Two calls in a row give the same tokens as one longer call. A text ends with its first token
    of `stop`: after it, all its tokens are that token, and its state stays as it was after it. The loop stops when all
    texts have ended. `tell` is called with the tokens `(B,)` of every step, in order, while the loop runs.
    """
    ends = jnp.asarray(stop, jnp.int32)

    def going(turn: _Turn) -> jax.Array:
        return (turn.position < length) & ~turn.ended.all()

    def step(turn: _Turn) -> _Turn:
        key, now = jax.random.split(turn.key)
        begun, ended = turn.begun, turn.ended
        drawn = jax.random.categorical(now, sampling.restrict(sampling.penalised(begun.logits, begun.seen)))
        last = jnp.where(ended, turn.last, drawn.astype(jnp.int32))
        if tell is not None:
            call_in_order(tell, last)
        tokens = jax.lax.dynamic_update_index_in_dim(turn.tokens, last, turn.position, axis=1)
        after = read(model, params, last[:, None], begun)
        begun = select(ended, begun, after) if stop else after
        return _Turn(turn.position + 1, tokens, last, begun, key, ended | jnp.isin(last, ends))

    batch = len(begun.logits)
    first = _Turn(
        position=jnp.zeros((), jnp.int32),
        tokens=jnp.zeros((batch, length), jnp.int32),
        last=jnp.zeros(batch, jnp.int32),
        begun=begun,
        key=key,
        ended=jnp.zeros(batch, bool),
    )
    turn = jax.lax.while_loop(going, step, first)
    tokens = jnp.where(jnp.arange(length) < turn.position, turn.tokens, turn.last[:, None])
    return tokens, turn.begun, turn.key


@functools.partial(
    jax.jit, static_argnames=("model", "beams", "length", "stop", "length_penalty", "repetition_penalty")
)
def search(
    model: LanguageModel,
    params: Params,
    begun: Begun,
    beams: int,
    length: int,
    stop: tuple[int, ...] = (),
    length_penalty: float = 0.0,
    repetition_penalty: float = 1.0,
) -> Beams:
    """The most probable continuations of B texts that `beam_search` finds; see there for the arguments.

    With a repetition penalty, as in `Sampling`, they are the most probable ones of the penalised model. Raises
    ValueError as `check_search` and `Sampling`.
    """
    penalty = Sampling(repetition_penalty=repetition_penalty)

    def following(begun: Begun) -> jax.Array:
        return jax.nn.log_softmax(penalty.penalised(begun.logits, begun.seen))

    def step(begun: Begun, tokens: jax.Array) -> tuple[Begun, jax.Array]:
        after = read(model, params, tokens[:, None], begun)
        return after, following(after)

    return beam_search(
        step, begun, following(begun), beams=beams, length=length, stop=stop, length_penalty=length_penalty
    )
