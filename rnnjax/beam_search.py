"""Beam search over token sequences, for any model that goes on token by token."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.fields import check_range

# step(state, tokens (R,)) -> (state, log probabilities (R, V) of the next token)
Step = Callable[[Any, jax.Array], tuple[Any, jax.Array]]


class Beams(NamedTuple):
    """For each of B texts, the N best hypotheses of at most L tokens, the best one first.

    After the stop token of a hypothesis, all tokens are that stop token. If there are fewer than N hypotheses, the
    scores of the others are minus infinity.
    """

    tokens: jax.Array  # (B, N, L) int32
    lengths: jax.Array  # (B, N) int32: tokens, including the stop token
    scores: jax.Array  # (B, N)


class _Turn(NamedTuple):
    """The loop carry: N hypotheses of B texts, and the log probabilities `(B, N, V)` of their next tokens."""

    position: jax.Array
    beams: Beams
    totals: jax.Array
    ended: jax.Array
    state: Any
    following: jax.Array


def check_search(beams: int, length: int, length_penalty: float) -> None:
    """Raises ValueError for fewer than one beam or token, or a length penalty below 0."""
    check_range("beams", beams, 1)
    check_range("length", length, 1)
    if not 0 <= length_penalty < math.inf:
        raise ValueError(f"length_penalty: expected a number of at least 0, got {length_penalty}")


def beam_search(
    step: Step,
    state: Any,
    following: jax.Array,
    *,
    beams: int,
    length: int,
    stop: tuple[int, ...] = (),
    length_penalty: float = 0.0,
) -> Beams:
    """The hypotheses with the highest scores that a search of width `beams` finds.

        score(y) = log P(y) / ((5 + |y|) / 6) ** length_penalty

    A hypothesis ends with its first token of `stop`, or after `length` tokens. In each turn, every hypothesis that has
    not ended is continued with each token, and the best `beams` of all are kept, ended or not; ties go to the better
    beam and the lower token. With `beams` at least the number of hypotheses, the search is exhaustive. `state` is a
    tree of arrays `(B, ...)`, `following (B, V)` are the log probabilities of the first token, and `step` gets B * N
    rows. Call it inside `jax.jit`. Raises as `check_search`. Source of the penalty: Wu et al. 2016, "Google's Neural
    Machine Translation System".
    """
    check_search(beams, length, length_penalty)
    batch, words = following.shape
    ends, of_each = jnp.asarray(stop, jnp.int32), jax.vmap(lambda row, places: row[places])

    def score(totals: jax.Array, lengths: jax.Array) -> jax.Array:
        return totals / ((5 + lengths.astype(totals.dtype)) / 6) ** length_penalty

    def going(turn: _Turn) -> jax.Array:
        return (turn.position < length) & ~(turn.ended | (turn.totals == -jnp.inf)).all()

    def next_turn(turn: _Turn) -> _Turn:
        ended, found = turn.ended[..., None], turn.totals[..., None]
        # A hypothesis that has ended is one candidate, itself, at the place of token 0.
        itself = jnp.where(jnp.arange(words) == 0, found, -jnp.inf)
        totals = jnp.where(ended, itself, found + turn.following)
        lengths = turn.beams.lengths + ~turn.ended
        scores, places = jax.lax.top_k(score(totals, lengths[..., None]).reshape(batch, -1), beams)
        origin, tokens = jnp.divmod(places, words)

        before, stays, lengths = (of_each(leaf, origin) for leaf in (turn.beams.tokens, turn.ended, lengths))
        last = jax.lax.dynamic_index_in_dim(before, jnp.maximum(turn.position - 1, 0), axis=2, keepdims=False)
        tokens = jnp.where(stays, last, tokens).astype(jnp.int32)
        longer = jax.lax.dynamic_update_index_in_dim(before, tokens, turn.position, axis=2)
        rows = (origin + beams * jnp.arange(batch)[:, None]).reshape(-1)
        after, following = step(jax.tree.map(lambda leaf: leaf[rows], turn.state), tokens.reshape(-1))
        return _Turn(
            turn.position + 1,
            Beams(longer, lengths, scores),
            of_each(totals.reshape(batch, -1), places),
            stays | jnp.isin(tokens, ends),
            after,
            following.reshape(batch, beams, words),
        )

    # One hypothesis without tokens; the others do not exist yet.
    totals = jnp.full((batch, beams), -jnp.inf, following.dtype).at[:, 0].set(0)
    nothing = jnp.zeros((batch, beams), jnp.int32)
    first = _Turn(
        position=jnp.zeros((), jnp.int32),
        beams=Beams(jnp.zeros((batch, beams, length), jnp.int32), nothing, totals),
        totals=totals,
        ended=jnp.zeros((batch, beams), bool),
        state=jax.tree.map(lambda leaf: jnp.repeat(leaf, beams, axis=0), state),
        following=jnp.repeat(following[:, None], beams, axis=1),
    )
    last = jax.lax.while_loop(going, next_turn, first)
    # Where every hypothesis has ended early, the tokens after its end are still to be written.
    tokens, lengths, scores = last.beams
    final = jnp.take_along_axis(tokens, jnp.maximum(lengths - 1, 0)[..., None], axis=2)
    return Beams(jnp.where(jnp.arange(length) < lengths[..., None], tokens, final), lengths, scores)
