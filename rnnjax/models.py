"""Whole networks: tokens in, logits out."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from rnnjax.cells.cell import add_bias
from rnnjax.dropout import Dropout
from rnnjax.dtypes import at_least_float32, promoted
from rnnjax.meshes import spec_of, within_explicit_axes
from rnnjax.modes import check_causal, is_deterministic, static
from rnnjax.types import BatchFlags, Lengths, State, Tokens

POOLINGS = ("last", "mean", "max")


class Head(NamedTuple):
    """What makes logits of features: `features @ kernel + bias`."""

    kernel: jax.Array  # (F, V)
    bias: jax.Array  # (V,)

    def logits(self, features: jax.Array) -> jax.Array:
        """The logits `(..., V)` of features `(..., F)`, float32 or wider: never rounded to the compute dtype."""
        wide = at_least_float32(self.kernel.dtype)
        return add_bias(jnp.dot(features, self.kernel, preferred_element_type=wide), self.bias.astype(wide))


def embed(module: nn.Embed, tokens: jax.Array, dtype: Any) -> jax.Array:
    """Embeddings in the compute dtype, looked up in the table's: gradients of a frequent word add up in the latter."""
    table = module.embedding
    embedded = within_explicit_axes(
        lambda table, tokens: jnp.take(table, tokens, axis=0),
        lambda: PartitionSpec(*spec_of(tokens), None),
        table,
        tokens,
    )
    return embedded if dtype is None else embedded.astype(dtype)


class _DenseHead(nn.Module):
    """Declares a head's parameters: those of `nn.Dense`, but for the kernel where there is one already."""

    outputs: int
    dtype: Any = None

    @nn.compact
    def __call__(self, features: jax.Array, kernel: jax.Array | None = None) -> tuple[jax.Array, Head]:
        """The features, and the head whose kernel has their dtype: the compute dtype."""
        if kernel is None:
            kernel = self.param("kernel", nn.initializers.lecun_normal(), (features.shape[-1], self.outputs))
        dtype = self.dtype or promoted(features, kernel)
        bias = self.param("bias", nn.initializers.zeros, (self.outputs,))
        return features.astype(dtype), Head(kernel.astype(dtype), bias)


class LanguageModel(nn.Module):
    """Embedding, recurrent stack, and at every step a dense head over the vocabulary: which word comes next?

        embedding -> variational dropout -> recurrent -> variational dropout -> dense

    `recurrent` is an `RNN` or a `StackedRNN` that looks only back. With `tied` the head's kernel is the embedding,
    transposed; outputs of another size than the embedding's pass a linear projection first. Tokens must be below
    `vocabulary_size`. Raises ValueError for a size below 1, a dropout outside [0, 1), or layers that are reversed or
    bidirectional and would read the word that they predict. Sources: Mikolov et al. 2010, "Recurrent neural network
    based language model"; Press and Wolf 2017, "Using the Output Embedding to Improve Language Models".
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
        check_causal(self.recurrent)
        super().__post_init__()

    def __call__(
        self,
        tokens: Tokens,
        lengths: Lengths | None = None,
        initial_state: State | None = None,
        resets: BatchFlags | None = None,
        *,
        reset_state: State | None = None,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, State]:
        """Logits `(B, T, V)` of the word after each step, float32 or wider, and the final state.

        The arguments are those of `features`.
        """
        features, head, final_state = self.features(
            tokens, lengths, initial_state, resets, reset_state=reset_state, deterministic=deterministic, rows=rows
        )
        return head.logits(features), final_state

    @nn.compact
    def features(
        self,
        tokens: Tokens,
        lengths: Lengths | None = None,
        initial_state: State | None = None,
        resets: BatchFlags | None = None,
        *,
        reset_state: State | None = None,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, Head, State]:
        """What the head reads, `(B, T, F)`, the head and the final state, from tokens `(B, T)`.

        The call begins from `initial_state`, an earlier call's final state, say; `resets[b, t]` puts `reset_state`
        back before step t (each zeros where None). Dropout draws from the rng "dropout" where there is one, unless
        `deterministic=True`; `rows (B,)` numbers each row within the whole batch (see `Dropout`).
        """
        tokens, deterministic = jnp.asarray(tokens), is_deterministic(self, deterministic)
        if tokens.ndim != 2:
            raise ValueError(f"tokens: expected shape (B, T), got {tokens.shape}")
        embedding = nn.Embed(self.vocabulary_size, self.embedding_size, name="embedding")
        inputs = embed(embedding, tokens, self.dtype)
        inputs = Dropout(self.dropout, shared_axes=(1,))(inputs, rows, deterministic=deterministic)
        outputs, final_state = self.recurrent(
            inputs,
            initial_state,
            lengths,
            resets,
            reset_state=reset_state,
            deterministic=static("deterministic", deterministic),
            rows=rows,
        )
        if self.tied and outputs.shape[-1] != self.embedding_size:
            dtype = self.dtype or promoted(outputs, jnp.float32)
            outputs = nn.Dense(self.embedding_size, use_bias=False, dtype=dtype, name="projection")(outputs)
        features = Dropout(self.dropout, shared_axes=(1,))(outputs, rows, deterministic=deterministic)
        kernel = embedding.embedding.T if self.tied else None
        features, head = _DenseHead(self.vocabulary_size, self.dtype, name="head")(features, kernel)
        return features, head, final_state


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
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> jax.Array:
        """Logits `(B,)` where `logits` is 1, else `(B, C)`, float32 or wider, from tokens `(B, T)` padded on the right.

        Dropout draws from the rng "dropout" where there is one, unless `deterministic=True`; `rows (B,)` numbers each
        row within the whole batch (see `Dropout`). A length above T counts as T; a sequence of length 0 is scored
        from zeros.
        """
        tokens, deterministic = jnp.asarray(tokens), is_deterministic(self, deterministic)
        if tokens.ndim != 2:
            raise ValueError(f"tokens: expected shape (B, T), got {tokens.shape}")
        embedding = nn.Embed(self.vocabulary_size, self.embedding_size, name="embedding")
        inputs = embed(embedding, tokens, self.dtype)
        inputs = Dropout(self.word_dropout, shared_axes=(2,), name="word_dropout")(
            inputs, rows, deterministic=deterministic
        )
        inputs = Dropout(self.input_dropout, shared_axes=(1,))(inputs, rows, deterministic=deterministic)
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
        pooled, head = _DenseHead(self.logits, self.dtype, name="head")(pooled)
        logits = head.logits(pooled)
        return logits[:, 0] if self.logits == 1 else logits

    def _pool(self, outputs: jax.Array, final_state: Any, lengths: jax.Array | None) -> jax.Array:
        if self.recurrent is not None and self.pooling == "last":
            return self.recurrent.last(final_state)
        batch, steps, _ = outputs.shape
        counts = jnp.full(batch, steps) if lengths is None else jnp.clip(jnp.asarray(lengths), 0, steps)
        valid = jnp.arange(steps)[None, :, None] < counts[:, None, None]
        if self.pooling == "mean":
            # Sum and count are float32 or wider: float16 ends at 65,504, bfloat16 counts up to 256.
            wide = at_least_float32(outputs.dtype)
            # Outputs of recurrent layers are zero past the length, embeddings are not.
            own = outputs if self.recurrent is not None else jnp.where(valid, outputs, 0)
            mean = own.sum(axis=1, dtype=wide) / jnp.maximum(counts, 1)[:, None].astype(wide)
            return mean.astype(outputs.dtype)
        # Not minus infinity: who looks for the first number that is not finite must not find it here.
        lowest = jnp.finfo(outputs.dtype).min
        highest = jnp.where(valid, outputs, lowest).max(axis=1, initial=lowest)
        return jnp.where(counts[:, None] > 0, highest, 0)
