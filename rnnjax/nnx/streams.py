"""The random source of masks: an `nnx.Rngs` or a key passed to the call. Layers do not store it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from rnnjax.modes import known

# The types that a call accepts as `rngs`.
Rngs = nnx.Rngs | nnx.RngStream | jax.Array | None


def dropout_stream(rngs: Any) -> nnx.RngStream | None:
    """The stream for drawing masks, or None.

    A key becomes a stream, so that layers that share it draw different masks. Raises ValueError for any other object.
    """
    if rngs is None or isinstance(rngs, nnx.RngStream):
        return rngs
    if isinstance(rngs, nnx.Rngs):
        return rngs.dropout if "dropout" in rngs or "default" in rngs else None
    if isinstance(rngs, jax.Array):
        legacy = rngs.dtype == "uint32"
        shape = rngs.shape[:-1] if legacy else rngs.shape
        if shape == () and (legacy or jnp.issubdtype(rngs.dtype, jax.dtypes.prng_key)):
            return nnx.RngStream(rngs, tag="dropout")
        raise ValueError(f"rngs: expected one key, got {rngs.dtype} of shape {rngs.shape}")
    raise ValueError(f"rngs: expected an nnx.Rngs or a key, got {type(rngs).__name__}")


def key_maker(
    stream: nnx.RngStream | None, deterministic: bool | None, default: bool | None
) -> Callable[[], jax.Array] | None:
    """The function that makes the keys of masks, or None if nothing is drawn.

    `deterministic` of the call takes precedence over that of the layer; if both are None, a stream means training. The
    returned function raises ValueError if there is no stream.
    """
    flag = default if deterministic is None else deterministic
    if stream is None if flag is None else known("deterministic", flag):
        return None
    if stream is not None:
        return stream

    def missing() -> jax.Array:
        raise ValueError('rngs: expected a stream "dropout" or a key to draw masks from, got none')

    return missing
