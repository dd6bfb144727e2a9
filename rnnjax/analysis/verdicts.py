"""Verdict trace: what a classifier would say of a text, had it ended after each of its words."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.data import Plan, Sequences, collate

# Prefixes scored at once: those of most texts, and a bound on the memory for the others.
BATCH = 512


def class_probabilities(logits: jax.Array) -> jax.Array:
    """`(N, C)` from logits: a softmax over `(N, C)`, or a sigmoid's two sides for one logit a row, `(N,)`."""
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
    """Class probabilities `(T, C)` after each of a text's T words.

        verdict[t] = softmax(logits(tokens[: t + 1]))

    All prefixes are one batch, so that any classifier can be traced, those that read backwards too.
    `logits(tokens (N, T), lengths (N,))` gives `(N,)` or `(N, C)`; the prefixes are cut to `longest` and padded
    as the classifier's own texts are, at the start always to `longest`. A text of no words has no verdict:
    `(0, C)`. Raises ValueError for tokens that are not one sequence.
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
