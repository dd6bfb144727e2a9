"""Whole networks: tokens in, logits out."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.dropout import Dropout
from rnnjax.types import BatchFlags, Lengths, State, Tokens

POOLINGS = ("last", "mean", "max")


class Head(NamedTuple):
    """What makes logits of features: `features @ kernel + bias`."""

    kernel: jax.Array  # (F, V)
    bias: jax.Array  # (V,)


class _DenseHead(nn.Module):
    """Declares a head's parameters: those of `nn.Dense`, but for the kernel where there is one already."""

    vocabulary_size: int

    @nn.compact
    def __call__(self, features: int, kernel: jax.Array | None = None) -> Head:
        if kernel is None:
            kernel = self.param("kernel", nn.initializers.lecun_normal(), (features, self.vocabulary_size))
        return Head(kernel, self.param("bias", nn.initializers.zeros, (self.vocabulary_size,)))


class LanguageModel(nn.Module):
    """Embedding, recurrent stack, and at every step a dense head over the vocabulary: which word comes next?

        embedding -> variational dropout -> recurrent -> variational dropout -> dense

    `recurrent` is an `RNN` or a `StackedRNN` that looks only back. With `tied` the head's kernel is the embedding,
    transposed; outputs of another size than the embedding's pass a linear projection first. Tokens must be below
    `vocabulary_size`. Raises ValueError for a size below 1 or a dropout outside [0, 1). Sources: Mikolov et al. 2010,
    "Recurrent neural network based language model"; Press and Wolf 2017, "Using the Output Embedding to Improve
    Language Models".
    """

    vocabulary_size: int
    embedding_size: int
    recurrent: nn.Module
    dropout: float = 0.0
    dtype: Any = None
    tied: bool = False

    def __post_init__(self):
        for name in ("vocabulary_size", "embedding_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        super().__post_init__()

    def __call__(
        self,
        tokens: Tokens,
        lengths: Lengths | None = None,
        initial_state: State | None = None,
        resets: BatchFlags | None = None,
        *,
        deterministic: bool = True,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, State]:
        """Float32 logits `(B, T, V)` of the word after each step, and the final state; the arguments of `features`."""
        features, head, final_state = self.features(
            tokens, lengths, initial_state, resets, deterministic=deterministic, rows=rows
        )
        return (features @ head.kernel + head.bias).astype(jnp.float32), final_state

    @nn.compact
    def features(
        self,
        tokens: Tokens,
        lengths: Lengths | None = None,
        initial_state: State | None = None,
        resets: BatchFlags | None = None,
        *,
        deterministic: bool = True,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, Head, State]:
        """What the head reads, `(B, T, F)`, the head and the final state, from tokens `(B, T)`.

        `initial_state` carries on from an earlier call's final state; `resets[b, t]` puts the recurrent stack's own
        initial state back before step t. Unless deterministic, dropout draws from the rng "dropout"; `rows (B,)`
        numbers each row within the whole batch (see `Dropout`).
        """
        if tokens.ndim != 2:
            raise ValueError(f"tokens: expected shape (B, T), got {tokens.shape}")
        embedding = nn.Embed(self.vocabulary_size, self.embedding_size, dtype=self.dtype, name="embedding")
        inputs = Dropout(self.dropout, shared_axes=(1,))(embedding(tokens), rows, deterministic=deterministic)
        outputs, final_state = self.recurrent(
            inputs, lengths=lengths, resets=resets, carried=initial_state, deterministic=deterministic, rows=rows
        )
        if self.tied and outputs.shape[-1] != self.embedding_size:
            outputs = nn.Dense(self.embedding_size, use_bias=False, dtype=self.dtype, name="projection")(outputs)
        features = Dropout(self.dropout, shared_axes=(1,))(outputs, rows, deterministic=deterministic)
        kernel = embedding.embedding.T if self.tied else None
        head = _DenseHead(self.vocabulary_size, name="head")(features.shape[-1], kernel)
        dtype = self.dtype or jnp.result_type(features, *head)
        return features.astype(dtype), jax.tree.map(lambda leaf: leaf.astype(dtype), head), final_state


class SequenceClassifier(nn.Module):
    """Embedding, recurrent stack, pooling over time, dense head.

        embedding -> word and variational dropout -> recurrent -> pooling -> dropout -> dense layers, ReLU -> dense

    `recurrent` is an `RNN`, `Bidirectional` or `StackedRNN`, or None: then a text is the bag of its words. `pooling`
    reads its outputs over each sequence's own steps ("last": at the last step; "mean", "max"). `word_dropout` drops
    whole steps of the embedding, `input_dropout` features of it, the same ones at every step. `dense` are the sizes
    of hidden dense layers. `logits` is 1 for a binary question (a sigmoid is left to the loss), C for C classes.
    Tokens must be below `vocabulary_size`. Raises ValueError for an unknown pooling, the last step of a bag, a size
    below 1 or a dropout outside [0, 1).
    """

    vocabulary_size: int
    embedding_size: int
    recurrent: nn.Module | None
    logits: int = 1
    pooling: Literal["last", "mean", "max"] = "last"
    dense: Sequence[int] = ()
    word_dropout: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.0
    dtype: Any = None

    def __post_init__(self):
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {sorted(POOLINGS)}, got {self.pooling!r}")
        if self.recurrent is None and self.pooling == "last":
            raise ValueError("pooling: expected max or mean of a bag of words, which has no last step, got 'last'")
        for name in ("vocabulary_size", "embedding_size", "logits"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        self.dense = tuple(self.dense)  # hashable, so that the module is
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
        deterministic: bool = True,
        rows: jax.Array | None = None,
    ) -> jax.Array:
        """Float32 logits `(B,)` where `logits` is 1, else `(B, C)`, from tokens `(B, T)` padded on the right.

        Unless deterministic, dropout draws from the rng "dropout"; `rows (B,)` numbers each row within the
        whole batch (see `Dropout`). A sequence of length 0 is scored from zeros.
        """
        if tokens.ndim != 2:
            raise ValueError(f"tokens: expected shape (B, T), got {tokens.shape}")
        inputs = nn.Embed(self.vocabulary_size, self.embedding_size, dtype=self.dtype, name="embedding")(tokens)
        inputs = Dropout(self.word_dropout, shared_axes=(2,), name="word_dropout")(
            inputs, rows, deterministic=deterministic
        )
        inputs = Dropout(self.input_dropout, shared_axes=(1,))(inputs, rows, deterministic=deterministic)
        if self.recurrent is None:
            outputs, final_state = inputs, None
        else:
            outputs, final_state = self.recurrent(inputs, lengths=lengths, deterministic=deterministic, rows=rows)
        pooled = self._pool(outputs, final_state, lengths)
        pooled = Dropout(self.dropout)(pooled, rows, deterministic=deterministic)
        for i, size in enumerate(self.dense):
            pooled = nn.relu(nn.Dense(size, dtype=self.dtype, name=f"dense_{i}")(pooled))
        logits = nn.Dense(self.logits, dtype=self.dtype, name="head")(pooled).astype(jnp.float32)
        return logits[:, 0] if self.logits == 1 else logits

    def _pool(self, outputs: jax.Array, final_state: Any, lengths: jax.Array | None) -> jax.Array:
        if self.recurrent is not None and self.pooling == "last":
            return self.recurrent.last(final_state)
        steps = outputs.shape[1]
        counts = jnp.full(outputs.shape[0], steps) if lengths is None else lengths
        valid = (jnp.arange(steps) < counts[:, None])[..., None]
        if self.pooling == "mean":
            # Outputs of recurrent layers are zero past the length, embeddings are not.
            own = outputs if self.recurrent is not None else jnp.where(valid, outputs, 0)
            return own.sum(axis=1) / jnp.maximum(counts, 1)[:, None].astype(outputs.dtype)
        # Not minus infinity: who looks for the first number that is not finite must not find it here.
        lowest = jnp.finfo(outputs.dtype).min
        highest = jnp.where(valid, outputs, lowest).max(axis=1, initial=lowest)
        return jnp.where(counts[:, None] > 0, highest, 0)
