"""Objectives for classification, language models, tagging, encoder-decoders and regression.

Losses and sums are in float32 at least, for logits of any dtype. The sum `chance` is the loss of a constant prediction
that ignores the input (equal probabilities of all classes): a training whose loss is far above it has diverged
(`Watchdog`).
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

# The largest loss whose exponential is a finite float, so that a diverging run can still be reported.
LARGEST_LOSS = 709.0


def perplexity(means: Means) -> float:
    """The exponential of a mean loss in nats, limited to about the largest float."""
    return math.exp(min(_of_tokens(means), LARGEST_LOSS))


def bits(means: Means) -> float:
    """A mean loss in nats, converted to bits."""
    return _of_tokens(means) / math.log(2)


def _of_tokens(means: Means) -> float:
    """The loss without the penalty of a training (`next_in_stream`)."""
    return means["loss"] - means.get("penalty", 0.0)


# The metric of a language model, by the kind of its tokens.
MEASURES: Mapping[str, Mapping[str, Callable[[Means], float]]] = {
    "word": {"perplexity": perplexity},
    "subword": {"perplexity": perplexity},
    "character": {"bits_per_character": bits},
}


def language_objective(sums: SumsOf, level: str, carries: bool = False) -> Objective:
    """The objective of a language model with the metric of its `level`. Raises ValueError for an unknown level."""
    if level not in MEASURES:
        raise ValueError(f"level: expected one of {', '.join(MEASURES)}, got {level!r}")
    (best,) = MEASURES[level]
    return Objective(sums, best=best, derived=MEASURES[level], carries=carries)


def mode(batch: Any, key: jax.Array | None) -> dict[str, Any]:
    """The arguments for applying a network to a batch: training mode if there is a key, and the row numbers."""
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

    `apply(params, tokens, lengths, deterministic=, rows=, rngs=)` returns the logits. The sums are the loss in nats,
    `weight` (of the rows), `accuracy` (weight of the correct rows; the best epoch has the highest), `tokens` (read),
    `chance`, and `confusion` `(C, C)` (rows: true classes, columns: predicted classes). `class_weights` `(C,)` multiply
    the loss in training only, as in Keras: validation losses and all other metrics do not use them. Targets must be 0
    to C - 1; nobody checks this in a compiled step. Raises ValueError for another number of class weights, for one that
    is not above 0, and for logits or targets of another shape or kind.
    """
    if class_weights is not None:
        if isinstance(class_weights, (str, Mapping)) or not np.iterable(class_weights):
            raise ValueError(f"class_weights: expected a sequence of numbers, got {class_weights!r}")
        if len(class_weights) != classes:
            raise ValueError(f"class_weights: expected {classes}, one for each class, got {len(class_weights)}")
        for weight in class_weights:
            if not isinstance(weight, (int, float, np.number)) or not 0 < weight < math.inf:
                raise ValueError(f"class_weights: expected numbers above 0, got {weight!r}")

    def objective(params: Any, batch: Batch, key: jax.Array | None) -> Sums:
        logits = apply(
            params,
            batch.inputs,
            batch.lengths,
            **mode(batch, key),
        )
        logits, weights = widen((logits, batch.weights))
        expected = [(len(batch.weights), classes), *([(len(batch.weights),)] if classes == 2 else [])]
        if logits.shape not in expected:
            raise ValueError(f"logits: expected shape {' or '.join(map(str, expected))}, got {logits.shape}")
        if batch.targets.shape != batch.weights.shape or not np.issubdtype(batch.targets.dtype, np.integer):
            raise ValueError(
                f"targets: expected integers of shape {batch.weights.shape}, got {batch.targets.dtype} of shape "
                f"{batch.targets.shape}"
            )
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
    """The confusion matrix `(C, C)` of a classifier's scores, as counts (rows: true classes)."""
    return scores.totals["confusion"].round().astype(int)


def next_token(apply: Callable[..., Any], level: str = "word") -> Objective:
    """Cross-entropy of a language model: every token of a row except the first is predicted from the tokens before it.

    `apply(params, tokens, lengths, deterministic=, rows=, rngs=)` returns (logits `(B, T, V)`, final state). The
    sums are the loss in nats, `weight` (tokens predicted), `accuracy` (tokens predicted correctly), `tokens` (read),
    and `chance`. `level` as for `next_in_stream`.
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

    `apply(params, inputs, lengths, deterministic=, rows=, rngs=)` returns the logits `(B, T, C)`; the batch is a
    `Batch`. The sums are the loss in nats, `weight` (steps within the lengths, each with the weight of its row),
    `accuracy` (steps tagged correctly), `tokens` (steps read), and `chance`. Tags past a length are ignored.
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
    """Cross-entropy of an encoder-decoder: predicts each target token, and the end, from the source and the tokens
    before.

        loss = sum_b weight_b sum_{t <= length_b} -log softmax(logits_bt)[y_bt],  y = targets_b, end
        logits_b = apply(sources_b, [start, targets_b])

    `apply(params, sources, targets_in, source_lengths, target_lengths, deterministic=, rows=, rngs=)` returns the
    logits `(B, N + 1, V)`. The batch is a `PairBatch` whose targets `(B, N)` have neither start nor end. The sums are
    the loss in nats, `weight` (tokens predicted, ends included, each with the weight of its row), `accuracy` (tokens
    predicted correctly), `tokens` (of sources and targets), and `chance`. Source: Williams and Zipser 1989, "A Learning
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

    return Objective(objective, best="accuracy", highest=True)


def _step_sums(logits: jax.Array, labels: jax.Array, lengths: Any, weights: Any) -> Sums:
    """Sums of logits `(B, T, C)` over the steps within the lengths: loss, weight, chance and accuracy."""
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
    """Mean squared error.

        loss = sum_b weight_b mean_k (outputs_bk - targets_bk)^2 / sum_b weight_b

    `apply(params, inputs, lengths, deterministic=, rows=, rngs=)` returns the outputs, with the shape `(B, ...)` of the
    targets; the batch is a `Batch` (`batches`). Further metrics are `absolute_error` (MAE) and `rmse`, the root of the
    loss; chance is the loss of outputs of 0. Raises ValueError for outputs of another shape.
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
