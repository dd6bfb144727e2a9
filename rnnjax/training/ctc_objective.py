"""Connectionist temporal classification (CTC): label sequences without alignment, from logits at every step.

Source: Graves, Fernandez, Gomez and Schmidhuber 2006, "Connectionist Temporal Classification: Labelling Unsegmented
Sequence Data with Recurrent Neural Networks".
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from rnnjax.data import PairBatch
from rnnjax.dtypes import widen
from rnnjax.training.objective import Objective, Sums
from rnnjax.training.objectives import mode


def ctc(apply: Callable[..., jax.Array], blank: int = 0) -> Objective:
    """The CTC loss: the negative log probability of each row's labels, summed over all alignments with the steps.

        loss_b = -log sum_{paths that collapse to labels_b} prod_{t < length_b} softmax(logits_bt)[path_t]

    `apply(params, inputs, lengths, deterministic=, rows=, rngs=)` returns the logits `(B, T, C)`; class `blank` is the
    blank. The batch is a `PairBatch` whose `targets (B, N)` are the labels, without blanks. Computed with
    `optax.ctc_loss`, in float32 or wider. The only path of a row without labels is all blanks; a row without labels
    and without steps has the loss 0.

    Labels need one step each, and one more between two equal labels. A row with fewer steps has no alignment: its
    weight counts as 0 in all sums, and is added to the sum `unaligned`.

    The sums are the loss in nats, `weight` (of the rows), `accuracy` (rows whose greedy decoding equals the labels),
    `tokens` (steps read), `unaligned`, and `chance` (the loss if all paths are equally probable and one is correct).
    Raises ValueError for logits without steps, and for a `blank` that is not a class.
    """

    def objective(params: Any, batch: PairBatch, key: jax.Array | None) -> Sums:
        logits = apply(
            params,
            batch.inputs,
            batch.lengths,
            **mode(batch, key),
        )
        _check(logits, blank)
        if not logits.shape[1]:
            raise ValueError(f"logits: expected at least one step, got shape {logits.shape}")
        logits, weights = widen((logits, batch.weights))
        labels, counts = jnp.asarray(batch.targets), jnp.asarray(batch.target_lengths)
        lengths = jnp.clip(jnp.asarray(batch.lengths), 0, logits.shape[1])
        padded = jnp.arange(labels.shape[1]) >= counts[:, None]
        past = jnp.arange(logits.shape[1]) >= lengths[:, None]
        losses = optax.ctc_loss(logits, past.astype(logits.dtype), labels, padded.astype(logits.dtype), blank_id=blank)
        # For rows without an alignment optax returns about 1e5 nats and a meaningless gradient.
        aligned = _steps_needed(labels, padded) <= lengths
        counted = weights * aligned
        decoded, decoded_counts = ctc_decode(logits, lengths, blank)
        width = max(labels.shape[1], decoded.shape[1])
        same = _filled(decoded, decoded_counts, width) == _filled(labels, counts, width)
        return {
            "loss": jnp.where(counted > 0, losses * counted, 0).sum(),
            "weight": counted.sum(),
            "chance": math.log(logits.shape[-1]) * (lengths * counted).sum(),
            "accuracy": (same.all(axis=1) * counted).sum(),
            "tokens": lengths.sum(),
            "unaligned": (weights * ~aligned).sum(),
        }

    return Objective(objective, best="accuracy", highest=True)


def ctc_decode(logits: jax.Array, lengths: ArrayLike | None = None, blank: int = 0) -> tuple[jax.Array, jax.Array]:
    """Greedy decoding: the most probable path, collapsed to labels `(B, T)` padded with `blank`, and counts `(B,)`.

        path_t = argmax logits_t;  repeats are merged, then blanks dropped

    The logits are `(B, T, C)`; steps past `lengths (B,)` are ignored. The result is not always the most probable
    labelling, because several paths of another labelling may have a larger sum (best path decoding, section 3.2 of
    Graves et al. 2006). Raises ValueError for logits of another shape, and for a `blank` that is not a class.
    """
    _check(logits, blank)
    batch, steps, _ = logits.shape
    path = logits.argmax(axis=-1).astype(jnp.int32)
    before = jnp.pad(path, ((0, 0), (1, 0)), constant_values=blank)[:, :-1]
    kept = (path != blank) & (path != before)
    if lengths is not None:
        kept &= jnp.arange(steps) < jnp.asarray(lengths)[:, None]
    # Each kept label is written to its index among the kept ones; all others to an index out of bounds (dropped).
    places = jnp.where(kept, jnp.cumsum(kept, axis=1) - 1, steps)
    labels = jnp.full((batch, steps), blank, jnp.int32)
    labels = labels.at[jnp.arange(batch)[:, None], places].set(path, mode="drop")
    return labels, kept.sum(axis=1, dtype=jnp.int32)


def _check(logits: jax.Array, blank: int) -> None:
    if logits.ndim != 3:
        raise ValueError(f"logits: expected shape (B, T, C), got {logits.shape}")
    if not 0 <= blank < logits.shape[-1]:
        raise ValueError(f"blank: expected one of {logits.shape[-1]} classes, got {blank}")


def _steps_needed(labels: jax.Array, padded: jax.Array) -> jax.Array:
    """The smallest number of steps `(B,)` in which the labels can be aligned."""
    repeats = (labels[:, 1:] == labels[:, :-1]) & ~padded[:, 1:]
    return (~padded).sum(axis=1) + repeats.sum(axis=1)


def _filled(labels: jax.Array, counts: jax.Array, width: int) -> jax.Array:
    """Labels padded to a common width, with -1 past each row's count."""
    labels = jnp.pad(labels, ((0, 0), (0, width - labels.shape[1])))
    return jnp.where(jnp.arange(width) < counts[:, None], labels, -1)
