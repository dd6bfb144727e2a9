"""The loss of every token: against the NumPy oracle, and its mean against the score of a stream of many rows."""

import jax
import numpy as np
import pytest
from reference import assert_close
from text_oracle import HIDDEN, PARAMS, RESETS, TOKENS, TOLERANCE, features, read

from rnnjax.data import Stream
from rnnjax.training import batch_mesh, eval_step, evaluate_stream, initial_carry, next_in_stream, token_losses

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.mark.quick("7")
@pytest.mark.parametrize("steps", [1, 7, 100])
def test_every_loss_is_that_of_the_oracle_for_any_window(steps):
    with jax.enable_x64(True):
        got = token_losses(features, PARAMS, Stream(TOKENS, 1, steps, RESETS))
    want = read(PARAMS, TOKENS[:-1], TOKENS[1:], RESETS[:-1], np.zeros((1, HIDDEN))).losses
    assert_close(got, want, "values", tolerance=TOLERANCE, kind="float64")


def test_the_mean_is_the_score_of_a_stream():
    losses = token_losses(features, PARAMS, Stream(TOKENS, 1, 7, RESETS))
    step, stream = eval_step(next_in_stream(features), batch_mesh(1)), Stream(TOKENS, 3, 5, RESETS)
    score = evaluate_stream(PARAMS, step, stream, carry=initial_carry(features, PARAMS, 3))
    assert_close(losses.mean(), np.float32(score.loss), "values")


def test_several_rows_are_an_error():
    with pytest.raises(ValueError, match="rows: expected 1, a text in one unbroken pass, got 3"):
        token_losses(features, PARAMS, Stream(TOKENS, 3, 5))
