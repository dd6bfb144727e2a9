"""Drawing tokens: from whom, and that a carried state writes what the whole text would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import apply, random_variables
from reference import assert_close

from rnnjax import GRU, LSTM, RNN, LanguageModel, Scan, StackedRNN
from rnnjax.sampling import Sampling, read, sample

pytestmark = pytest.mark.usefixtures("quick_compile")

MODEL = LanguageModel(9, 5, StackedRNN([RNN(LSTM(), 5, Scan()), RNN(GRU(), 4, Scan())]))
TEXT = jnp.asarray(np.random.default_rng(0).integers(0, 9, (2, 7)), jnp.int32)
PARAMS = jax.tree.map(lambda leaf: 3 * leaf, random_variables(MODEL, TEXT)["params"])
SHARES = np.array([0.1, 0.4, 0.05, 0.3, 0.15])
LOGITS = jnp.asarray(np.log(SHARES), jnp.float32)


def shares(**options):
    return np.asarray(jax.nn.softmax(Sampling(**options).restrict(LOGITS)))


def test_who_is_drawn_from():
    np.testing.assert_allclose(shares(), SHARES, rtol=1e-5)
    np.testing.assert_allclose(shares(temperature=0.5), SHARES**2 / (SHARES**2).sum(), rtol=1e-5)
    np.testing.assert_array_equal(shares(temperature=0), [0, 1, 0, 0, 0])
    np.testing.assert_allclose(shares(top_k=2), np.array([0, 0.4, 0, 0.3, 0]) / 0.7, rtol=1e-5)
    np.testing.assert_allclose(shares(top_k=99), SHARES, rtol=1e-5)
    # 0.4 and 0.3 are not yet enough for 0.75; a share below the first one's leaves that one.
    np.testing.assert_allclose(shares(top_p=0.75), np.array([0, 0.4, 0, 0.3, 0.15]) / 0.85, rtol=1e-5)
    np.testing.assert_array_equal(shares(top_p=0.2), [0, 1, 0, 0, 0])
    np.testing.assert_allclose(shares(top_p=1.0), SHARES, rtol=1e-5)
    # First the temperature, then the most probable, then those that have the share together.
    np.testing.assert_allclose(shares(temperature=0.5, top_k=3, top_p=0.9), np.array([0, 16, 0, 9, 0]) / 25, rtol=1e-5)


def test_ties_at_temperature_zero_take_the_first():
    restricted = Sampling(temperature=0).restrict(jnp.array([1.0, 3.0, 3.0]))
    np.testing.assert_array_equal(jnp.isfinite(restricted), [False, True, False])


def test_reading_on_is_reading_the_whole():
    whole = read(MODEL, PARAMS, TEXT)
    after = read(MODEL, PARAMS, TEXT[:, 3:], read(MODEL, PARAMS, TEXT[:, :3]))
    assert_close(after, whole, "values")
    logits, state = MODEL.apply({"params": PARAMS}, TEXT)
    assert_close((whole.state, whole.logits), (state, logits[:, -1]), "values")
    seen = [[word in text for word in range(9)] for text in TEXT.tolist()]
    np.testing.assert_array_equal(after.seen, seen)


@pytest.mark.slow
def test_a_carried_state_writes_what_the_whole_prompt_would():
    key = jax.random.key(3)
    drawn, _, _ = sample(MODEL, PARAMS, read(MODEL, PARAMS, TEXT), key, 12)
    # The prompt in two pieces, and the text in two pieces.
    begun = read(MODEL, PARAMS, TEXT[:, 5:], read(MODEL, PARAMS, TEXT[:, :5]))
    first, begun, on = sample(MODEL, PARAMS, begun, key, 5)
    second, _, _ = sample(MODEL, PARAMS, begun, on, 7)
    np.testing.assert_array_equal(jnp.concatenate([first, second], axis=1), drawn)
    assert len(np.unique(drawn)) > 3
    # Read again from the start, token by token, the most probable ones are the same.
    sharp, _, _ = sample(MODEL, PARAMS, read(MODEL, PARAMS, TEXT), key, 4, Sampling(temperature=0))
    text = TEXT
    for _ in range(4):
        logits, _ = MODEL.apply({"params": PARAMS}, text)
        text = jnp.concatenate([text, logits[:, -1].argmax(axis=-1)[:, None]], axis=1)
    np.testing.assert_array_equal(text[:, 7:], sharp)


def test_a_text_ends_with_its_first_stop_token():
    begun, key = read(MODEL, PARAMS, TEXT), jax.random.key(4)
    drawn, _, _ = sample(MODEL, PARAMS, begun, key, 12)
    stop = (int(drawn[0, 2]), int(drawn[1, 8]))
    ended, state, _ = sample(MODEL, PARAMS, begun, key, 12, stop=stop)
    lengths = [next(t for t, token in enumerate(row) if token in stop) + 1 for row in drawn.tolist()]
    assert max(lengths) < 12
    assert lengths[0] != lengths[1]
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(ended[row, :length], drawn[row, :length])
        assert (ended[row, length:] == ended[row, length - 1]).all()
        # The state is that after the stop token, whatever the other row goes on with.
        alone = jnp.concatenate([TEXT[row : row + 1], ended[row : row + 1, :length]], axis=1)
        got = jax.tree.map(lambda leaf, row=row: leaf[row : row + 1], (state.state, state.logits))
        assert_close(got, tuple(read(MODEL, PARAMS, alone))[:2], "values")


def test_logits_of_tokens_in_the_text_are_penalised():
    logits, seen = jnp.array([2.0, 2.0, -2.0, -2.0]), jnp.array([True, False, True, False])
    np.testing.assert_allclose(Sampling(repetition_penalty=1.25).penalised(logits, seen), [1.6, 2, -2.5, -2], rtol=1e-6)
    np.testing.assert_array_equal(Sampling().penalised(logits, seen), logits)


def test_a_penalty_counts_the_prompt_and_what_was_drawn():
    penalty = Sampling(temperature=0, repetition_penalty=4.0)
    drawn, _, _ = sample(MODEL, PARAMS, read(MODEL, PARAMS, TEXT), jax.random.key(0), 8, penalty)
    whole = jnp.concatenate([TEXT, drawn], axis=1)
    logits = np.array(apply(MODEL, {"params": PARAMS}, whole)[0])
    changed = 0
    for row, text in enumerate(whole.tolist()):
        for t in range(7, 15):
            plain = logits[row, t - 1].argmax()
            for word in set(text[:t]):
                logits[row, t - 1, word] *= 1 / 4 if logits[row, t - 1, word] > 0 else 4
            assert text[t] == logits[row, t - 1].argmax()
            changed += text[t] != plain
    assert changed > 0


def test_every_token_is_told_in_order_while_the_loop_runs():
    told = []
    begun = read(MODEL, PARAMS, TEXT)
    drawn, _, _ = sample(MODEL, PARAMS, begun, jax.random.key(0), 20, tell=lambda tokens: told.append(tokens))
    jax.effects_barrier()
    np.testing.assert_array_equal(np.stack(told, axis=1), drawn)


def test_what_is_drawn_has_the_shares_of_the_logits():
    # 4,000 texts in the same place, one token each.
    begun = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], 4000, axis=0), read(MODEL, PARAMS, TEXT))
    drawn, _, _ = sample(MODEL, PARAMS, begun, jax.random.key(1), 1, Sampling(temperature=2.0, top_k=4))
    want = jax.nn.softmax(Sampling(temperature=2.0, top_k=4).restrict(begun.logits[0]))
    np.testing.assert_allclose(np.bincount(drawn[:, 0], minlength=9) / 4000, want, atol=0.04)


WRONG = {
    "temperature": ({"temperature": -1.0}, "temperature: expected a number of at least 0, got -1.0"),
    "nan": ({"temperature": float("nan")}, "temperature: expected a number of at least 0, got nan"),
    "top_k": ({"top_k": 0}, "top_k: expected at least 1, got 0"),
    "top_p": ({"top_p": 0.0}, "top_p: expected 0 < share <= 1, got 0.0"),
    "repetition_penalty": ({"repetition_penalty": 0.0}, "repetition_penalty: expected a number above 0, got 0.0"),
    "top_p_above": ({"top_p": 1.5}, "top_p: expected 0 < share <= 1, got 1.5"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_values_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)
