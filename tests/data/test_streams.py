"""A text as rows side by side: every token is predicted once, and rows go on from window to window."""

import numpy as np
import pytest

from rnnjax.data import Stream

TOKENS = np.arange(100, 124)
CUTS = [(1, 7), (1, 500), (3, 4), (5, 2), (23, 1), (30, 3)]


def read(windows, row):
    """What a row reads and predicts, window after window."""
    pairs = [
        (window.tokens[row, : window.lengths[row]], window.targets[row, : window.lengths[row]]) for window in windows
    ]
    return np.concatenate([tokens for tokens, _ in pairs]), np.concatenate([targets for _, targets in pairs])


@pytest.mark.parametrize(("rows", "steps"), CUTS)
def test_every_token_but_the_first_is_predicted_once_from_the_one_before_it(rows, steps):
    stream = Stream(TOKENS, rows, steps, multiple=2)
    windows = list(stream)
    assert len(windows) == len(stream)
    assert {window.tokens.shape for window in windows} == {(stream.filled, min(steps, stream.length))}
    parts = [read(windows, row) for row in range(stream.filled)]
    np.testing.assert_array_equal(np.concatenate([tokens for tokens, _ in parts]), TOKENS[:-1])
    np.testing.assert_array_equal(np.concatenate([targets for _, targets in parts]), TOKENS[1:])


def test_only_the_first_window_begins_anew():
    windows = list(Stream(TOKENS, 3, 4))
    assert [window.carried.tolist() for window in windows] == [[False] * 3, [True] * 3]
    given = next(Stream(TOKENS, 3, 4).windows(carried=True))
    assert given.carried.tolist() == [False, True, True]


def test_windows_from_one_on_are_the_same():
    stream = Stream(TOKENS, 2, 3, TOKENS % 5 == 0)
    for got, want in zip(stream.windows(2), list(stream)[2:], strict=True):
        for left, right in zip(got, want, strict=True):
            np.testing.assert_array_equal(left, right)


def test_resets_are_those_of_the_tokens_that_are_read():
    for window in Stream(TOKENS, 4, 4, TOKENS % 7 == 0):
        inside = np.arange(4) < window.lengths[:, None]
        np.testing.assert_array_equal(window.resets, (window.tokens % 7 == 0) & inside)


def test_processes_share_the_rows():
    whole = list(Stream(TOKENS, 5, 3, multiple=2))
    shares = [list(Stream(TOKENS, 5, 3, multiple=2, share=(process, 2))) for process in range(2)]
    for window, *own in zip(whole, *shares, strict=True):
        np.testing.assert_array_equal(np.concatenate([part.tokens for part in own]), window.tokens)
        np.testing.assert_array_equal(np.concatenate([part.rows for part in own]), window.rows)


WRONG = {
    "tokens": ((TOKENS[:1], 1, 1), "tokens: expected at least 2, one to read and one to predict, got 1"),
    "rows": ((TOKENS, 0, 1), "rows: expected at least 1, got 0"),
    "steps": ((TOKENS, 1, 0), "steps: expected at least 1, got 0"),
    "resets": ((TOKENS, 1, 1, TOKENS[1:] > 0), r"resets: expected shape \(24,\), got \(23,\)"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_bad_streams_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Stream(*arguments)
