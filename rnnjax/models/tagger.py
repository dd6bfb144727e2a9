"""Classification of every step of a sequence."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.dropout import Dropout, check_rate
from rnnjax.dtypes import promoted
from rnnjax.layers.forward import clear_past
from rnnjax.models.embedding import as_tokens, check_sizes, embed
from rnnjax.models.head import DenseHead
from rnnjax.modes import check_linen, is_deterministic, static
from rnnjax.types import BatchInputs, Lengths, Tokens


class SequenceTagger(nn.Module):
    """Embedding or dense projection, recurrent stack, and a dense head at every step.

        x_t      = embedding[token_t]  or  features_t @ W + b
        h_1..T   = recurrent(dropout(x_1..T))
        logits_t = dropout(h_t) @ V + c

    `recurrent` is an `RNN`, `Bidirectional` or `StackedRNN`; it need not be causal. With a `vocabulary_size`, the
    inputs are tokens below it; with None, they are F real features at each step, projected to `embedding_size`. Both
    dropouts drop the same features at every step. Raises ValueError for a size below 1 or a dropout outside [0, 1).
    Sources: Graves and Schmidhuber 2005, "Framewise Phoneme Classification with Bidirectional LSTM and Other Neural
    Network Architectures"; Graves et al. 2006 for the same network trained with `ctc`.
    """

    vocabulary_size: int | None
    embedding_size: int
    recurrent: nn.Module
    tags: int
    dropout: float = 0.0
    dtype: Any = None

    def __post_init__(self):
        check_linen("recurrent", self.recurrent)
        check_sizes(self, ("embedding_size", "tags"))
        if self.vocabulary_size is not None:
            check_sizes(self, ("vocabulary_size",))
        check_rate("dropout", self.dropout)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        inputs: Tokens | BatchInputs,
        lengths: Lengths | None = None,
        *,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> jax.Array:
        """Logits `(B, T, C)`, at least float32, from tokens `(B, T)` or features `(B, T, F)`, padded on the right.

        After the end of a sequence the recurrent outputs are zero, so the logits there are the bias of the head.
        Dropout is active if there is an rng "dropout", unless `deterministic=True`. `rows (B,)` are the row numbers
        within the whole batch (see `Dropout`). Raises ValueError for inputs of a different shape, or tokens that are
        not integers.
        """
        deterministic = is_deterministic(self, deterministic)
        size = self.vocabulary_size
        embedded = self._features(inputs, lengths) if size is None else self._tokens(inputs, size)
        embedded = Dropout(self.dropout, shared_axes=(1,))(embedded, rows, deterministic=deterministic)
        outputs, _ = self.recurrent(
            embedded, lengths=lengths, deterministic=static("deterministic", deterministic), rows=rows
        )
        outputs = Dropout(self.dropout, shared_axes=(1,))(outputs, rows, deterministic=deterministic)
        outputs, head = DenseHead(self.tags, self.dtype, name="head")(outputs)
        return head.logits(outputs)

    def _tokens(self, tokens: Tokens, size: int) -> jax.Array:
        tokens = as_tokens("inputs", tokens)
        return embed(nn.Embed(size, self.embedding_size, name="embedding"), tokens, self.dtype)

    def _features(self, features: BatchInputs, lengths: Lengths | None) -> jax.Array:
        features = jnp.asarray(features)
        if features.ndim != 3:
            raise ValueError(f"inputs: expected features of shape (B, T, F), got {features.shape}")
        if lengths is not None:
            features = clear_past(features, lengths)  # a NaN there must not reach the projection's gradient
        dtype = self.dtype or promoted(features, jnp.float32)
        return nn.Dense(self.embedding_size, dtype=dtype, name="projection")(features)
