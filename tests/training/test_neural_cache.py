"""The neural cache: against a double loop in NumPy float64, and that it never sees what it is to predict."""

import jax
import numpy as np
import pytest
from reference import assert_close
from text_oracle import HIDDEN, PARAMS, RESETS, TOKENS, TOLERANCE, WORDS, features, read

from rnnjax.data import Stream
from rnnjax.training import NeuralCache, cached_losses, token_losses

pytestmark = pytest.mark.usefixtures("quick_compile")


def by_hand(options, targets=TOKENS[1:]):
    """The losses of the mixture, one token and one cached position after the other."""
    whole = read(PARAMS, TOKENS[:-1], TOKENS[1:], RESETS[:-1], np.zeros((1, HIDDEN)))
    losses = []
    for t, target in enumerate(targets):
        weights = np.zeros(WORDS)
        for i in range(max(0, t - options.size), t):
            weights[TOKENS[i + 1]] += np.exp(options.theta * whole.features[t] @ whole.features[i])
        p = np.exp(-whole.losses[t])
        if t > 0:
            p = (1 - options.lambda_) * p + options.lambda_ * weights[target] / weights.sum()
        losses.append(-np.log(p))
    return np.array(losses)


@pytest.mark.quick("smaller_than_a_window", "larger_than_a_window")
@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"size": 4, "theta": 1.5, "lambda_": 0.4}, 6),
        ({"size": 9, "theta": 0.7, "lambda_": 0.2}, 4),
        ({"size": 500, "theta": 0.0, "lambda_": 0.9}, 7),
        ({"size": 1, "theta": 3.0, "lambda_": 0.5}, 100),
    ],
    ids=["smaller_than_a_window", "larger_than_a_window", "larger_than_the_text", "one_window"],
)
def test_the_losses_are_those_of_a_double_loop(options, steps):
    with jax.enable_x64(True):
        got = cached_losses(features, PARAMS, Stream(TOKENS, 1, steps, RESETS), NeuralCache(**options))
    assert_close(got, by_hand(NeuralCache(**options)), "values", tolerance=TOLERANCE, kind="float64")


def test_without_a_share_nothing_changes_and_the_cache_is_empty_before_the_first_token():
    stream = Stream(TOKENS, 1, 7, RESETS)
    plain = token_losses(features, PARAMS, stream)
    np.testing.assert_array_equal(cached_losses(features, PARAMS, stream, NeuralCache(lambda_=0.0)), plain)
    cached = cached_losses(features, PARAMS, stream, NeuralCache(lambda_=0.5))
    assert cached[0] == plain[0]
    assert (cached[1:] != plain[1:]).all()


def test_a_token_changes_only_the_losses_from_its_own_on():
    """The last token is scored by what comes before it, and is not in the cache yet."""

    def cached(tokens):
        return cached_losses(features, PARAMS, Stream(tokens, 1, 5), NeuralCache(size=6, theta=1.0, lambda_=0.3))

    last = [cached(np.append(TOKENS[:-1], word).astype(np.int32)) for word in range(WORDS)]
    for losses in last[1:]:
        np.testing.assert_array_equal(losses[:-1], last[0][:-1])
    # The probabilities of all tokens that could have come last.
    np.testing.assert_allclose(np.exp([-losses[-1] for losses in last]).sum(), 1, rtol=1e-5)


WRONG = {
    "size": ({"size": 0}, "size: expected at least 1, got 0"),
    "theta": ({"theta": -0.1}, "theta: expected a number of at least 0, got -0.1"),
    "nan": ({"theta": float("nan")}, "theta: expected a number of at least 0, got nan"),
    "lambda": ({"lambda_": 1.0}, "lambda: expected 0 <= share < 1, got 1.0"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_values_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        NeuralCache(**options)
