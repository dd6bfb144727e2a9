"""The input side of all models: checks of sizes and tokens, and the embedding lookup."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from rnnjax.meshes import spec_of, within_explicit_axes


def check_sizes(model: nn.Module, names: Sequence[str]) -> None:
    """Raises ValueError for a field of the model that is below 1."""
    for name in names:
        if getattr(model, name) < 1:
            raise ValueError(f"{name}: expected at least 1, got {getattr(model, name)}")


def as_tokens(name: str, tokens: Any) -> jax.Array:
    """Tokens as an array. Raises ValueError unless they are integers `(B, T)`."""
    tokens = jnp.asarray(tokens)
    if tokens.ndim != 2:
        raise ValueError(f"{name}: expected shape (B, T), got {tokens.shape}")
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise ValueError(f"{name}: expected integers, got {tokens.dtype}")
    return tokens


def embed(module: nn.Embed, tokens: jax.Array, dtype: Any) -> jax.Array:
    """Embeddings in the compute dtype; the lookup and its gradient sums use the dtype of the table."""
    table = module.embedding
    embedded = within_explicit_axes(
        lambda table, tokens: jnp.take(table, tokens, axis=0),
        lambda: PartitionSpec(*spec_of(tokens), None),
        table,
        tokens,
    )
    return embedded if dtype is None else embedded.astype(dtype)
