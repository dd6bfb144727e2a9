"""Windows hold what they say, scaled by the training part, and nothing of the future."""

import dataclasses

import numpy as np
import pytest

from rnnjax.data.frequency import Frequency
from rnnjax.data.series import Series, SeriesTable
from rnnjax.data.windows import Cuts, Scaled, Windowing, cut_dates, joined, naive_error, seasonal_naive, undone

HOURS = Frequency("second", 3600)
PLAIN = Windowing(context=4, horizon=3, season=5, cycles=("day", "week"))
LENGTH, TRAIN, VALIDATION = 60, 36, 48


def series_of(values, name="one", extra=None):
    values = np.asarray(values, float)
    dates = HOURS.after(np.datetime64("2001-01-01"), np.arange(len(values)))
    return Series(name, dates, values, np.empty((len(values), 0)) if extra is None else extra)


def random_series(seed=0):
    rng = np.random.default_rng(seed)
    series = series_of(np.exp(rng.normal(3, 1, LENGTH)), extra=rng.normal(2, 3, (LENGTH, 2)))
    return series._replace(known=rng.normal(-1, 2, (LENGTH + 2, 2)))


CUTS = Cuts(*series_of(np.zeros(LENGTH)).dates[[TRAIN, VALIDATION]])
RELATIVES = ("none", "last", "season", "window")


def scaled(series, **options):
    return Scaled(series, dataclasses.replace(PLAIN, **options), CUTS, HOURS)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("relative", RELATIVES)
def test_the_future_does_not_change_what_was_known(relative, log):
    series = random_series()
    one = scaled(series, relative=relative, log=log)
    # From an origin of the test part on, all is another.
    origin = VALIDATION + 4
    changed = series._replace(values=series.values.copy(), extra=series.extra.copy())
    changed.values[origin:] = 1e6
    changed.extra[origin:] = -1e6
    other = scaled(changed, relative=relative, log=log)
    origins = np.arange(one.windowing.first, origin + 1)
    before, after = one.windows(origins), other.windows(origins)
    for name in ("past", "known", "extra", "covariates", "base", "scale"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert np.abs(before.targets - after.targets).max() > 5
    beyond = np.array([origin + 1])
    assert np.abs(one.windows(beyond).past - other.windows(beyond).past).max() > 0.1
    # What is known for the future is read up to the last step that is forecast.
    later = scaled(series._replace(known=np.where(np.arange(LENGTH + 2)[:, None] < origin, series.known, 7)))
    differs = (later.windows(origins).covariates != before.covariates).all(axis=-1)
    np.testing.assert_array_equal(differs, origins[:, None] + np.arange(-3, 3) >= origin)


def test_known_columns_end_where_they_end():
    series = random_series()
    found = scaled(series).windows(np.array([LENGTH - 1, LENGTH])).covariates
    np.testing.assert_allclose(found[0], by_spread(series.known)[LENGTH - 4 : LENGTH + 2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1][:-1], by_spread(series.known)[LENGTH - 3 :], rtol=1e-5, atol=1e-6)
    assert np.isnan(found[1][-1]).all()


def by_spread(numbers):
    return (numbers - numbers[:TRAIN].mean(axis=0)) / numbers[:TRAIN].std(axis=0)


@pytest.mark.parametrize("relative", RELATIVES)
def test_scaling_is_learnt_from_the_training_part_alone(relative):
    series = random_series()
    changed = series._replace(values=series.values.copy(), extra=series.extra.copy())
    changed.values[TRAIN:] *= 50
    changed.extra[TRAIN:] += 50
    changed = changed._replace(known=series.known + 50 * (np.arange(LENGTH + 2) >= TRAIN)[:, None])
    one, other = scaled(series, relative=relative), scaled(changed, relative=relative)
    for number, another in zip(one.scaling, other.scaling, strict=True):
        np.testing.assert_array_equal(number, another)
    for before, after in zip(one.windows(one.origins(0)), other.windows(other.origins(0)), strict=True):
        np.testing.assert_array_equal(before, after)
    train = series.values[:TRAIN]
    np.testing.assert_allclose(one.scaling[:2], [train.mean(), train.std()])
    np.testing.assert_allclose(one.scaling.naive, np.mean([abs(train[t] - train[t - 5]) for t in range(5, TRAIN)]))
    np.testing.assert_allclose(one.extra[:TRAIN].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(one.extra[:TRAIN].std(axis=0), 1)


def test_parts_come_after_each_other():
    one = scaled(random_series(), relative="season")
    training, validation, test = (one.origins(part) for part in range(3))
    np.testing.assert_array_equal(training, np.arange(9, TRAIN - 2))
    np.testing.assert_array_equal(validation, np.arange(TRAIN, VALIDATION - 2))
    np.testing.assert_array_equal(test, np.arange(VALIDATION, LENGTH - 2))


def by_hand(values, origin, relative):
    """Base of the past and of the future, and scale, of a window."""
    past, train = values[origin - 4 : origin], values[:TRAIN]
    if relative == "none":
        return np.full(4, train.mean()), np.full(3, train.mean()), train.std()
    if relative == "window":
        return np.full(4, past.mean()), np.full(3, past.mean()), past.std()
    first = 9 if relative == "season" else 4
    lag = 5 if relative == "season" else None
    errors = [
        values[o + h] - (values[o + h - 5] if lag else values[o - 1]) for o in range(first, TRAIN - 2) for h in range(3)
    ]
    scale = np.sqrt(np.mean(np.square(errors)))
    if lag:
        return values[origin - 9 : origin - 5], values[origin - 5 : origin - 2], scale
    return np.full(4, values[origin - 1]), np.full(3, values[origin - 1]), scale


@pytest.mark.parametrize("relative", RELATIVES)
def test_windows_by_hand(relative):
    series, origin = random_series(), 20
    one = scaled(series, relative=relative)
    windows = one.windows(np.array([origin, origin + 1]), 7)
    past_base, base, scale = by_hand(series.values, origin, relative)
    np.testing.assert_allclose(windows.past[0], (series.values[16:20] - past_base) / scale, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(windows.targets[0], (series.values[20:23] - base) / scale, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(windows.extra[0], one.extra[16:20], rtol=1e-6)
    np.testing.assert_allclose(windows.known[0, :, :4], HOURS.calendar(series.dates[17:23], ("day", "week")), atol=1e-6)
    if relative == "season":
        seasons = (series.values[12:18] - one.scaling.mean) / one.scaling.spread
        np.testing.assert_allclose(windows.known[0, :, 4], seasons, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(undone(windows.targets, windows, False)[0], series.values[20:23], rtol=1e-5)
    assert windows.series.tolist() == [7, 7]


def test_logarithms_are_undone():
    series = random_series()
    one = scaled(series, relative="last", log=True)
    windows = one.windows(np.array([20]))
    np.testing.assert_allclose(windows.base[0], np.log(series.values[19]))
    np.testing.assert_allclose(undone(windows.targets, windows, True)[0], series.values[20:23], rtol=1e-5)
    three = np.repeat(windows.targets[..., None], 2, axis=-1)
    np.testing.assert_allclose(undone(three, windows, True)[0, :, 1], series.values[20:23], rtol=1e-5)


def test_beyond_the_last_date_the_calendar_is_known_and_nothing_else():
    one = scaled(random_series(), relative="season")
    windows = one.windows(np.array([LENGTH]))
    assert np.isnan(windows.targets).all()
    assert np.isfinite(windows.known).all()
    np.testing.assert_array_equal(one.dates[LENGTH:], one.series.dates[-1] + np.arange(1, 4) * np.timedelta64(1, "h"))


def test_the_season_is_told_again_where_the_horizon_is_longer():
    values = np.arange(20.0)
    np.testing.assert_array_equal(
        seasonal_naive(values, np.array([10, 12]), 5, 3), [[7, 8, 9, 7, 8], [9, 10, 11, 9, 10]]
    )


def test_the_naive_error_by_hand():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    assert (naive_error(values, 2), naive_error(values, 1)) == ((3 + 6) / 2, (1 + 2 + 4) / 3)


def test_a_series_with_the_scaling_of_another_one():
    one, other = random_series(), random_series(1)
    fitted = scaled(one, relative="season")
    short = other._replace(dates=other.dates[:9], values=other.values[:9], extra=other.extra[:9])
    used = Scaled(short, fitted.windowing, CUTS, HOURS, fitted.scaling)
    assert used.scaling is fitted.scaling
    assert (used.scaling.mean, used.scaling.scale) != pytest.approx((short.values.mean(), short.values.std()))
    windows = used.windows(np.array([9]))  # the context of 4 after a season of 5, and no training part
    scale, base = fitted.scaling.scale, short.values[0:4]
    np.testing.assert_allclose(windows.past[0], (short.values[5:9] - base) / scale, rtol=1e-5, atol=1e-6)
    extra = (short.extra[5:9] - fitted.scaling.extra[0]) / fitted.scaling.extra[1]
    np.testing.assert_allclose(windows.extra[0], extra, rtol=1e-5, atol=1e-6)
    shorter = short._replace(dates=short.dates[:8], values=short.values[:8], extra=short.extra[:8])
    with pytest.raises(ValueError, match=r"a context of 4, after a season of 5, to fit in the series, got 8 dates of"):
        Scaled(shorter, fitted.windowing, CUTS, HOURS, fitted.scaling)


def test_parts_are_cut_at_the_same_dates_for_every_series():
    long, short = random_series(), random_series(1)
    short = short._replace(name="short", dates=short.dates[20:], values=short.values[20:], extra=short.extra[20:])
    cuts = cut_dates(SeriesTable((long, short), HOURS), 0.2, 0.2)
    assert cuts == CUTS
    assert cuts.places(short) == (16, 28, 40)
    two = [Scaled(series, PLAIN, cuts, HOURS) for series in (long, short)]
    windows = joined([one.windows(one.origins(0), number) for number, one in enumerate(two)])
    assert len(windows.origins) == 30 + 10
    assert windows.take(windows.series == 1).origins.tolist() == list(range(4, 14))


def test_series_that_cannot_be_read():
    series = random_series()
    with pytest.raises(ValueError, match=r"a context of 4 and a horizon of 33 to fit .* got 36 dates of 'one' before"):
        scaled(series, horizon=33)
    with pytest.raises(ValueError, match=r"a context of 4, after a season of 40, and a horizon of 3 to fit"):
        scaled(series, relative="season", season=40)
    flat = series._replace(values=np.where(np.arange(LENGTH) < TRAIN, 3.0, series.values))
    with pytest.raises(ValueError, match="expected the training part of 'one' to vary, got 3 throughout"):
        scaled(flat)
    with pytest.raises(ValueError, match="training part of extra column 1 of 'one' to vary"):
        scaled(series._replace(extra=np.ones((LENGTH, 1))))
    with pytest.raises(ValueError, match="that is equal to it everywhere"):
        scaled(series_of(np.arange(LENGTH) % 5), relative="season")
    negative = series._replace(values=np.where(np.arange(LENGTH) == 30, -1.0, series.values))
    with pytest.raises(ValueError, match=r"log: expected numbers above 0 in 'one', got -1 at 2001-01-02T06:00:00"):
        scaled(negative, log=True)
