"""Classification of whole sequences."""

from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.dropout import Dropout
from rnnjax.dtypes import at_least_float32, promoted
from rnnjax.models.embedding import as_tokens, check_sizes, embed
from rnnjax.models.head import DenseHead
from rnnjax.modes import check_linen, is_deterministic, static
from rnnjax.types import Lengths, Tokens

POOLINGS = ("last", "mean", "max", "mean-max")


class SequenceClassifier(nn.Module):
    """Embedding, recurrent stack, pooling over time, dense head.

        embedding -> word and variational dropout -> recurrent -> pooling -> dropout -> dense layers, ReLU -> dense

    `recurrent` is an `RNN`, `Bidirectional` or `StackedRNN`, or None for a bag of words. `pooling` reduces its outputs
    over the steps of each sequence: "last" (the last step), "mean", "max", or "mean-max" (both, side by side).
    `word_dropout` drops whole steps of the embedding, `input_dropout` drops its features, the same ones at every step.
    `features` is the number of further inputs of each step, which follow the embedding and are not dropped. `dense`
    gives the sizes of hidden dense layers. `logits` is 1 for two classes (the loss applies the sigmoid), C for C
    classes. Tokens must be below `vocabulary_size`. Raises ValueError for an unknown pooling, pooling "last" without a
    recurrent layer, a size out of range or a dropout outside [0, 1).
    """

    vocabulary_size: int
    embedding_size: int
    recurrent: nn.Module | None
    logits: int = 1
    pooling: Literal["last", "mean", "max", "mean-max"] = "last"
    dense: Sequence[int] = ()
    word_dropout: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.0
    features: int = 0
    dtype: Any = None

    def __post_init__(self):
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {sorted(POOLINGS)}, got {self.pooling!r}")
        if self.recurrent is None and self.pooling == "last":
            raise ValueError("pooling: expected max or mean for a bag of words, got 'last'")
        if self.recurrent is not None:
            check_linen("recurrent", self.recurrent)
        check_sizes(self, ("vocabulary_size", "embedding_size", "logits"))
        self.dense = tuple(self.dense)  # the module must be hashable
        if self.features < 0:
            raise ValueError(f"features: expected at least 0, got {self.features}")
        if any(size < 1 for size in self.dense):
            raise ValueError(f"dense: expected sizes of at least 1, got {self.dense}")
        for name in ("word_dropout", "input_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 0 <= rate < 1, got {getattr(self, name)}")
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        tokens: Tokens,
        lengths: Lengths | None = None,
        *,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
        features: jax.Array | None = None,
    ) -> jax.Array:
        """Logits `(B,)` if `logits` is 1, else `(B, C)`, at least float32, from tokens `(B, T)` padded on the right.

        Dropout is active if there is an rng "dropout", unless `deterministic=True`. `rows (B,)` are the row numbers
        within the whole batch (see `Dropout`). `features` are `(B, T, features)`, if the model has any. A length above
        T is treated as T; a sequence of length 0 is pooled to zeros. Raises ValueError for features of another shape.
        """
        tokens, deterministic = as_tokens("tokens", tokens), is_deterministic(self, deterministic)
        embedding = nn.Embed(self.vocabulary_size, self.embedding_size, name="embedding")
        inputs = embed(embedding, tokens, self.dtype)
        inputs = Dropout(self.word_dropout, shared_axes=(2,), name="word_dropout")(
            inputs, rows, deterministic=deterministic
        )
        inputs = Dropout(self.input_dropout, shared_axes=(1,))(inputs, rows, deterministic=deterministic)
        inputs = self._with_features(inputs, features)
        if self.recurrent is None:
            outputs, final_state = inputs, None
        else:
            outputs, final_state = self.recurrent(
                inputs, lengths=lengths, deterministic=static("deterministic", deterministic), rows=rows
            )
        pooled = self._pool(outputs, final_state, lengths)
        pooled = Dropout(self.dropout)(pooled, rows, deterministic=deterministic)
        dtype = self.dtype or promoted(pooled, jnp.float32)
        for i, size in enumerate(self.dense):
            pooled = nn.relu(nn.Dense(size, dtype=dtype, name=f"dense_{i}")(pooled))
        pooled, head = DenseHead(self.logits, self.dtype, name="head")(pooled)
        logits = head.logits(pooled)
        return logits[:, 0] if self.logits == 1 else logits

    def _with_features(self, inputs: jax.Array, features: jax.Array | None) -> jax.Array:
        expected = (*inputs.shape[:2], self.features)
        if features is None and (not self.features or self.is_initializing()):
            features = jnp.zeros(expected, inputs.dtype)
        if features is None or features.shape != expected:
            raise ValueError(f"features: expected shape {expected}, got {None if features is None else features.shape}")
        return jnp.concatenate([inputs, features.astype(inputs.dtype)], axis=-1) if self.features else inputs

    def _pool(self, outputs: jax.Array, final_state: Any, lengths: jax.Array | None) -> jax.Array:
        if self.recurrent is not None and self.pooling == "last":
            return self.recurrent.last(final_state, outputs, lengths)
        batch, steps, _ = outputs.shape
        counts = jnp.full(batch, steps) if lengths is None else jnp.clip(jnp.asarray(lengths), 0, steps)
        valid = jnp.arange(steps)[None, :, None] < counts[:, None, None]
        # Outputs of recurrent layers are zero past the length, embeddings are not.
        own = outputs if self.recurrent is not None else jnp.where(valid, outputs, 0)
        pooled = {"mean": lambda: _mean(own, counts), "max": lambda: _max(outputs, valid)}
        return jnp.concatenate([pooled[name]() for name in self.pooling.split("-")], axis=-1)


def _mean(outputs: jax.Array, counts: jax.Array) -> jax.Array:
    """The mean over the steps of each sequence, of outputs `(B, T, F)` that are zero past its end."""
    # Sum and count are at least float32: the largest float16 is 65,504, and bfloat16 counts only up to 256.
    wide = at_least_float32(outputs.dtype)
    mean = outputs.sum(axis=1, dtype=wide) / jnp.maximum(counts, 1)[:, None].astype(wide)
    return mean.astype(outputs.dtype)


def _max(outputs: jax.Array, valid: jax.Array) -> jax.Array:
    """The maximum over the valid steps of each sequence; zero for a sequence without steps."""
    # Not minus infinity: a check for non-finite values must not find it here.
    lowest = jnp.finfo(outputs.dtype).min
    highest = jnp.where(valid, outputs, lowest).max(axis=1, initial=lowest)
    return jnp.where(valid.any(axis=1), highest, 0)
