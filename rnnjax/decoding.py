"""Decoding with an encoder-decoder: the sources are encoded once, then the whole loop runs on the device."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from rnnjax.models import EncoderDecoder
from rnnjax.sampling import Sampling
from rnnjax.types import Lengths, Params, State, Tokens

GREEDY = Sampling(temperature=0)


class Decoded(NamedTuple):
    """B decoded sequences of at most L tokens."""

    tokens: jax.Array  # (B, L) int32; after the first end token of a row, all tokens are the end token
    lengths: jax.Array  # (B,) int32: tokens before the end token, L if there is none


class _Turn(NamedTuple):
    """The loop carry: the position of the next token, the tokens so far, and which rows have ended."""

    position: jax.Array
    tokens: jax.Array
    last: jax.Array
    state: State
    ended: jax.Array


def decode(
    model: EncoderDecoder,
    params: Params,
    sources: ArrayLike,
    source_lengths: ArrayLike | None = None,
    *,
    start: int,
    end: int,
    length: int,
    sampling: Sampling = GREEDY,
    key: jax.Array | None = None,
) -> Decoded:
    """Target sequences for sources `(B, S)`, token by token, drawn according to `sampling` (greedy by default).

        y_0 = start;  y_t ~ model(sources, y_0..t-1), until `end` or `length` tokens

    One compiled loop, which stops when every row has ended. The token drawn at step t depends on `key`, t and its row.
    Raises ValueError for a start or end that is not in the target vocabulary, a length below 1, or a temperature above
    0 without a key.
    """
    for name, token in (("start", start), ("end", end)):
        if not 0 <= token < model.target_vocabulary_size:
            raise ValueError(f"{name}: expected a token of 0 to {model.target_vocabulary_size - 1}, got {token}")
    if length < 1:
        raise ValueError(f"length: expected at least 1, got {length}")
    if key is None:
        if sampling.temperature > 0:
            raise ValueError(f"key: expected a key to draw with at temperature {sampling.temperature}, got None")
        key = jax.random.key(0)  # has no effect at temperature 0
    sources = jnp.asarray(sources)
    lengths = None if source_lengths is None else jnp.asarray(source_lengths)
    return _decode(model, params, sources, lengths, key, start, end, length, sampling)


@functools.partial(jax.jit, static_argnames=("model", "start", "end", "length", "sampling"))
def _decode(
    model: EncoderDecoder,
    params: Params,
    sources: Tokens,
    source_lengths: Lengths | None,
    key: jax.Array,
    start: int,
    end: int,
    length: int,
    sampling: Sampling,
) -> Decoded:
    encoded = model.bind({"params": params}).encode(sources, source_lengths, deterministic=True)
    batch = sources.shape[0]

    def going(turn: _Turn) -> jax.Array:
        return (turn.position < length) & ~turn.ended.all()

    def step(turn: _Turn) -> _Turn:
        bound = model.bind({"params": params})
        logits, state, _ = bound.decode(encoded, turn.last[:, None], turn.state, deterministic=True)
        drawn = jax.random.categorical(jax.random.fold_in(key, turn.position), sampling.restrict(logits[:, 0]))
        last = jnp.where(turn.ended, end, drawn.astype(jnp.int32))
        tokens = jax.lax.dynamic_update_index_in_dim(turn.tokens, last, turn.position, axis=1)
        return _Turn(turn.position + 1, tokens, last, state, turn.ended | (last == end))

    first = _Turn(
        position=jnp.zeros((), jnp.int32),
        tokens=jnp.full((batch, length), end, jnp.int32),
        last=jnp.full(batch, start, jnp.int32),
        state=encoded.state,
        ended=jnp.zeros(batch, bool),
    )
    tokens = jax.lax.while_loop(going, step, first).tokens
    return Decoded(tokens, (tokens != end).sum(axis=1, dtype=jnp.int32))
