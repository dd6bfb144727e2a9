"""Objectives: what a step sums over the rows of a batch, the loss first of all.

Losses and sums are float32 at least, whatever the logits are.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rnnjax.data import Batch
from rnnjax.dtypes import widen
from rnnjax.training.step import Objective, Sums


def classification(apply: Callable[..., jax.Array], classes: int) -> Objective:
    """Cross-entropy of a classifier: binary from one logit for two classes, over C logits otherwise.

    `apply(params, tokens, lengths, deterministic=, rows=, rngs=)` gives the logits. The sums are the loss
    in nats, the rows' weight, the correct rows, the tokens read, and the (C, C) confusion matrix, true
    classes down.
    """

    def objective(params: Any, batch: Batch, key: jax.Array | None) -> Sums:
        logits = apply(
            params,
            batch.tokens,
            batch.lengths,
            deterministic=key is None,
            rows=batch.rows,
            rngs=None if key is None else {"dropout": key},
        )
        logits, weights = widen((logits, batch.weights))
        if logits.ndim == 1:
            losses = optax.sigmoid_binary_cross_entropy(logits, batch.labels)
            predicted = (logits > 0).astype(jnp.int32)
        else:
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
            predicted = logits.argmax(axis=-1)
        true, guess = (jax.nn.one_hot(index, classes) for index in (batch.labels, predicted))
        return {
            "loss": (losses * weights).sum(),
            "weight": weights.sum(),
            "correct": ((predicted == batch.labels) * weights).sum(),
            "tokens": batch.lengths.sum(),
            "confusion": jnp.einsum("b,bt,bp->tp", weights, true, guess),
        }

    return objective


def next_token(apply: Callable[..., Any]) -> Objective:
    """Cross-entropy of a language model: each token of a row but its first is predicted from those before it.

    `apply(params, tokens, lengths, deterministic=, rows=, rngs=)` gives (logits `(B, T, V)`, final state). The
    sums are the loss in nats, and the tokens that were predicted, as `weight`, those predicted correctly, and the
    tokens read.
    """

    def objective(params: Any, batch: Batch, key: jax.Array | None) -> Sums:
        lengths = jnp.maximum(batch.lengths - 1, 0)
        logits, _ = apply(
            params,
            batch.tokens[:, :-1],
            lengths,
            deterministic=key is None,
            rows=batch.rows,
            rngs=None if key is None else {"dropout": key},
        )
        targets = batch.tokens[:, 1:]
        logits, weights = widen((logits, batch.weights))
        counted = (jnp.arange(targets.shape[1]) < lengths[:, None]) * weights[:, None]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
        return {
            "loss": (losses * counted).sum(),
            "weight": counted.sum(),
            "correct": ((logits.argmax(axis=-1) == targets) * counted).sum(),
            "tokens": lengths.sum(),
        }

    return objective
