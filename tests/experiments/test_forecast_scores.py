"""Scores of forecasts and the verdict on them, by hand."""

import numpy as np
from scipy.stats import norm

from experiments.forecast import scores
from rnnjax.forecasting import LEVELS

# Of the CRPS of a normal distribution from seven quantiles: 1.4e-2 was measured.
SEVEN_LEVELS = 3e-2


def test_scores_by_hand():
    truth = np.array([[1.0, 2.0], [3.0, 5.0]])
    forecasts = np.array([[2.0, 2.0], [1.0, 8.0]])
    quantiles = forecasts[..., None] + np.array([-3, -2, -1, 0, 1, 2, 3])
    # Errors 1, 0, 2, 3, of which the first two divide by 2, the others by 4.
    found = scores.score(forecasts, truth, np.array([2.0, 4.0]), quantiles)
    np.testing.assert_allclose(found[:3], [1.5, np.sqrt(14 / 4), (0.5 + 0 + 0.5 + 0.75) / 4])
    np.testing.assert_allclose(found.smape, (2 * 1 / 3 + 0 + 2 * 2 / 4 + 2 * 3 / 13) / 4)
    assert found.coverage == (0.5, 0.75, 1.0)
    # Intervals 2, 4 and 6 wide, of which one half divides by 2, the other by 4.
    assert found.width == (0.75, 1.5, 2.25)
    assert list(scores.INTERVALS) == [0.5, 0.8, 0.95]


def test_a_forecast_of_nothing_has_no_relative_error():
    assert scores.score(np.zeros((1, 2)), np.zeros((1, 2)), np.ones(1)).smape == 0
    assert scores.score(np.zeros((1, 2)), np.array([[0.0, -3.0]]), np.ones(1)).smape == 1


def test_the_crps_of_quantiles():
    rng = np.random.default_rng(0)
    truth, centre, naive = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)), rng.uniform(1, 2, 30)
    quantiles = np.sort(rng.normal(size=(30, 2, 7)), axis=-1)
    ends = [0, 0.0625, 0.175, 0.375, 0.625, 0.825, 0.9375, 1]  # half way between the levels
    total = mean = 0.0
    for n, h in np.ndindex(30, 2):
        for i, level in enumerate(LEVELS):
            over = truth[n, h] - quantiles[n, h, i]
            loss = (level * over if over > 0 else (level - 1) * over) / naive[n]
            total += 2 * loss * (ends[i + 1] - ends[i])
            mean += loss / 7
    found = scores.score(centre, truth, naive, quantiles)
    np.testing.assert_allclose([found.crps, found.pinball], [total / 60, mean / 60])
    # Of a forecast without intervals it is the absolute error.
    point = scores.score(centre, truth, naive)
    np.testing.assert_allclose([point.crps, point.pinball], [point.mase, point.mase / 2])
    # Of a normal distribution, with its density and distribution function, as in Gneiting and Raftery 2007.
    scale = 1.5
    z = (truth - centre) / scale
    exact = scale * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)) / naive[:, None]
    normal = centre[..., None] + scale * norm.ppf(LEVELS)
    np.testing.assert_allclose(scores.score(centre, truth, naive, normal).crps, exact.mean(), rtol=SEVEN_LEVELS)


def test_who_wins_is_said_plainly():
    rng = np.random.default_rng(0)
    dates = np.repeat(np.arange(60), 2)
    best, worse = rng.uniform(0.9, 1.1, 120), np.full(120, 5.0)
    words = {}
    for name, network in (("wins", best - 0.2), ("ties", rng.permutation(best)), ("loses", best + 0.2)):
        comparison = scores.compare(network, {"one": worse, "other": best}, dates, 6)
        words[name] = comparison.words("net").split("\n")[0]
        assert (comparison.baseline, comparison.origins, comparison.block) == ("other", 60, 6)
        assert comparison.low - 1e-9 <= comparison.gain <= comparison.high + 1e-9
    assert words == {
        "wins": "YES: net beats every baseline; the best of them is the other",
        "ties": "NO: net does not beat the best baseline, the other: the difference is not significant",
        "loses": "NO: net does not beat the best baseline, the other: it is worse",
    }
    assert scores.block_length(4, 6) == 1
    np.testing.assert_array_equal(scores.by_date(np.array([1.0, 2.0, 4.0]), np.array([7, 3, 7])), [2, 2.5])


def test_blocks_keep_what_neighbours_have_in_common():
    slow = np.repeat(np.random.default_rng(0).normal(size=30), 20)
    narrow, wide = (np.ptp(scores.block_bootstrap(slow, block)) for block in (1, 20))
    # Thirty independent numbers: an interval of 2 * 1.96 standard errors.
    np.testing.assert_allclose(wide, 2 * 1.96 * slow.std() / np.sqrt(30), rtol=0.2)
    assert narrow < wide / 3
