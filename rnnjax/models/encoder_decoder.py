"""Sequence to sequence: an encoder, a decoder, and attention between them."""

import math
from typing import Any, Literal, NamedTuple, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.dropout import Dropout, check_rate
from rnnjax.dtypes import promoted
from rnnjax.models.attention import Attention
from rnnjax.models.embedding import as_tokens, check_sizes, embed
from rnnjax.models.head import DenseHead
from rnnjax.modes import Static, check_causal, check_separate, is_deterministic, static
from rnnjax.types import Lengths, State, Tokens

AttentionKind = Literal["general", "additive", "none"]
Start = Literal["bridge", "zeros"]


BRIDGED = ("hidden", "cell")


class Encoded(NamedTuple):
    """An encoded batch of sources, the input of the decoder."""

    outputs: jax.Array  # (B, S, E), outputs of the encoder
    valid: jax.Array  # (B, S), True within the length of each source
    state: State  # initial state of the decoder


class Bridge(nn.Module):
    """The initial state of the decoder, from the last output of the encoder."""

    dtype: Any = None

    @nn.compact
    def __call__(self, last: jax.Array, own: State) -> State:
        """`own + tanh(last @ W + b)` for each real array `hidden` or `cell` of `own`; others are unchanged.

        Other arrays may need a fixed sign, or be counts.
        """
        named, structure = jax.tree_util.tree_flatten_with_path(own)
        leaves = [leaf for _, leaf in named]
        dtype = self.dtype or promoted(last, jnp.float32)
        for i, (path, leaf) in enumerate(named):
            if getattr(path[-1], "name", None) in BRIDGED and jnp.issubdtype(leaf.dtype, jnp.floating):
                dense = nn.Dense(math.prod(leaf.shape[1:]), dtype=dtype, name=f"array_{i}")
                added = jnp.tanh(dense(last))
                leaves[i] = leaf + added.reshape(leaf.shape).astype(leaf.dtype)
        return jax.tree.unflatten(structure, leaves)


class Join(nn.Module):
    """Luong's attentional vector `tanh(W [context; output] + b)`, of the size of the decoder's output."""

    dtype: Any = None

    @nn.compact
    def __call__(self, contexts: jax.Array, outputs: jax.Array) -> jax.Array:
        """Features `(B, T, H)` from contexts `(B, T, E)` and outputs `(B, T, H)`."""
        dtype = self.dtype or promoted(contexts, outputs)
        both = jnp.concatenate([contexts.astype(dtype), outputs.astype(dtype)], axis=-1)
        return jnp.tanh(nn.Dense(outputs.shape[-1], dtype=dtype, name="dense")(both))


class EncoderDecoder(nn.Module):
    """Encoder-decoder: an embedding and a recurrent stack on each side, with attention between them.

        e_1..S   = encoder(source embeddings)
        d_1..T   = decoder(target embeddings), from the start state
        c_t      = attention of d_t over e_1..S
        h_t      = tanh(W [c_t; d_t] + b)
        logits_t = h_t @ V + c

    Attention is applied to the outputs of the decoder, outside the recurrence, so the decoder processes a whole target
    in one call. With `attention="none"`, h_t is d_t. The `decoder` must be causal, the `encoder` need not be. `start`
    sets the initial state of the decoder: "bridge" adds `tanh(W last + b)`, where `last` is the encoder's last output,
    to every `hidden` and `cell` of the decoder's default initial state, with a separate W and b for each; "zeros" is
    the default initial state. `dropout` applies to both embeddings and to h_t, the same features at every step. Tokens
    must be below the size of their vocabulary.

    Raises ValueError for a size below 1, an unknown `attention` or `start`, a dropout outside [0, 1), a decoder that is
    not causal, the same layer object as encoder and decoder, or neither attention nor bridge, because the decoder would
    not see the source. Sources: Sutskever, Vinyals and Le 2014, "Sequence to Sequence Learning with Neural Networks";
    Luong, Pham and Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation".
    """

    source_vocabulary_size: int
    target_vocabulary_size: int
    embedding_size: int
    encoder: nn.Module
    decoder: nn.Module
    attention: AttentionKind = "general"
    start: Start = "bridge"
    dropout: float = 0.0
    dtype: Any = None

    def __post_init__(self):
        check_sizes(self, ("source_vocabulary_size", "target_vocabulary_size", "embedding_size"))
        for name, kinds in (("attention", get_args(AttentionKind)), ("start", get_args(Start))):
            if getattr(self, name) not in kinds:
                raise ValueError(f"{name}: expected one of {list(kinds)}, got {getattr(self, name)!r}")
        if self.attention == "none" and self.start == "zeros":
            raise ValueError(
                "attention, start: expected attention or a bridge, since the decoder must see the source, got 'none' "
                "and 'zeros'"
            )
        check_rate("dropout", self.dropout)
        check_causal(self.decoder, "decoder")
        check_separate("encoder, decoder", (self.encoder, self.decoder))
        super().__post_init__()

    def setup(self):
        self.source_embedding = nn.Embed(self.source_vocabulary_size, self.embedding_size)
        self.target_embedding = nn.Embed(self.target_vocabulary_size, self.embedding_size)
        if self.start == "bridge":
            self.bridge = Bridge(self.dtype)
        if self.attention != "none":
            self.attend = Attention(self.attention, self.dtype)
            self.join = Join(self.dtype)
        self.head = DenseHead(self.target_vocabulary_size, self.dtype)
        self.drop = Dropout(self.dropout, shared_axes=(1,))

    def __call__(
        self,
        sources: Tokens,
        targets_in: Tokens,
        source_lengths: Lengths | None = None,
        target_lengths: Lengths | None = None,
        *,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> jax.Array:
        """Teacher forcing: logits `(B, T, V)` of the token after each of `targets_in (B, T)`, given sources `(B, S)`.

        Logits are at least float32. Sources and targets are padded on the right; logits after the end of a target are
        undefined. A source of length 0 has zero contexts, and its bridge gets a zero output. Dropout is active if there
        is an rng "dropout", unless `deterministic=True`. `rows (B,)` are the row numbers within the whole batch (see
        `Dropout`). Raises ValueError for tokens that are not integers of this shape.
        """
        encoded = self.encode(sources, source_lengths, deterministic=deterministic, rows=rows)
        logits, _, _ = self.decode(
            encoded, targets_in, target_lengths=target_lengths, deterministic=deterministic, rows=rows
        )
        return logits

    def encode(
        self,
        sources: Tokens,
        source_lengths: Lengths | None = None,
        *,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> Encoded:
        """The encoded sources `(B, S)`, for the decoder."""
        sources, deterministic = as_tokens("sources", sources), is_deterministic(self, deterministic)
        batch, steps = sources.shape
        inputs = self.drop(embed(self.source_embedding, sources, self.dtype), rows, deterministic=deterministic)
        outputs, final_state = self.encoder(
            inputs, lengths=source_lengths, deterministic=static("deterministic", deterministic), rows=rows
        )
        counts = jnp.full(batch, steps) if source_lengths is None else jnp.asarray(source_lengths)
        state = self._own_state(batch)
        if self.start == "bridge":
            state = self.bridge(self.encoder.last(final_state, outputs, source_lengths), state)
        return Encoded(outputs, jnp.arange(steps)[None] < counts[:, None], state)

    def decode(
        self,
        encoded: Encoded,
        targets_in: Tokens,
        state: State | None = None,
        target_lengths: Lengths | None = None,
        *,
        deterministic: bool | None = None,
        rows: jax.Array | None = None,
    ) -> tuple[jax.Array, State, jax.Array | None]:
        """Logits `(B, T, V)`, the decoder's final state, and attention weights `(B, T, S)` (None without attention).

        Starts from `state`, for example the final state of an earlier call; None means the start state of the encoded
        sources.
        """
        targets, deterministic = as_tokens("targets_in", targets_in), is_deterministic(self, deterministic)
        inputs = self.drop(embed(self.target_embedding, targets, self.dtype), rows, deterministic=deterministic)
        features, final_state = self.decoder(
            inputs,
            encoded.state if state is None else state,
            target_lengths,
            deterministic=static("deterministic", deterministic),
            rows=rows,
        )
        weights = None
        if self.attention != "none":
            contexts, weights = self.attend(features, encoded.outputs, encoded.valid)
            features = self.join(contexts, features)
        features, head = self.head(self.drop(features, rows, deterministic=deterministic))
        return head.logits(features), final_state, weights

    def _own_state(self, batch: int) -> State:
        """The decoder's default initial state: its final state after 0 steps, which works for any layers."""
        dtype = self.dtype or self.target_embedding.embedding.dtype
        nothing = jnp.zeros((batch, 0, self.embedding_size), dtype)
        return self.decoder(nothing, deterministic=Static(True))[1]
