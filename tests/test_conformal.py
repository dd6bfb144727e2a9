"""Conformal intervals: by hand as in the papers, the coverage that they promise, and nothing of the future."""

import numpy as np
import pytest

from rnnjax.conformal import Calibration, adapted_offsets, calibrated, interval_scores, split_conformal

LEVELS = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])
COVERAGE = (0.95, 0.8, 0.5)


def case(seed, count, models=2, steps=3):
    rng = np.random.default_rng(seed)
    return np.sort(rng.normal(size=(models, count, steps, 7)), axis=-1), rng.normal(size=(count, steps))


def by_hand(quantiles, targets, k):
    return max(quantiles[k] - targets, targets - quantiles[6 - k])


def test_scores_and_offsets_by_hand():
    quantiles, targets = case(0, 23)
    found = split_conformal(quantiles, targets, LEVELS)
    for model, step, k in np.ndindex(2, 3, 3):
        scores = [by_hand(quantiles[model, n, step], targets[n, step], k) for n in range(23)]
        np.testing.assert_array_equal(interval_scores(quantiles, targets)[model, :, step, k], scores)
        # Of 23 scores: the 23rd for 95% (24 * 0.95 = 22.8), the 20th for 80% (19.2), the 12th for 50%.
        assert found.offsets[model, step, k] == sorted(scores)[{0: 23, 1: 20, 2: 12}[k] - 1]
        error = np.mean([abs(quantiles[model, n, step, 3] - targets[n, step]) for n in range(23)])
        np.testing.assert_allclose(found.units[model, step], error)


@pytest.mark.parametrize(("count", "ranks"), [(1, (1, 1, 1)), (9, (9, 8, 5)), (19, (19, 16, 10)), (39, (38, 32, 20))])
def test_the_rank_of_a_score(count, ranks):
    quantiles, targets = np.zeros((1, count, 1, 7)), np.arange(1.0, count + 1)[:, None]
    np.testing.assert_array_equal(split_conformal(quantiles, targets, LEVELS).offsets[0, 0], ranks)


def test_offsets_are_adapted_by_hand_with_the_delay_of_each_step():
    quantiles, targets = case(1, 12)
    start = Calibration(np.random.default_rng(2).normal(size=(2, 3, 3)), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    found = adapted_offsets(start, quantiles, targets, LEVELS, 0.1)
    for model, step, k in np.ndindex(2, 3, 3):
        used = []
        offset = start.offsets[model, step, k]
        for origin in range(12):
            earlier = origin - step - 1  # its target of this step is the last one that is known
            if earlier >= 0:
                outside = by_hand(quantiles[model, earlier, step], targets[earlier, step], k) > used[earlier]
                offset += 0.1 * start.units[model, step] * (outside - (1 - COVERAGE[k]))
            used.append(offset)
        np.testing.assert_allclose(found[model, :, step, k], used)
    np.testing.assert_array_equal(
        adapted_offsets(start, quantiles, targets, LEVELS, 0), np.broadcast_to(start.offsets[:, None], found.shape)
    )


def test_an_offset_uses_no_target_that_is_not_yet_known():
    quantiles, targets = case(3, 30)
    start = split_conformal(*case(4, 40), LEVELS)
    before = adapted_offsets(start, quantiles, targets, LEVELS, 0.1)
    for origin in (0, 7, 29):
        changed = targets.copy()
        # Step h (from 0) of an origin is a number of the date origin + h.
        changed[np.arange(30)[:, None] + np.arange(3) >= origin] = np.nan
        after = adapted_offsets(start, quantiles, changed, LEVELS, 0.1)
        np.testing.assert_array_equal(before[:, : origin + 1], after[:, : origin + 1])
    changed = targets.copy()
    changed[10, 1] = 1e6  # outside at origin 10, known at origin 12
    after = adapted_offsets(start, quantiles, changed, LEVELS, 0.1)
    assert (after != before).any(axis=(0, 3)).argmax(axis=0).tolist() == [0, 12, 0]
    assert (after >= before)[:, 12, 1].all()


def test_intervals_contain_each_other_and_the_median_stays():
    quantiles, _ = case(5, 20)
    offsets = np.random.default_rng(6).normal(size=(2, 20, 3, 3))
    found = calibrated(quantiles, offsets)
    np.testing.assert_array_equal(found[..., 3], quantiles[..., 3])
    assert (np.diff(found, axis=-1) >= 0).all()
    wide = calibrated(quantiles, np.full((2, 20, 3, 3), [3.0, 2.0, 1.0]))
    np.testing.assert_allclose(wide, quantiles + np.arange(-3, 4))


def coverage_of(quantiles, targets):
    return [(interval_scores(quantiles, targets)[..., k] <= 0).mean() for k in range(3)]


# Of 20,000 targets with 10,000 for the calibration, and of 4,000 with adapted offsets: 0.018 was measured.
NEAR = 0.03


def test_split_intervals_cover_what_they_promise_whatever_the_quantiles():
    rng = np.random.default_rng(0)
    quantiles = np.tile([-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.9], (1, 30_000, 2, 1))  # of nothing in particular
    targets = rng.gamma(2, size=(30_000, 2)) * [1, 5]
    calibration = split_conformal(quantiles[:, :10_000], targets[:10_000], LEVELS)
    found = calibrated(quantiles[:, 10_000:], calibration.offsets[:, None])
    for step in range(2):
        np.testing.assert_allclose(coverage_of(found[:, :, [step]], targets[10_000:, [step]]), COVERAGE, atol=NEAR)


def test_adapted_intervals_cover_what_they_promise_in_a_drift_and_split_ones_do_not():
    rng = np.random.default_rng(0)
    scales = np.linspace(1, 4, 6_000)[:, None]
    targets = scales * rng.normal(size=(6_000, 2))
    quantiles = np.tile([-1.96, -1.28, -0.67, 0, 0.67, 1.28, 1.96], (1, 6_000, 2, 1))
    calibration = split_conformal(quantiles[:, :2_000], targets[:2_000], LEVELS)
    covered = {
        rate: coverage_of(
            calibrated(
                quantiles[:, 2_000:],
                adapted_offsets(calibration, quantiles[:, 2_000:], targets[2_000:], LEVELS, rate),
            ),
            targets[2_000:],
        )
        for rate in (0, 0.05)
    }
    np.testing.assert_allclose(covered[0.05], COVERAGE, atol=NEAR)
    assert covered[0][1] < 0.65
