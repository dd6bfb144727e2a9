"""The comparison of step sizes: halves of the validation part by hand, and nothing of the test part."""

import dataclasses

import numpy as np
import pytest
from sales_files import HORIZON, write

from experiments.forecast import __main__ as forecast
from experiments.forecast import adaptation
from experiments.forecast.config import Forecast
from experiments.forecast.data import prepare
from experiments.forecast.scores import INTERVALS
from rnnjax.forecasting import LEVELS

SHARES = 1e-12  # of counts divided by their number: 0 was measured


@pytest.fixture
def parts(tmp_path):
    source = str(write(tmp_path / "file.csv", known=0))
    config = Forecast(source=source, series=("shop",), context=5, horizon=HORIZON, season=7, validation=0.3)
    return prepare(config)


def quantiles_of(parts):
    rng = np.random.default_rng(0)
    return np.sort(rng.normal(size=(2, *parts.validation.targets.shape, len(LEVELS))), axis=-1)


def test_the_halves_by_hand(parts):
    """The offsets are those of the first half; here they stay, and then follow the rule of conformal.py."""
    quantiles, targets = quantiles_of(parts), parts.validation.targets
    scores = np.maximum(quantiles[..., :3] - targets[..., None], targets[..., None] - quantiles[..., :3:-1])
    # Of 36 dates of each of two series the first 18 calibrate; two of their windows reach into the second half.
    origins = parts.validation.origins - parts.scaled[0].ends[0]
    first, second = origins <= 15, origins >= 18
    assert (first.sum(), second.sum()) == (2 * 16, 2 * 16)
    units = np.abs(quantiles[-1][first][..., 3] - targets[first]).mean(axis=0)
    nominal = np.array([0.95, 0.8, 0.5])
    ranks = np.minimum(np.ceil(33 * nominal).astype(int), 32) - 1
    start = np.stack([np.sort(scores[-1][first], axis=0)[rank, :, k] for k, rank in enumerate(ranks)], axis=-1)
    for step, found in zip((0, 0.2), adaptation.second_half(parts, quantiles, (0, 0.2)), strict=True):
        inside = []
        for number in (0, 1):
            own = scores[-1][second & (parts.validation.series == number)]
            offset, history = start.copy(), []
            for origin in range(len(own)):
                for h in range(min(origin, HORIZON)):
                    outside = own[origin - 1 - h, h] > history[origin - 1 - h][h]
                    offset[h] += step * units[h] * (outside - (1 - nominal))
                history.append(offset.copy())
            inside.append(own <= np.array(history))
        np.testing.assert_allclose(found.coverage, np.concatenate(inside).mean(axis=(0, 1))[::-1], rtol=SHARES)
        assert found.gap == pytest.approx(np.abs(found.coverage - list(INTERVALS)).mean())


def test_the_test_part_is_not_read(parts):
    quantiles = quantiles_of(parts)
    other = parts._replace(test=parts.test._replace(targets=parts.test.targets + 9), last=None)
    for one, another in zip(*(adaptation.second_half(each, quantiles) for each in (parts, other)), strict=True):
        np.testing.assert_array_equal(one.coverage, another.coverage)
        np.testing.assert_array_equal(one.width, another.width)
    steps = adaptation.second_half(parts, quantiles)
    assert len({tuple(one.width) for one in steps}) == len(adaptation.STEPS)


def test_no_runs(capsys):
    with pytest.raises(SystemExit):
        forecast.main(["adaptation"])
    assert "runs: expected at least one run folder, got none" in capsys.readouterr().err


def test_a_half_without_windows(parts):
    with pytest.raises(ValueError, match="validation: expected windows in both halves of 'north', got none in one"):
        adaptation.second_half(
            parts._replace(windowing=dataclasses.replace(parts.windowing, horizon=19)), quantiles_of(parts)
        )
