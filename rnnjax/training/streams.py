"""Language models over streams: the state goes from window to window, in training and in evaluation."""

import contextlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.data import Stream, Window
from rnnjax.recurrences.recurrence import select, zero_where
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.loop import Clock, read_sums
from rnnjax.training.objective import Objective, Sums
from rnnjax.training.objectives import language_objective
from rnnjax.training.position import Position
from rnnjax.training.reports import Scores
from rnnjax.training.softmax import softmax_loss

# Two states that differ by less, in units of 1 and their own size, are one. Rounding alone keeps cells of a trained
# LSTM 2e-5 apart from reading to reading, where their size is 31; a loss differs by less than 1e-7 then.
SAME_STATE = 1e-4


def initial_carry(features: Callable[..., Any], params: Any, rows: int) -> Any:
    """A recurrent stack's initial state for so many rows; `features` as for `next_in_stream`."""
    return features(params, jnp.zeros((rows, 0), jnp.int32))[2]


def next_in_stream(features: Callable[..., Any], level: str = "word") -> Objective:
    """Cross-entropy of a language model over a stream's windows; it carries the recurrent stack's state.

        perplexity = exp(loss) of words; bits per character = loss / log(2) of characters

    `features(params, tokens, lengths, initial_state, resets, deterministic=, rows=, rngs=)` gives what the head reads
    `(B, T, F)`, the head's kernel and bias, and the final state (`LanguageModel.features`). Gradients go back to the
    start of the window. The sums are those of `next_token`. Raises ValueError for another `level` than "word" and
    "character".
    """

    def sums(params: Any, window: Window, key: jax.Array | None, carry: Any) -> tuple[Sums, Any]:
        rows, time = window.tokens.shape
        entering = select(jnp.asarray(window.carried), carry, initial_carry(features, params, rows))
        read, (kernel, bias), final = features(
            params,
            window.tokens,
            window.lengths,
            entering,
            window.resets,
            deterministic=key is None,
            rows=window.rows,
            rngs=None if key is None else {"dropout": key},
        )
        counted = (jnp.arange(time) < window.lengths[:, None]).astype(jnp.float32)
        loss, correct = softmax_loss(
            read.reshape(rows * time, -1), kernel, bias, jnp.asarray(window.targets).reshape(-1), counted.reshape(-1)
        )
        total = {
            "loss": loss,
            "weight": counted.sum(),
            "chance": math.log(len(bias)) * counted.sum(),
            "accuracy": correct,
            "tokens": window.lengths.sum(),
        }
        return total, jax.lax.stop_gradient(jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), final, carry))

    return language_objective(sums, level, carries=True)


def evaluate_stream(
    params: Any, step: CompiledStep, stream: Stream, pause: Callable[[], None] = lambda: None, *, carry: Any
) -> Scores:
    """Scores of the parameters over a stream: those of one unbroken pass, whatever its rows and steps.

    Every row but the first begins in the middle of the text. All are read at once, again and again, each from the
    state that the row before it ended with the last time, until no row begins from another state than the last time:
    twice, as a rule, since a net forgets how a row was begun; at most once a row. `carry` is the initial state of all
    rows (`initial_carry`); `pause` is called between windows, and may raise.
    """
    clock, total = Clock(step), Position()
    begun = step.split(carry)
    hand_on = _hand_on(stream, begun)
    for reading in range(stream.filled):
        total, ended = _read(params, step, stream.windows(carried=reading > 0), begun, pause)
        following, moved = hand_on(ended, begun)
        if float(moved) <= SAME_STATE:
            break
        begun = following
    return Scores.of(total.sums, clock.seconds(), step.objective)


def _read(
    params: Any, step: CompiledStep, windows: Iterable[Window], carry: Any, pause: Callable[[], None]
) -> tuple[Position, Any]:
    """The sums of all windows, and the state of every row after them."""

    def dispatch(window: Window) -> Sums:
        nonlocal carry
        carry, sums = step((params, carry), window)
        return sums

    position = Position()
    with contextlib.closing(read_sums(step, dispatch, windows)) as parts:
        for sums in parts:
            position = position.plus(sums)
            pause()
    return position, carry


def _hand_on(stream: Stream, begun: Any) -> Callable[[Any, Any], tuple[Any, jax.Array]]:
    """From the states that rows ended with, those to begin with, and how far (`SAME_STATE`) from those begun with."""
    # The first row begins with the initial state, and what an empty one begins with changes nothing.
    follows = (np.arange(stream.filled) > 0) & (np.arange(stream.filled) * stream.length < len(stream.tokens) - 1)

    def difference(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.abs(new - old) / (1 + jnp.abs(old))

    def hand_on(ended: Any, begun: Any) -> tuple[Any, jax.Array]:
        following = jax.tree.map(lambda leaf: jnp.roll(leaf, 1, axis=0), ended)
        moved = zero_where(jnp.asarray(~follows), jax.tree.map(difference, following, begun))
        return following, jnp.stack([leaf.max() for leaf in jax.tree.leaves(moved)]).max()

    shardings = jax.tree.map(lambda leaf: leaf.sharding, begun)
    return jax.jit(hand_on, out_shardings=(shardings, None))
