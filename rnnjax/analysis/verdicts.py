"""Verdict trace: the class probabilities for every prefix of a text."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.data import Plan, Sequences, collate

# The maximum number of prefixes in a batch: enough for most texts, and a limit on the memory for longer ones.
BATCH = 512


def class_probabilities(logits: jax.Array) -> jax.Array:
    """Probabilities `(N, C)` from logits: softmax of `(N, C)`, or both sides of the sigmoid of `(N,)`."""
    if logits.ndim > 1:
        return jax.nn.softmax(logits)
    return jax.nn.sigmoid(jnp.stack([-logits, logits], axis=-1))


def verdict_trace(
    logits: Callable[[np.ndarray, np.ndarray], jax.Array],
    tokens: np.ndarray,
    *,
    longest: int | None = None,
    cut: Literal["start", "end"] = "start",
    pad: Literal["start", "end"] = "end",
) -> np.ndarray:
    """Class probabilities `(T, C)` after each of the T words of a text.

        verdict[t] = softmax(logits(tokens[: t + 1]))

    Each prefix is scored as a separate sequence, so any classifier can be traced, also a bidirectional one.
    `logits(tokens (N, T), lengths (N,))` returns `(N,)` or `(N, C)`. Prefixes are cut to `longest` and padded like the
    classifier's texts; padding at the start is always up to `longest`. For a text without words the result is `(0, C)`.
    Raises ValueError for tokens that are not one sequence.
    """
    tokens = np.asarray(tokens)
    if tokens.ndim != 1:
        raise ValueError(f"tokens: expected one sequence, shape (T,), got {tokens.shape}")
    width = max(1, min(len(tokens), longest or len(tokens)))
    if pad == "start" and longest is not None:
        width = longest
    prefixes = Sequences.of(tokens[:end] for end in range(1, max(len(tokens), 1) + 1)).truncated(width, cut)
    size = min(BATCH, len(prefixes))
    rows = []
    for start in range(0, len(prefixes), size):
        plan = Plan(np.arange(start, min(start + size, len(prefixes))), width)
        batch = collate(prefixes, np.zeros(len(prefixes), np.int32), plan, size, pad)
        rows.append(np.asarray(class_probabilities(logits(batch.inputs, batch.lengths)))[: len(plan.rows)])
    return np.concatenate(rows)[: len(tokens)]
