"""The loss of every single token of a text, in one unbroken pass."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.data import Stream, Window
from rnnjax.models.head import Head
from rnnjax.training.streams import initial_carry


class Reading(NamedTuple):
    """What a language model makes of a window of B rows and T steps."""

    losses: jax.Array  # (B, T): of the token after each step, in nats
    features: jax.Array  # (B, T, F): the inputs of the head
    state: Any  # after the window


@functools.partial(jax.jit, static_argnums=0)
def read_window(features: Callable[..., Any], params: Any, window: Window, state: Any) -> Reading:
    """Reads a window from a state, without dropout; `features` as for `next_in_stream`.

        losses[b, t] = logsumexp(logits[b, t]) - logits[b, t, target[b, t]]

    Losses are in float32 at least. All logits `(B, T, V)` of the window are in memory at once. Steps after the length
    of a row are undefined. One compiled program for each `features` (the same object) and each shape.
    """
    read, head, after = features(
        params,
        window.tokens,
        window.lengths,
        state,
        window.resets,
        deterministic=True,
        rows=window.rows,
        rngs=None,
    )
    logits = Head(*head).logits(read)
    own = jnp.take_along_axis(logits, window.targets[..., None], axis=-1)[..., 0]
    return Reading(jax.nn.logsumexp(logits, axis=-1) - own, read, after)


def token_losses(features: Callable[..., Any], params: Any, stream: Stream) -> np.ndarray:
    """The losses `(N - 1,)` in nats of every token of a text but the first, from one pass over a stream of one row.

    Divided by log(2) they are surprisals in bits (Shannon 1948); their mean is the loss of `evaluate_stream`. Raises
    ValueError for a stream of several rows.
    """
    state = state_before(features, params, stream)
    losses = []
    for window in stream:
        reading = read_window(features, params, window, state)
        state = reading.state
        losses.append(reading.losses)
    return in_a_row(losses, stream)


def state_before(features: Callable[..., Any], params: Any, stream: Stream) -> Any:
    """The state before a text that is read from its start to its end. Raises ValueError for several rows."""
    if stream.filled != 1:
        raise ValueError(f"rows: expected 1, a text in one unbroken pass, got {stream.filled}")
    return initial_carry(features, params, 1)


def in_a_row(losses: list[jax.Array], stream: Stream) -> np.ndarray:
    """The losses `(N - 1,)` of a text from those `(1, T)` of its windows; the last window may be padded."""
    return np.concatenate(jax.device_get(losses), axis=1)[0, : len(stream.tokens) - 1]
