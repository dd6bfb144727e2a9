"""Dropout: what is dropped, how the rest is scaled, and that a split batch drops the same."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.dropout import Dropout

pytestmark = pytest.mark.usefixtures("quick_compile")

ONES = np.ones((64, 20, 30), np.float32)
# Standard deviations of a mean of independent draws that are taken for chance.
CHANCE = 5


def drop(module, inputs, rows=None, seed=0, **options):
    return np.asarray(module.apply({}, inputs, rows, **options, rngs={"dropout": jax.random.key(seed)}))


def dropped(inputs: Any = ONES, rows=None, *, rate=0.3, shared_axes=(), seed=0):
    return drop(Dropout(rate, shared_axes), inputs, rows, seed, deterministic=False)


def test_nothing_is_dropped_at_rate_zero_or_when_deterministic():
    inputs = np.random.default_rng(0).normal(size=ONES.shape).astype(np.float32)
    np.testing.assert_array_equal(dropped(inputs, rate=0.0), inputs)
    np.testing.assert_array_equal(drop(Dropout(0.9), inputs, deterministic=True), inputs)
    np.testing.assert_array_equal(Dropout(0.9).apply({}, inputs), inputs)
    assert (dropped(inputs, rate=0.9) == 0).any()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_rate_is_dropped_and_the_rest_scaled_so_that_the_mean_stays(rate):
    inputs = np.random.default_rng(0).uniform(1, 2, ONES.shape).astype(np.float32)
    outputs = dropped(inputs, rate=rate)
    kept = outputs != 0
    np.testing.assert_allclose(outputs[kept], inputs[kept] / (1 - rate), rtol=1e-6)
    deviation = np.sqrt(rate * (1 - rate) / ONES.size)
    assert abs((1 - kept.mean()) - rate) < CHANCE * deviation
    assert abs(outputs.mean() / inputs.mean() - 1) < 2 * CHANCE * deviation / (1 - rate)


def test_units_are_drawn_one_by_one_along_every_axis():
    kept = dropped() != 0
    for axis in range(kept.ndim):
        first, second = kept.take(0, axis), kept.take(1, axis)
        assert 0.3 < (first == second).mean() < 0.9


@pytest.mark.parametrize("axis", [1, -2])
def test_shared_axes_share_one_mask_over_time(axis):
    kept = dropped(rate=0.5, shared_axes=(axis,)) != 0
    np.testing.assert_array_equal(kept, np.broadcast_to(kept[:, :1], kept.shape))
    assert 0.3 < kept[:, 0].mean() < 0.7
    assert 0.3 < (kept[0, 0] == kept[1, 0]).mean() < 0.7


def test_another_key_drops_other_units_and_the_same_key_the_same():
    np.testing.assert_array_equal(dropped(seed=1), dropped(seed=1))
    assert (dropped(seed=1) != dropped(seed=2)).mean() > 0.2


@pytest.mark.parametrize("shared_axes", [(), (1,)], ids=["each", "shared"])
def test_a_batch_split_in_halves_drops_what_the_whole_batch_drops(shared_axes):
    rows = jnp.arange(len(ONES))
    whole = dropped(shared_axes=shared_axes)
    np.testing.assert_array_equal(dropped(rows=rows, shared_axes=shared_axes), whole)
    parts = slice(0, 32), slice(32, 64)
    halves = [dropped(ONES[part], rows[part], shared_axes=shared_axes) for part in parts]
    np.testing.assert_array_equal(np.concatenate(halves), whole)
    # Without their numbers, the second half's rows would be taken for the first's.
    assert (dropped(ONES[32:], shared_axes=shared_axes) != whole[32:]).any()


def test_the_dtype_is_the_inputs():
    assert dropped(jnp.asarray(ONES, jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_a_rate_outside_its_range_is_an_error(rate):
    with pytest.raises(ValueError, match=rf"dropout rate: expected 0 <= rate < 1, got {rate}"):
        Dropout(rate)
