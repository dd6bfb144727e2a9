"""Histograms of gradients, cheap enough to be taken inside the compiled train step.

Bins are the same for every array and every step: four an octave of magnitude, alike for both signs. So shapes are
static, and a float's own bits name its bin. What XLA flushes to zero counts as zero.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.dtypes import at_least_float32

# Powers of two: everything smaller than the first is zero; everything from the first to the second is one bin;
# everything from the third on is another.
ZERO, LOW, HIGH = -126, -40, 24
# Bits of the mantissa that tell bins of one octave apart.
PART = 2


def _edges() -> np.ndarray:
    parts = 1 << PART
    octaves = np.ldexp(1.0, np.arange(LOW, HIGH))[:, None] * (1 + np.arange(parts) / parts)
    magnitudes = np.concatenate([[np.ldexp(1.0, ZERO)], octaves.ravel(), [np.ldexp(1.0, HIGH), np.inf]])
    return np.concatenate([-magnitudes[::-1], magnitudes])


# (K + 1,) edges of the K bins. A bin holds its edge that is nearer to zero, not the other one.
EDGES = _edges()
BINS = len(EDGES) - 1
_CENTRE = BINS // 2


class Histogram(NamedTuple):
    """What a histogram of an array is made of. Numbers that are not finite are in `not_finite` and nowhere else.

    Where no number is finite, `minimum` is infinite and `maximum` minus infinite.
    """

    counts: jax.Array  # (K,) int32, between EDGES
    minimum: jax.Array
    maximum: jax.Array
    total: jax.Array
    squares: jax.Array  # the sum of squares
    not_finite: jax.Array  # int32


def gradient_histograms(tree: Any) -> dict[str, Histogram]:
    """A histogram of every array of floats in a tree, named by its path: `recurrent/forward/cell/kernel`."""
    return {name: _histogram(leaf) for name, leaf in _named(tree)}


def empty_histograms(tree: Any) -> dict[str, Histogram]:
    """Histograms of nothing, in the structure, shapes and dtypes of `gradient_histograms(tree)`.

    The leaves may be shapes (`jax.ShapeDtypeStruct`).
    """
    return {name: _histogram(jnp.zeros(0, leaf.dtype)) for name, leaf in _named(tree)}


def _named(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]


def _histogram(values: jax.Array) -> Histogram:
    values = values.astype(at_least_float32(values.dtype))  # a half type has too few exponents
    info = jnp.finfo(values.dtype)
    bias = int(info.maxexp) - 1
    # Exponent and first bits of the mantissa, as one integer that grows with the magnitude.
    bits = jax.lax.bitcast_convert_type(jnp.abs(values), jnp.dtype(f"uint{info.bits}"))
    level = (bits >> (info.nmant - PART)).astype(jnp.int32)
    rank = jnp.clip(level - ((bias + LOW) << PART), -1, (HIGH - LOW) << PART) + 2
    rank = jnp.where(level < (bias + ZERO) << PART, 0, rank)
    finite = level < (2 * bias + 1) << PART
    # One bin more, for what is not finite.
    bins = jnp.where(finite, _CENTRE + jnp.where(values < 0, -rank, rank), BINS)
    counts = jnp.zeros(BINS + 1, jnp.int32).at[bins.ravel()].add(1)
    known = jnp.where(finite, values, 0)
    return Histogram(
        counts=counts[:BINS],
        minimum=jnp.min(values, initial=jnp.inf, where=finite),
        maximum=jnp.max(values, initial=-jnp.inf, where=finite),
        total=jnp.sum(known),
        squares=jnp.sum(known * known),
        not_finite=counts[BINS],
    )
