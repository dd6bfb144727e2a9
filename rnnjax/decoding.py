"""Decoding with an encoder-decoder: the sources are encoded once, then the whole loop runs on the device."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from rnnjax.beam_search import beam_search, check_search
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
    seen: jax.Array
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
    beams: int | None = None,
    length_penalty: float = 0.0,
) -> Decoded:
    """Target sequences for sources `(B, S)`, token by token, drawn according to `sampling` (greedy by default).

        y_0 = start;  y_t ~ model(sources, y_0..t-1), until `end` or `length` tokens

    One compiled loop, which stops when every row has ended. The token drawn at step t depends on `key`, t and its row.
    With `beams`, nothing is drawn: the result is the best hypothesis of `beam_search`, with its `length_penalty`.
    Raises ValueError for a start or end that is not in the target vocabulary, a length below 1, a temperature above 0
    without a key, beams with another `sampling` than the default, a length penalty without beams, and as `beam_search`.
    """
    for name, token in (("start", start), ("end", end)):
        if not 0 <= token < model.target_vocabulary_size:
            raise ValueError(f"{name}: expected a token of 0 to {model.target_vocabulary_size - 1}, got {token}")
    if length < 1:
        raise ValueError(f"length: expected at least 1, got {length}")
    sources = jnp.asarray(sources)
    lengths = None if source_lengths is None else jnp.asarray(source_lengths)
    if beams is not None:
        if sampling != GREEDY:
            raise ValueError(f"beams: expected no sampling, because a beam search draws nothing, got {sampling}")
        check_search(beams, length, length_penalty)
        return _search(model, params, sources, lengths, start, end, length, beams, length_penalty)
    if length_penalty:
        raise ValueError(f"length_penalty: expected beams to choose from, got {length_penalty} without beams")
    if key is None:
        if sampling.temperature > 0:
            raise ValueError(f"key: expected a key to draw with at temperature {sampling.temperature}, got None")
        key = jax.random.key(0)  # has no effect at temperature 0
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
        logits = sampling.restrict(sampling.penalised(logits[:, 0], turn.seen))
        drawn = jax.random.categorical(jax.random.fold_in(key, turn.position), logits)
        last = jnp.where(turn.ended, end, drawn.astype(jnp.int32))
        tokens = jax.lax.dynamic_update_index_in_dim(turn.tokens, last, turn.position, axis=1)
        seen = turn.seen.at[jnp.arange(batch), last].set(True)
        return _Turn(turn.position + 1, tokens, last, state, seen, turn.ended | (last == end))

    first = _Turn(
        position=jnp.zeros((), jnp.int32),
        tokens=jnp.full((batch, length), end, jnp.int32),
        last=jnp.full(batch, start, jnp.int32),
        state=encoded.state,
        seen=jnp.zeros((batch, model.target_vocabulary_size), bool),
        ended=jnp.zeros(batch, bool),
    )
    tokens = jax.lax.while_loop(going, step, first).tokens
    return Decoded(tokens, (tokens != end).sum(axis=1, dtype=jnp.int32))


@functools.partial(jax.jit, static_argnames=("model", "start", "end", "length", "beams", "length_penalty"))
def _search(
    model: EncoderDecoder,
    params: Params,
    sources: Tokens,
    source_lengths: Lengths | None,
    start: int,
    end: int,
    length: int,
    beams: int,
    length_penalty: float,
) -> Decoded:
    encoded = model.bind({"params": params}).encode(sources, source_lengths, deterministic=True)

    def step(state: State, tokens: jax.Array) -> tuple[State, jax.Array]:
        # All hypotheses of a source read the same encoded source.
        own = jax.tree.map(lambda leaf: jnp.repeat(leaf, len(tokens) // len(sources), axis=0), encoded)
        bound = model.bind({"params": params})
        logits, state, _ = bound.decode(own, tokens[:, None], state, deterministic=True)
        return state, jax.nn.log_softmax(logits[:, 0])

    begun = step(encoded.state, jnp.full(len(sources), start, jnp.int32))
    found = beam_search(step, *begun, beams=beams, length=length, stop=(end,), length_penalty=length_penalty)
    tokens = found.tokens[:, 0]
    return Decoded(tokens, (tokens != end).sum(axis=1, dtype=jnp.int32))
