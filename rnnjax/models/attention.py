"""Attention from the steps of one sequence to the steps of another."""

from typing import Any, Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from rnnjax.dtypes import at_least_float32, promoted

Score = Literal["general", "additive"]


class Attention(nn.Module):
    """Global attention: a weighted mean of the values, with weights from a score of query and value.

        score(q, v) = q @ W @ v                         "general", Luong et al. 2015
        score(q, v) = u @ tanh(q @ W + v @ U + b)       "additive", Bahdanau et al. 2015; u has the size of v
        weights     = softmax of the scores over the valid values
        context     = weights @ values

    Sources: Luong, Pham and Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation";
    Bahdanau, Cho and Bengio 2015, "Neural Machine Translation by Jointly Learning to Align and Translate". Raises
    ValueError for an unknown score.
    """

    score: Score = "general"
    dtype: Any = None

    def __post_init__(self):
        if self.score not in get_args(Score):
            raise ValueError(f"score: expected one of {sorted(get_args(Score))}, got {self.score!r}")
        super().__post_init__()

    @nn.compact
    def __call__(self, queries: jax.Array, values: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Contexts `(B, T, E)` and weights `(B, T, S)`, for queries `(B, T, H)` over values `(B, S, E)`.

        `valid (B, S)` masks the values. Scores and weights are at least float32. The weight of an invalid value is 0;
        if a row has no valid value, all its weights and contexts are 0.
        """
        dtype = self.dtype or promoted(queries, values, jnp.float32)
        queries, values = queries.astype(dtype), values.astype(dtype)
        wide, size = at_least_float32(dtype), values.shape[-1]
        if self.score == "general":
            kernel = self.param("kernel", nn.initializers.lecun_normal(), (queries.shape[-1], size)).astype(dtype)
            scores = jnp.einsum("bte,bse->bts", queries @ kernel, values, preferred_element_type=wide)
        else:
            query = nn.Dense(size, dtype=dtype, name="query")(queries)
            key = nn.Dense(size, use_bias=False, dtype=dtype, name="key")(values)
            vector = self.param("vector", nn.initializers.normal(size**-0.5), (size,)).astype(dtype)
            joined = jnp.tanh(query[:, :, None] + key[:, None])
            scores = jnp.einsum("btse,e->bts", joined, vector, preferred_element_type=wide)
        weights = masked_softmax(scores, valid[:, None])
        return jnp.einsum("bts,bse->bte", weights.astype(dtype), values), weights


def masked_softmax(scores: jax.Array, valid: jax.Array) -> jax.Array:
    """The softmax over the valid entries of the last axis, zeros elsewhere; all zeros if nothing is valid."""
    # Not minus infinity: if all entries of a row were, its softmax and gradient would be NaN.
    scores = jnp.where(valid, scores, jnp.finfo(scores.dtype).min)
    return jnp.where(valid, jax.nn.softmax(scores, axis=-1), 0)
