"""Language models over streams: the recurrent state is carried from window to window."""

import contextlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.data import Stream, Window
from rnnjax.dtypes import widen
from rnnjax.recurrences.recurrence import select, zero_where
from rnnjax.training.compiled import CompiledStep
from rnnjax.training.loop import Clock, read_sums
from rnnjax.training.objective import Objective, Sums
from rnnjax.training.objectives import language_objective
from rnnjax.training.position import Position
from rnnjax.training.reports import Scores
from rnnjax.training.softmax import sampled_softmax_loss, softmax_loss

# States are equal if |new - old| / (1 + |old|) is at most this. Rounding alone makes the cells of a trained LSTM, of
# size 31, differ by 2e-5 between two passes; the loss then differs by less than 1e-7.
SAME_STATE = 1e-4
# Folded into the key of a step, apart from the keys of dropout.
SAMPLES = 0x5A


def initial_carry(features: Callable[..., Any], params: Any, rows: int) -> Any:
    """The initial state of a recurrent stack for this number of rows; `features` as for `next_in_stream`."""
    return features(params, jnp.zeros((rows, 0), jnp.int32))[2]


def next_in_stream(
    features: Callable[..., Any],
    level: str = "word",
    *,
    activation: float = 0.0,
    temporal: float = 0.0,
    samples: int | None = None,
) -> Objective:
    """Cross-entropy of a language model over the windows of a stream; the carry is the state of the recurrent stack.

        level "word": perplexity = exp(loss);  level "character": bits per character = loss / log(2)

    `features(params, tokens, lengths, initial_state, resets, deterministic=, rows=, rngs=)` returns the inputs of the
    head `(B, T, F)`, the kernel and bias of the head, and the final state (`LanguageModel.features`). Gradients flow
    back to the start of the window. The sums are those of `next_token`. In training, the loss has a further metric
    added, `penalty`, of the inputs h of the head (after dropout), which perplexity and bits leave out:

        penalty = mean over t, f of activation * h_tf^2 + temporal * (h_tf - h_{t-1,f})^2

    (activation regularisation and temporal activation regularisation, Merity, McCann and Socher 2017, "Revisiting
    Activation Regularization for Language RNNs"; h before the window counts as equal to the first). With `samples`, the
    loss in training is `sampled_softmax_loss` (each device draws its own sample, so that results depend on their
    number); in evaluation it is always the full softmax. Raises ValueError for another `level`, a negative weight, and
    too few samples.
    """

    for name, weight in (("activation", activation), ("temporal", temporal)):
        if not 0 <= weight < math.inf:
            raise ValueError(f"{name}: expected a number of at least 0, got {weight}")

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
        arguments = (
            read.reshape(rows * time, -1),
            kernel,
            bias,
            jnp.asarray(window.targets).reshape(-1),
            counted.reshape(-1),
        )
        if samples is None or key is None:
            loss, correct = softmax_loss(*arguments)
        else:
            own = jax.random.fold_in(jax.random.fold_in(key, SAMPLES), window.rows[0])
            loss, correct = sampled_softmax_loss(own, samples, *arguments)
        total = {
            "loss": loss,
            "weight": counted.sum(),
            "chance": math.log(len(bias)) * counted.sum(),
            "accuracy": correct,
            "tokens": window.lengths.sum(),
        }
        if (activation or temporal) and key is not None:
            total["penalty"] = _penalty(read, counted, activation, temporal)
            total["loss"] = total["loss"] + total["penalty"]
        return total, jax.lax.stop_gradient(jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), final, carry))

    return language_objective(sums, level, carries=True)


def _penalty(read: jax.Array, counted: jax.Array, activation: float, temporal: float) -> jax.Array:
    """The sum over the counted steps of both penalties, for features `(B, T, F)`, in float32 at least."""
    read = widen(read)
    changes = jnp.diff(read, axis=1, prepend=read[:, :1])
    sizes = activation * (read**2).mean(axis=-1) + temporal * (changes**2).mean(axis=-1)
    return (sizes * counted).sum()


def evaluate_stream(
    params: Any, step: CompiledStep, stream: Stream, pause: Callable[[], None] = lambda: None, *, carry: Any
) -> Scores:
    """Scores of the parameters over a stream, equal to those of one sequential pass, for any number of rows and steps.

    A stream cuts the text into rows that are read in parallel, so the state before each row but the first is unknown.
    All rows are therefore read repeatedly; each pass starts every row from the state in which the row before it ended
    in the last pass. This stops when the starting states no longer change: usually after two passes, because a network
    forgets its starting state, and at the latest after one pass for each row. `carry` is the initial state of all rows
    (`initial_carry`); `pause` is called after each window, and may raise.
    """
    clock, total = Clock(step), Position()
    starts = step.split(carry)
    next_starts = _next_starts(stream, starts)
    for reading in range(stream.filled):
        total, finals = _read(params, step, stream.windows(carried=reading > 0), starts, pause)
        following, moved = next_starts(finals, starts)
        if float(moved) <= SAME_STATE:
            break
        starts = following
    return Scores.of(total.sums, clock.seconds(), step.objective)


def _read(
    params: Any, step: CompiledStep, windows: Iterable[Window], carry: Any, pause: Callable[[], None]
) -> tuple[Position, Any]:
    """The position with the sums of all windows, and the final states of all rows."""

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


def _next_starts(stream: Stream, starts: Any) -> Callable[[Any, Any], tuple[Any, jax.Array]]:
    """A function of the final and the starting states of a pass: the next starting states, and the largest change."""
    # The first row always starts with the initial state, and the starting state of an empty row has no effect.
    follows = (np.arange(stream.filled) > 0) & (np.arange(stream.filled) * stream.length < len(stream.tokens) - 1)

    def difference(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.abs(new - old) / (1 + jnp.abs(old))

    def next_starts(finals: Any, starts: Any) -> tuple[Any, jax.Array]:
        following = jax.tree.map(lambda leaf: jnp.roll(leaf, 1, axis=0), finals)
        moved = zero_where(jnp.asarray(~follows), jax.tree.map(difference, following, starts))
        return following, jnp.stack([leaf.max() for leaf in jax.tree.leaves(moved)]).max()

    shardings = jax.tree.map(lambda leaf: leaf.sharding, starts)
    return jax.jit(next_starts, out_shardings=(shardings, None))
