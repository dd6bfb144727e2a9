"""Objectives: what a step sums over the rows of a batch, the loss first of all.

Losses and sums are float32 at least, whatever the logits are. The sum `chance` is the loss of an answer that does not
look at the input, here all classes alike: a training whose loss is far above it has diverged (`Watchdog`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax.data import Batch, PairBatch
from rnnjax.dtypes import widen
from rnnjax.training.objective import Means, Objective, Sums, SumsOf
from rnnjax.training.reports import Scores

# The exponential of this is the last one that a float holds: a run that goes astray is told of all the same.
LARGEST_LOSS = 709.0


def perplexity(means: Means) -> float:
    """The exponential of a mean loss in nats, and where no float is as large, nearly the largest one."""
    return math.exp(min(means["loss"], LARGEST_LOSS))


def bits(means: Means) -> float:
    """A mean loss in nats, in bits."""
    return means["loss"] / math.log(2)


# What the loss of a language model is measured in, by what its tokens are.
MEASURES: Mapping[str, Mapping[str, Callable[[Means], float]]] = {
    "word": {"perplexity": perplexity},
    "character": {"bits_per_character": bits},
}


def language_objective(sums: SumsOf, level: str, carries: bool = False) -> Objective:
    """That of a language model, by what its loss is measured in. Raises ValueError for what its tokens are not."""
    if level not in MEASURES:
        raise ValueError(f"level: expected one of {', '.join(MEASURES)}, got {level!r}")
    (best,) = MEASURES[level]
    return Objective(sums, best=best, derived=MEASURES[level], carries=carries)


def mode(batch: Any, key: jax.Array | None) -> dict[str, Any]:
    """How a network is applied to a batch: in training where there is a key, and by the numbers of its rows."""
    return {
        "deterministic": key is None,
        "rows": batch.rows,
        "rngs": None if key is None else {"dropout": key},
    }


def classification(
    apply: Callable[..., jax.Array], classes: int, class_weights: Sequence[float] | None = None
) -> Objective:
    """Cross-entropy of a classifier: binary from one logit for two classes, over C logits otherwise.

        loss = sum over rows of (row weight * class weight * cross-entropy) / sum of row weights

    `apply(params, tokens, lengths, deterministic=, rows=, rngs=)` gives the logits. The sums are the loss
    in nats, the rows' weight, that of the correct rows (`accuracy`, by which the best epoch is known), the tokens read,
    and the (C, C) confusion matrix, true classes down. `class_weights` `(C,)` multiply the loss in training only, as in
    Keras: validation losses and all other metrics are without them. Raises ValueError for another number of them, and
    for one that is not above 0.
    """
    if class_weights is not None:
        if len(class_weights) != classes:
            raise ValueError(f"class_weights: expected {classes}, one for each class, got {len(class_weights)}")
        if not all(0 < weight < math.inf for weight in class_weights):
            raise ValueError(f"class_weights: expected numbers above 0, got {tuple(class_weights)}")

    def objective(params: Any, batch: Batch, key: jax.Array | None) -> Sums:
        logits = apply(
            params,
            batch.inputs,
            batch.lengths,
            **mode(batch, key),
        )
        logits, weights = widen((logits, batch.weights))
        if logits.ndim == 1:
            losses = optax.sigmoid_binary_cross_entropy(logits, batch.targets)
            predicted = (logits > 0).astype(jnp.int32)
        else:
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets)
            predicted = logits.argmax(axis=-1)
        costs = weights
        if class_weights is not None and key is not None:
            costs = weights * jnp.asarray(class_weights, weights.dtype)[batch.targets]
        true, guess = (jax.nn.one_hot(index, classes) for index in (batch.targets, predicted))
        return {
            "loss": (losses * costs).sum(),
            "weight": weights.sum(),
            "chance": math.log(classes) * costs.sum(),
            "accuracy": ((predicted == batch.targets) * weights).sum(),
            "tokens": batch.lengths.sum(),
            "confusion": jnp.einsum("b,bt,bp->tp", weights, true, guess),
        }

    return Objective(objective, best="accuracy", highest=True)


def confusion_of(scores: Scores) -> np.ndarray:
    """The counts `(C, C)` of a classifier's scores, true classes down."""
    return scores.totals["confusion"].round().astype(int)


def next_token(apply: Callable[..., Any], level: str = "word") -> Objective:
    """Cross-entropy of a language model: each token of a row but its first is predicted from those before it.

    `apply(params, tokens, lengths, deterministic=, rows=, rngs=)` gives (logits `(B, T, V)`, final state). The
    sums are the loss in nats, and the tokens that were predicted, as `weight`, those predicted correctly
    (`accuracy`), and the tokens read. `level` as for `next_in_stream`.
    """

    def objective(params: Any, batch: Batch, key: jax.Array | None) -> Sums:
        lengths = jnp.maximum(batch.lengths - 1, 0)
        logits, _ = apply(
            params,
            batch.inputs[:, :-1],
            lengths,
            **mode(batch, key),
        )
        sums = _step_sums(logits, jnp.asarray(batch.inputs[:, 1:]), lengths, batch.weights)
        return sums | {"tokens": lengths.sum()}

    return language_objective(objective, level)


def tagging(apply: Callable[..., jax.Array]) -> Objective:
    """Cross-entropy of a tagger over the steps within each sequence's length.

        loss = sum_b weight_b sum_{t < length_b} -log softmax(logits_bt)[tag_bt]

    `apply(params, inputs, lengths, deterministic=, rows=, rngs=)` gives the logits `(B, T, C)`; the batch is a
    `Batch`. The sums are the loss in nats, the steps that count, each with its row's weight, as `weight`, those
    tagged correctly (`accuracy`), and the steps read as `tokens`. Tags past a length may be anything.
    """

    def objective(params: Any, batch: Batch, key: jax.Array | None) -> Sums:
        logits = apply(
            params,
            batch.inputs,
            batch.lengths,
            **mode(batch, key),
        )
        sums = _step_sums(logits, jnp.asarray(batch.targets), batch.lengths, batch.weights)
        return sums | {"tokens": batch.lengths.sum()}

    return Objective(objective, best="accuracy", highest=True)


def teacher_forcing(apply: Callable[..., jax.Array], start: int, end: int) -> Objective:
    """Cross-entropy of an encoder-decoder: each target token and the end from the source and the tokens before.

        loss = sum_b weight_b sum_{t <= length_b} -log softmax(logits_bt)[y_bt],  y = targets_b, end
        logits_b = apply(sources_b, [start, targets_b])

    `apply(params, sources, targets_in, source_lengths, target_lengths, deterministic=, rows=, rngs=)` gives the logits
    `(B, N + 1, V)`. The batch is a `PairBatch` whose targets `(B, N)` have neither start nor end. The sums are the loss
    in nats, the tokens that were predicted (ends too), each with its row's weight, as `weight`, those predicted
    correctly (`accuracy`), and the tokens of sources and targets as `tokens`. Source: Williams and Zipser 1989, "A
    Learning Algorithm for Continually Running Fully Recurrent Neural Networks".
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

    return Objective(objective, best="accuracy", highest=True)


def _step_sums(logits: jax.Array, labels: jax.Array, lengths: Any, weights: Any) -> Sums:
    """Loss, weight and correct steps of logits `(B, T, C)` within the lengths."""
    logits, weights = widen((logits, weights))
    counted = (jnp.arange(labels.shape[1]) < jnp.asarray(lengths)[:, None]) * weights[:, None]
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return {
        "loss": (losses * counted).sum(),
        "weight": counted.sum(),
        "chance": math.log(logits.shape[-1]) * counted.sum(),
        "accuracy": ((logits.argmax(axis=-1) == labels) * counted).sum(),
    }


def regression(apply: Callable[..., jax.Array]) -> Objective:
    """Mean squared error of numbers.

        loss = sum_b weight_b mean_k (outputs_bk - targets_bk)^2 / sum_b weight_b

    `apply(params, inputs, lengths, deterministic=, rows=, rngs=)` gives the outputs, of the targets' shape `(B, ...)`;
    the batch is an `Batch` (`batches`). The metrics beside it are `absolute_error` (MAE) and `rmse`, the root of the
    loss; chance is an answer of 0. Raises ValueError for outputs of another shape.
    """

    def sums(params: Any, batch: Batch, key: jax.Array | None) -> Sums:
        outputs = apply(params, batch.inputs, batch.lengths, **mode(batch, key))
        outputs, targets, weights = widen((outputs, jnp.asarray(batch.targets), jnp.asarray(batch.weights)))
        if outputs.shape != targets.shape:
            raise ValueError(f"outputs: expected the targets' shape {targets.shape}, got {outputs.shape}")

        def summed(errors: jax.Array) -> jax.Array:
            return (errors.reshape(len(weights), -1).mean(axis=1) * weights).sum()

        return {
            "loss": summed((outputs - targets) ** 2),
            "weight": weights.sum(),
            "chance": summed(targets**2),
            "absolute_error": summed(jnp.abs(outputs - targets)),
        }

    return Objective(sums, derived={"rmse": lambda means: math.sqrt(means["loss"])})
