"""Memory in numbers, counted by hand."""

import numpy as np
import pytest

from rnnjax.analysis import gradient_memory


def test_a_pure_decay_is_predicted_measured_and_counted():
    norms = 3 + np.arange(499, -1, -1) * np.log10(0.9)
    got = gradient_memory(norms, 0.9, 200)
    assert got.back == 200
    np.testing.assert_allclose([10**got.predicted, 10**got.measured], 0.9**200, rtol=1e-10)
    assert f"{10**got.predicted:.1e}" == "7.1e-10"
    np.testing.assert_allclose(got.decay, 0.9, rtol=1e-12)
    # 0.9**43 = 0.0108 and 0.9**44 = 0.0097
    assert got.horizon == 44


def test_prediction_and_measurement_may_differ():
    # Steps back:                    3     2      1     0
    got = gradient_memory(np.log10([8e-5, 4.4e-2, 8e-2, 4.0]), 0.5, 2)
    assert got.horizon == 3
    np.testing.assert_allclose(10**got.predicted, 0.25)
    np.testing.assert_allclose(10**got.measured, 0.011)
    slope = np.sum(np.array([-1.5, -0.5, 0.5, 1.5]) * np.log10([4.0, 8e-2, 4.4e-2, 8e-5])) / 5
    np.testing.assert_allclose(got.decay, 10**slope)


def test_the_threshold_is_where_it_is_said_to_be():
    norms = np.log10([0.3, 0.2, 0.4, 1.0])
    assert gradient_memory(norms, 1.0, 1).horizon is None
    assert gradient_memory(norms, 1.0, 1, threshold=0.25).horizon == 2
    assert gradient_memory(norms, 1.0, 1, threshold=0.5).horizon == 1


def test_zero_gradients_are_left_out_of_the_fit():
    got = gradient_memory(np.array([-np.inf, -2.0, -1.0, 0.0]), 1.0, 3)
    np.testing.assert_allclose(got.decay, 0.1)
    assert got.measured == -np.inf
    assert got.horizon == 3  # 0.01 is not under 1%
    assert gradient_memory(np.array([-np.inf, 0.0]), 1.0, 1).decay == 0


BAD = {
    "shape": (([[0.0, 0.0]], 1.0, 1), r"log10_norms: expected shape \(T,\), got \(1, 2\)"),
    "back": (([0.0, 0.0], 1.0, 2), "back: expected 1 to 1, the earlier steps, got 2"),
    "zero_back": (([0.0, 0.0], 1.0, 0), "back: expected 1 to 1, the earlier steps, got 0"),
    "scale": (([0.0, 0.0], 0.0, 1), "scale: expected a number above 0, got 0.0"),
    "threshold": (([0.0, 0.0], 1.0, 1, 1.0), "threshold: expected a share between 0 and 1, got 1.0"),
    "zero_last": (([0.0, -np.inf], 1.0, 1), "expected no NaN and a finite last one"),
    "nan": (([np.nan, 0.0], 1.0, 1), "expected no NaN and a finite last one"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        gradient_memory(np.array(arguments[0]), *arguments[1:])
