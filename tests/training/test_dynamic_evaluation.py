"""Dynamic evaluation: against single steps in NumPy float64, and that a token is scored before it is learnt from."""

import jax
import numpy as np
import pytest
from reference import assert_close
from text_oracle import HIDDEN, PARAMS, RESETS, TOKENS, TOLERANCE, WORDS, features, read, windows

from rnnjax.data import Stream
from rnnjax.training import DynamicEvaluation, dynamic_losses, root_mean_squares, token_losses

pytestmark = pytest.mark.usefixtures("quick_compile")

STEPS = 6


def mean_of(rms):
    return np.mean([leaf.mean() for leaf in jax.tree.leaves(rms)])


def by_hand(options, rms=None):
    """The losses of all windows; after each of them one step."""
    params, state, losses = PARAMS, np.zeros((1, HIDDEN)), []
    mean = None if rms is None else mean_of(rms)
    for window in windows(STEPS):
        found = read(params, *window, state)
        losses.append(found.losses)
        state = found.state
        if rms is None:
            params = jax.tree.map(
                lambda old, start, g: old - options.learning_rate * g + options.decay * (start - old),
                *(params, PARAMS, found.gradient),
            )
        else:
            params = jax.tree.map(
                lambda old, start, g, r: (
                    old
                    - options.learning_rate * g / (r + options.epsilon)
                    + np.minimum(1, options.decay * r / mean) * (start - old)
                ),
                *(params, PARAMS, found.gradient, rms),
            )
    return np.concatenate(losses)


def squares_by_hand():
    """The root mean squared gradients over the windows of the text, with the trained parameters."""
    state, squares = np.zeros((1, HIDDEN)), []
    for window in windows(STEPS):
        found = read(PARAMS, *window, state)
        state = found.state
        squares.append(jax.tree.map(np.square, found.gradient))
    return jax.tree.map(lambda *leaves: np.sqrt(np.mean(leaves, axis=0)), *squares)


def test_plain_steps_are_those_by_hand():
    options = DynamicEvaluation(learning_rate=0.7, decay=0.1)
    with jax.enable_x64(True):
        got = dynamic_losses(features, PARAMS, Stream(TOKENS, 1, STEPS, RESETS), options)
    want = by_hand(options)
    assert_close(got, want, "values", tolerance=TOLERANCE, kind="float64")
    assert np.abs(want - by_hand(DynamicEvaluation(learning_rate=0.7)))[STEPS:].max() > 1e-3


def test_steps_by_mean_squared_gradients_are_those_by_hand():
    # A decay so large that it is cut at 1 for some parameters.
    options, stream = DynamicEvaluation(learning_rate=0.05, decay=0.6, epsilon=0.01), Stream(TOKENS, 1, STEPS, RESETS)
    with jax.enable_x64(True):
        rms = root_mean_squares(features, PARAMS, stream)
        got = dynamic_losses(features, PARAMS, stream, options, rms)
    want = squares_by_hand()
    assert_close(rms, want, "gradients", tolerance=TOLERANCE, kind="float64")
    leaves = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(want)])
    assert 0 < (0.6 * leaves / mean_of(want) > 1).mean() < 1
    assert_close(got, by_hand(options, want), "values", tolerance=TOLERANCE, kind="float64")


def test_without_a_learning_rate_nothing_changes():
    stream = Stream(TOKENS, 1, STEPS, RESETS)
    plain = token_losses(features, PARAMS, stream)
    still = DynamicEvaluation(learning_rate=0.0, decay=0.3)
    np.testing.assert_array_equal(dynamic_losses(features, PARAMS, stream, still), plain)
    rms = root_mean_squares(features, PARAMS, stream)
    np.testing.assert_array_equal(dynamic_losses(features, PARAMS, stream, still, rms), plain)


def test_a_window_is_scored_before_it_is_learnt_from():
    stream = Stream(TOKENS, 1, STEPS)
    learning = dynamic_losses(features, PARAMS, stream, DynamicEvaluation(learning_rate=0.7))
    plain = token_losses(features, PARAMS, stream)
    np.testing.assert_array_equal(learning[:STEPS], plain[:STEPS])
    assert (learning[STEPS:] != plain[STEPS:]).all()
    changed = np.append(TOKENS[:-1], (TOKENS[-1] + 1) % WORDS).astype(np.int32)
    after = dynamic_losses(features, PARAMS, Stream(changed, 1, STEPS), DynamicEvaluation(learning_rate=0.7))
    np.testing.assert_array_equal(after[:-1], learning[:-1])


def test_the_trained_parameters_stay_as_they_were():
    params = jax.tree.map(jax.numpy.asarray, PARAMS)
    before = jax.tree.map(np.array, params)
    dynamic_losses(features, params, Stream(TOKENS, 1, STEPS), DynamicEvaluation(learning_rate=0.7))
    jax.tree.map(np.testing.assert_array_equal, params, before)


WRONG = {
    "learning_rate": ({"learning_rate": -1.0}, "learning_rate: expected a number of at least 0, got -1.0"),
    "decay": ({"learning_rate": 1.0, "decay": 1.5}, "decay: expected 0 <= decay <= 1, got 1.5"),
    "epsilon": ({"learning_rate": 1.0, "epsilon": 0.0}, "epsilon: expected a number above 0, got 0.0"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_values_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DynamicEvaluation(**options)
