"""Histograms of gradients, cheap enough to be computed inside the compiled train step.

The bins are the same for every array and every step: four for each power of two, for both signs. Shapes are therefore
static, and the bin of a float follows from its bits. Numbers that XLA flushes to zero count as zero.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.dtypes import at_least_float32

# Exponents of two: magnitudes below the first count as zero, those between the first and the second share one bin, and
# those from the third on share another.
ZERO, LOW, HIGH = -126, -40, 24
# Leading bits of the mantissa that select one of the four bins of a power of two.
PART = 2


def _edges() -> np.ndarray:
    parts = 1 << PART
    octaves = np.ldexp(1.0, np.arange(LOW, HIGH))[:, None] * (1 + np.arange(parts) / parts)
    magnitudes = np.concatenate([[np.ldexp(1.0, ZERO)], octaves.ravel(), [np.ldexp(1.0, HIGH), np.inf]])
    return np.concatenate([-magnitudes[::-1], magnitudes])


# (K + 1,) edges of the K bins. A bin includes the edge nearer to zero, and excludes the other one.
EDGES = _edges()
BINS = len(EDGES) - 1
_CENTRE = BINS // 2


class Histogram(NamedTuple):
    """The histogram of an array. Numbers that are not finite are counted in `not_finite` only.

    Without finite numbers, `minimum` is infinity and `maximum` is minus infinity.
    """

    counts: jax.Array  # (K,) int32, between EDGES
    minimum: jax.Array
    maximum: jax.Array
    total: jax.Array
    squares: jax.Array  # the sum of squares
    not_finite: jax.Array  # int32


def gradient_histograms(tree: Any) -> dict[str, Histogram]:
    """A histogram of every array of floats in a tree, by path, such as `recurrent/forward/cell/kernel`."""
    return {name: _histogram(leaf) for name, leaf in _named(tree)}


def empty_histograms(tree: Any) -> dict[str, Histogram]:
    """Empty histograms with the structure, shapes and dtypes of `gradient_histograms(tree)`.

    The leaves may be shapes (`jax.ShapeDtypeStruct`).
    """
    return {name: _histogram(jnp.zeros(0, leaf.dtype)) for name, leaf in _named(tree)}


def _named(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]


def _histogram(values: jax.Array) -> Histogram:
    values = values.astype(at_least_float32(values.dtype))  # float16 has too few exponents
    info = jnp.finfo(values.dtype)
    bias = int(info.maxexp) - 1
    # Exponent and leading bits of the mantissa as one integer, which grows with the magnitude.
    bits = jax.lax.bitcast_convert_type(jnp.abs(values), jnp.dtype(f"uint{info.bits}"))
    level = (bits >> (info.nmant - PART)).astype(jnp.int32)
    rank = jnp.clip(level - ((bias + LOW) << PART), -1, (HIGH - LOW) << PART) + 2
    rank = jnp.where(level < (bias + ZERO) << PART, 0, rank)
    finite = level < (2 * bias + 1) << PART
    # One more bin, for numbers that are not finite.
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
