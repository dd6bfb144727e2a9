"""Objectives: what a step sums over the rows of a batch, the loss first of all.

Losses and sums are float32 at least, whatever the logits are. The sum `chance` is the loss of an answer that does not
look at the input, here all classes alike: a training whose loss is far above it has diverged (`Watchdog`).
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rnnjax.data import Batch, PairBatch, TaggedBatch
from rnnjax.dtypes import widen
from rnnjax.training.step import Objective, Sums


def mode(batch: Any, key: jax.Array | None) -> dict[str, Any]:
    """How a network is applied to a batch: in training where there is a key, and by the numbers of its rows."""
    return {
        "deterministic": key is None,
        "rows": batch.rows,
        "rngs": None if key is None else {"dropout": key},
    }


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
            **mode(batch, key),
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
            "chance": math.log(classes) * weights.sum(),
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
            **mode(batch, key),
        )
        sums = _step_sums(logits, jnp.asarray(batch.tokens[:, 1:]), lengths, batch.weights)
        return sums | {"tokens": lengths.sum()}

    return objective


def tagging(apply: Callable[..., jax.Array]) -> Objective:
    """Cross-entropy of a tagger over the steps within each sequence's length.

        loss = sum_b weight_b sum_{t < length_b} -log softmax(logits_bt)[tag_bt]

    `apply(params, inputs, lengths, deterministic=, rows=, rngs=)` gives the logits `(B, T, C)`; the batch is a
    `TaggedBatch`. The sums are the loss in nats, the steps that count, each with its row's weight, as `weight`, those
    tagged correctly, and the steps read as `tokens`. Tags past a length may be anything.
    """

    def objective(params: Any, batch: TaggedBatch, key: jax.Array | None) -> Sums:
        logits = apply(
            params,
            batch.inputs,
            batch.lengths,
            **mode(batch, key),
        )
        sums = _step_sums(logits, jnp.asarray(batch.tags), batch.lengths, batch.weights)
        return sums | {"tokens": batch.lengths.sum()}

    return objective


def teacher_forcing(apply: Callable[..., jax.Array], start: int, end: int) -> Objective:
    """Cross-entropy of an encoder-decoder: each target token and the end from the source and the tokens before.

        loss = sum_b weight_b sum_{t <= length_b} -log softmax(logits_bt)[y_bt],  y = targets_b, end
        logits_b = apply(sources_b, [start, targets_b])

    `apply(params, sources, targets_in, source_lengths, target_lengths, deterministic=, rows=, rngs=)` gives the logits
    `(B, N + 1, V)`. The batch is a `PairBatch` whose targets `(B, N)` have neither start nor end. The sums are the loss
    in nats, the tokens that were predicted (ends too), each with its row's weight, as `weight`, those predicted
    correctly, and the tokens of sources and targets as `tokens`. Source: Williams and Zipser 1989, "A Learning
    Algorithm for Continually Running Fully Recurrent Neural Networks".
    """

    def objective(params: Any, batch: PairBatch, key: jax.Array | None) -> Sums:
        targets, lengths = jnp.asarray(batch.targets), jnp.asarray(batch.target_lengths)
        targets_in = jnp.pad(targets, ((0, 0), (1, 0)), constant_values=start)
        places = jnp.arange(targets.shape[1] + 1)
        targets_out = jnp.where(places == lengths[:, None], end, jnp.pad(targets, ((0, 0), (0, 1))))
        logits = apply(
            params,
            batch.inputs,
            targets_in,
            batch.lengths,
            lengths + 1,
            **mode(batch, key),
        )
        sums = _step_sums(logits, targets_out, lengths + 1, batch.weights)
        return sums | {"tokens": batch.lengths.sum() + lengths.sum()}

    return objective


def _step_sums(logits: jax.Array, labels: jax.Array, lengths: Any, weights: Any) -> Sums:
    """Loss, weight and correct steps of logits `(B, T, C)` within the lengths."""
    logits, weights = widen((logits, weights))
    counted = (jnp.arange(labels.shape[1]) < jnp.asarray(lengths)[:, None]) * weights[:, None]
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return {
        "loss": (losses * counted).sum(),
        "weight": counted.sum(),
        "chance": math.log(logits.shape[-1]) * counted.sum(),
        "correct": ((logits.argmax(axis=-1) == labels) * counted).sum(),
    }
