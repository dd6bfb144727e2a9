"""Prediction of the next word at every step."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.dropout import Dropout, check_rate, drop_words
from rnnjax.dtypes import promoted
from rnnjax.models.embedding import as_tokens, check_sizes, embed
from rnnjax.models.head import DenseHead, Head
from rnnjax.modes import check_causal, is_deterministic, static
from rnnjax.types import BatchFlags, Lengths, State, Tokens


class LanguageModel(nn.Module):
    """Language model: embedding, recurrent stack, and a dense head over the vocabulary at every step.

        embedding -> embedding and variational dropout -> recurrent -> variational dropout -> dense

    `recurrent` is a causal `RNN` or `StackedRNN`. With `tied`, the kernel of the head is the transposed embedding; if
    the sizes differ, a linear projection comes first. `embedding_dropout` drops words wherever they occur in a batch,
    `input_dropout` features of the embeddings (default: `dropout`). Tokens must be below `vocabulary_size`. Raises
    ValueError for a size below 1, a dropout outside [0, 1), or reversed or bidirectional layers, which would see the
    word to predict. Sources: Mikolov et al. 2010, "Recurrent neural network based language model"; Press and Wolf 2017,
    "Using the Output Embedding to Improve Language Models".
    """

    vocabulary_size: int
    embedding_size: int
    recurrent: nn.Module
    dropout: float = 0.0
    dtype: Any = None
    tied: bool = False
    input_dropout: float | None = None
    embedding_dropout: float = 0.0

    def __post_init__(self):
        check_sizes(self, ("vocabulary_size", "embedding_size"))
        check_causal(self.recurrent)
        check_rate("embedding_dropout", self.embedding_dropout)
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
        """Logits `(B, T, V)` of the word after each step, at least float32, and the final state.

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
        """The features `(B, T, F)` for the head, the head, and the final state, from tokens `(B, T)`.

        The call starts from `initial_state`, for example the final state of an earlier call. `resets[b, t]` restores
        `reset_state` before step t. For both, None means zeros. Dropout is active if there is an rng "dropout", unless
        `deterministic=True`. `rows (B,)` are the row numbers within the whole batch (see `Dropout`).
        """
        tokens, deterministic = as_tokens("tokens", tokens), is_deterministic(self, deterministic)
        embedding = nn.Embed(self.vocabulary_size, self.embedding_size, name="embedding")
        inputs = embed(embedding, tokens, self.dtype)
        if not deterministic:
            inputs = drop_words(lambda: self.make_rng("dropout"), self.embedding_dropout, inputs, tokens)
        input_dropout = self.dropout if self.input_dropout is None else self.input_dropout
        inputs = Dropout(input_dropout, shared_axes=(1,))(inputs, rows, deterministic=deterministic)
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
        features, head = DenseHead(self.vocabulary_size, self.dtype, name="head")(features, kernel)
        return features, head, final_state
