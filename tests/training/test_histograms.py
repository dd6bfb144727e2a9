"""Histograms of gradients: every number is counted once, in the bin that NumPy's own histogram puts it in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rnnjax import LSTM
from rnnjax.training.histograms import BINS, EDGES, empty_histograms, gradient_histograms

# Sums are float32, of some thousand numbers; the largest error measured is 3e-7 of the sum of magnitudes.
SUMS = 2e-6
HARD = [
    *(0.0, -0.0, 1.0, -1.0, 1.25, -1.25, np.nextafter(np.float32(1.25), np.float32(0)), 1e-3, -1e-3, 7.0, -1e6),
    *(2.0**-40, -(2.0**-40), 2.0**-41, 1e-30, -1e-38, 2.0**-126, -(2.0**-126)),
    *(2.0**24, -(2.0**24), np.nextafter(np.float32(2**24), np.float32(0)), 1e30, 3.4028235e38, -3.4028235e38),
]


def spread(seed=0, size=4000):
    """Numbers of both signs over 60 orders of magnitude, a fifth of them zeros."""
    random = np.random.default_rng(seed)
    values = random.normal(size=size) * 10.0 ** random.uniform(-35, 25, size)
    return np.where(random.random(size) < 0.2, 0, values).astype(np.float32)


def expected_counts(values):
    """NumPy's counts of the magnitudes of each sign: a bin holds its edge that is nearer to zero."""
    values = np.asarray(values, np.float64).ravel()
    values = values[np.isfinite(values)]
    magnitudes = EDGES[BINS // 2 + 1 :]
    sides = [np.histogram(side[side > 0], magnitudes)[0] for side in (-values, values)]
    return np.concatenate([sides[0][::-1], [np.sum(np.abs(values) < 2.0**-126)], sides[1]])


def of(values):
    return jax.device_get(jax.jit(gradient_histograms)({"w": jnp.asarray(values)})["w"])


def test_edges_grow_and_are_alike_for_both_signs():
    assert EDGES.shape == (BINS + 1,)
    np.testing.assert_array_equal(EDGES, -EDGES[::-1])
    assert (np.diff(EDGES[1:-1]) > 0).all()
    assert EDGES[-1] == np.inf
    # Nowhere between 1e-12 and 1e7 does a bin hold numbers that differ by more than a quarter.
    fine = EDGES[(EDGES > 1e-12) & (EDGES < 1e7)]
    assert (fine[1:] / fine[:-1]).max() == 1.25


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_counts_are_numpys(dtype):
    values = jnp.asarray([*spread(), *HARD]).astype(dtype)
    if dtype == "float16":  # it knows less than 6e-8 to 65504
        values = jnp.asarray(np.random.default_rng(0).normal(size=3000) * 1e-3).astype(dtype)
    known = np.asarray(values.astype(jnp.float32))
    histogram = of(values)
    np.testing.assert_array_equal(histogram.counts, expected_counts(known))
    assert histogram.counts.sum() + histogram.not_finite == known.size
    assert histogram.counts.dtype == np.int32


def test_random_numbers_fall_where_numpy_puts_them_with_their_signs():
    values = spread(seed=3)  # none on an edge, so that it does not matter which side holds one
    values = values[(values == 0) | (np.abs(values) > 1e-37)]
    np.testing.assert_array_equal(of(values).counts, np.histogram(values.astype(np.float64), EDGES)[0])


def test_zero_has_a_bin_of_its_own_and_what_xla_flushes_shares_it():
    counts = of(np.array([0.0, -0.0, 1e-40, -1e-45, 2.0**-126, -1e-37], np.float32)).counts
    np.testing.assert_array_equal(counts[BINS // 2 - 1 : BINS // 2 + 2], [1, 4, 1])
    assert counts.sum() == 6


def test_what_is_not_finite_is_counted_and_is_in_nothing_else():
    values = np.array([1.5, np.nan, -2.0, np.inf, -np.inf, 0.25, -np.nan], np.float32)
    histogram, finite = of(values), of(values[np.isfinite(values)])
    assert (histogram.not_finite, finite.not_finite) == (4, 0)
    for name, value in finite._replace(not_finite=4)._asdict().items():
        np.testing.assert_array_equal(getattr(histogram, name), value, err_msg=name)
    assert (histogram.minimum, histogram.maximum, histogram.total, histogram.squares) == (-2, 1.5, -0.25, 6.3125)
    nothing = of(np.array([np.nan, np.inf], np.float32))
    assert (nothing.minimum, nothing.maximum, nothing.total, nothing.counts.sum()) == (np.inf, -np.inf, 0, 0)


def test_sums_and_extremes():
    values = np.random.default_rng(1).normal(size=(50, 90)).astype(np.float32)
    histogram, exact = of(values), values.astype(np.float64)
    assert (histogram.minimum, histogram.maximum) == (values.min(), values.max())
    np.testing.assert_allclose(histogram.total, exact.sum(), atol=SUMS * np.abs(exact).sum())
    np.testing.assert_allclose(histogram.squares, (exact**2).sum(), rtol=SUMS)


def test_every_leaf_is_named_by_its_path():
    cell = LSTM().init_params(jax.random.key(0), 3, 2)
    tree = {"embedding": {"embedding": np.ones((5, 3))}, "recurrent": {"forward": {"cell": cell}}}
    counts = {name: histogram.counts.sum() for name, histogram in jax.jit(gradient_histograms)(tree).items()}
    forward = "recurrent/forward/cell"
    assert counts == {
        "embedding/embedding": 15,
        f"{forward}/input/kernel": 24,
        f"{forward}/input/bias": 8,
        f"{forward}/recurrent/kernel": 16,
    }


def test_none_or_all_by_a_condition_in_one_compiled_step_on_several_devices():
    mesh = Mesh(np.array(jax.devices()), "batch")
    gradient = {"a": jnp.asarray(spread(1, 120).reshape(4, 30)), "b": {"c": jnp.ones(3, jnp.bfloat16)}}
    gradient = jax.device_put(gradient, NamedSharding(mesh, PartitionSpec()))
    empty = empty_histograms(jax.eval_shape(lambda: gradient))
    traces = []

    @jax.jit
    def step(gradient, number):
        traces.append(number)
        return jax.lax.cond(number % 2 == 0, gradient_histograms, empty_histograms, gradient)

    for number, expected in ((0, jax.jit(gradient_histograms)(gradient)), (1, empty)):
        got = step(gradient, number)
        assert jax.tree.map(lambda a: (a.shape, a.dtype), got) == jax.tree.map(lambda a: (a.shape, a.dtype), expected)
        jax.tree.map(np.testing.assert_array_equal, got, expected)
    assert len(traces) == 1
    assert not empty["b/c"].counts.any()
