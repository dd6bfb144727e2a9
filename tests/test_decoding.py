"""Answers of the encoder-decoder: against the teacher-forced model, token by token."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import apply, random_variables

from rnnjax import GRU, LSTM, RNN, Bidirectional, EncoderDecoder, Scan, StackedRNN, decode
from rnnjax.sampling import Sampling

pytestmark = pytest.mark.usefixtures("quick_compile")

BATCH, STEPS, VOCABULARY, LENGTH = 40, 6, 6, 9
START, END = 0, 1
RANDOM = np.random.default_rng(0)
SOURCES = jnp.asarray(RANDOM.integers(0, VOCABULARY, (BATCH, STEPS)), jnp.int32)
LENGTHS = jnp.asarray([STEPS, 0, 1, *RANDOM.integers(0, STEPS + 1, BATCH - 3)])


def make_model(attention: Any = "general"):
    encoder = Bidirectional(RNN(GRU(), 4, Scan()), RNN(GRU(), 4, Scan()))
    decoder = StackedRNN([RNN(LSTM(), 5, Scan()), RNN(GRU(), 5, Scan())])
    return EncoderDecoder(VOCABULARY, VOCABULARY, 4, encoder, decoder, attention)


MODEL = make_model()


def params_of(model):
    params = random_variables(model, SOURCES, SOURCES, seed=1)["params"]
    return jax.tree.map(lambda leaf: 3 * leaf, params)


PARAMS = params_of(MODEL)


def answers_by_hand(model, params, choose):
    """Every answer from the whole teacher-forced model, run anew for each token."""
    targets, ended, answers = jnp.full((BATCH, 1), START, jnp.int32), np.zeros(BATCH, bool), []
    for t in range(LENGTH):
        logits = apply(model, {"params": params}, SOURCES, targets, LENGTHS)
        token = np.where(ended, END, choose(logits[:, -1], t))
        ended |= token == END
        answers.append(token)
        targets = jnp.concatenate([targets, jnp.asarray(token, jnp.int32)[:, None]], axis=1)
    return np.stack(answers, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["general", "additive", "none"])
def test_greedy_answers_are_the_most_probable_tokens_of_the_teacher_forced_model(attention):
    model = make_model(attention)
    params = params_of(model)
    got = decode(model, params, SOURCES, LENGTHS, start=START, end=END, length=LENGTH)
    want = answers_by_hand(model, params, lambda logits, t: np.asarray(logits.argmax(axis=-1)))
    np.testing.assert_array_equal(got.tokens, want)
    ends = [np.flatnonzero(row == END)[0] if END in row else LENGTH for row in want]
    np.testing.assert_array_equal(got.lengths, ends)
    # Some rows end early, some never: both kinds are there to be told apart.
    assert 0 < sum(end < LENGTH for end in ends) < BATCH
    assert len(np.unique(want)) > 2


def test_temperature_zero_is_greedy_whatever_the_key_and_a_temperature_draws_by_it():
    greedy = decode(MODEL, PARAMS, SOURCES, LENGTHS, start=START, end=END, length=LENGTH)

    def drawn(temperature, seed):
        options = {"start": START, "end": END, "length": LENGTH, "sampling": Sampling(temperature=temperature)}
        return decode(MODEL, PARAMS, SOURCES, LENGTHS, **options, key=jax.random.key(seed)).tokens

    np.testing.assert_array_equal(drawn(0.0, 1), greedy.tokens)
    np.testing.assert_array_equal(drawn(2.0, 1), drawn(2.0, 1))
    assert (drawn(2.0, 1) != drawn(2.0, 2)).any()
    assert (drawn(2.0, 1) != greedy.tokens).any()


def test_what_is_drawn_has_the_shares_of_the_teacher_forced_logits():
    count, sampling = 4000, Sampling(temperature=3.0, top_k=4)
    sources = jnp.repeat(SOURCES[:1], count, axis=0)
    options = {"start": START, "end": END, "length": 2, "sampling": sampling, "key": jax.random.key(0)}
    tokens = np.asarray(decode(MODEL, PARAMS, sources, **options).tokens)
    first = apply(MODEL, {"params": PARAMS}, SOURCES[:1], jnp.array([[START]]))[0, 0]
    shares = np.asarray(jax.nn.softmax(sampling.restrict(first)))
    np.testing.assert_allclose(np.bincount(tokens[:, 0], minlength=VOCABULARY) / count, shares, atol=0.03)
    # And of the second token, after the one that was drawn most.
    frequent = int(np.bincount(np.delete(tokens[:, 0], tokens[:, 0] == END)).argmax())
    second = apply(MODEL, {"params": PARAMS}, SOURCES[:1], jnp.array([[START, frequent]]))[0, 1]
    after = tokens[tokens[:, 0] == frequent, 1]
    shares = np.asarray(jax.nn.softmax(sampling.restrict(second)))
    np.testing.assert_allclose(np.bincount(after, minlength=VOCABULARY) / len(after), shares, atol=0.06)
    assert shares.max() < 0.9


def test_a_row_is_answered_as_it_would_be_alone():
    together = decode(MODEL, PARAMS, SOURCES, LENGTHS, start=START, end=END, length=LENGTH)
    for row in range(4):
        alone = decode(
            MODEL, PARAMS, SOURCES[row : row + 1], LENGTHS[row : row + 1], start=START, end=END, length=LENGTH
        )
        np.testing.assert_array_equal(alone.tokens[0], together.tokens[row])
        assert alone.lengths[0] == together.lengths[row]


def test_the_loop_stops_when_every_row_has_ended():
    rows = np.flatnonzero(decode(MODEL, PARAMS, SOURCES, LENGTHS, start=START, end=END, length=3).lengths < 3)
    options: Any = {"start": START, "end": END}
    assert len(rows) > 0
    # A length that would take minutes, were it not for the end.
    got = decode(MODEL, PARAMS, SOURCES[rows], LENGTHS[rows], length=1_000_000, **options)
    want = decode(MODEL, PARAMS, SOURCES[rows], LENGTHS[rows], length=3, **options)
    np.testing.assert_array_equal(got.lengths, want.lengths)
    np.testing.assert_array_equal(got.tokens[:, :3], want.tokens)


def test_beams_find_the_best_of_all_answers():
    rows, length = 4, 3
    # Every answer that ends, or has the whole length: 1 + 5 + 25 with an end, 125 without.
    every = [
        (*text, END)[:length]
        for count in range(length + 1)
        for text in itertools.product([word for word in range(VOCABULARY) if word != END], repeat=count)
    ]
    padded = np.array([[*text, *[END] * (length - len(text))] for text in every], np.int32)
    targets = jnp.asarray(np.insert(padded[:, :-1], 0, START, axis=1))
    for alpha in (0.0, 2.0):
        options: Any = {"start": START, "end": END, "length": length, "length_penalty": alpha}
        got = decode(MODEL, PARAMS, SOURCES[:rows], LENGTHS[:rows], **options, beams=len(every))
        for row in range(rows):
            sources = jnp.repeat(SOURCES[row : row + 1], len(every), axis=0)
            lengths = jnp.repeat(LENGTHS[row : row + 1], len(every))
            logits = apply(MODEL, {"params": PARAMS}, sources, targets, lengths)
            each = np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), padded[..., None], axis=2)[..., 0]
            counts = np.array([len(text) for text in every])
            totals = (each * (np.arange(length) < counts[:, None])).sum(axis=1) / ((5 + counts) / 6) ** alpha
            np.testing.assert_array_equal(got.tokens[row], padded[totals.argmax()])
            assert got.lengths[row] == (padded[totals.argmax()] != END).sum()


@pytest.mark.slow
def test_one_beam_is_greedy_and_several_find_more():
    options: Any = {"start": START, "end": END, "length": LENGTH}
    greedy = decode(MODEL, PARAMS, SOURCES, LENGTHS, **options)
    one, many = (decode(MODEL, PARAMS, SOURCES, LENGTHS, **options, beams=beams) for beams in (1, 5))
    np.testing.assert_array_equal(one.tokens, greedy.tokens)
    np.testing.assert_array_equal(one.lengths, greedy.lengths)
    assert (many.tokens != greedy.tokens).any()


def test_a_repetition_penalty_counts_what_was_decoded():
    sampling = Sampling(temperature=0, repetition_penalty=3.0)
    got = decode(MODEL, PARAMS, SOURCES, LENGTHS, start=START, end=END, length=LENGTH, sampling=sampling)
    tokens = np.asarray(got.tokens)
    targets = jnp.asarray(np.insert(tokens[:, :-1], 0, START, axis=1))
    logits = np.array(apply(MODEL, {"params": PARAMS}, SOURCES, targets, LENGTHS))
    for row, text in enumerate(tokens.tolist()):
        for t in range(min(got.lengths[row] + 1, LENGTH)):
            for word in set(text[:t]):
                logits[row, t, word] *= 1 / 3 if logits[row, t, word] > 0 else 3
            assert text[t] == logits[row, t].argmax()
    assert (tokens != decode(MODEL, PARAMS, SOURCES, LENGTHS, start=START, end=END, length=LENGTH).tokens).any()


WRONG = {
    "beams": ({"beams": 0}, "beams: expected at least 1, got 0"),
    "beams_and_sampling": (
        {"beams": 2, "sampling": Sampling(top_k=2)},
        "beams: expected no sampling, because a beam search draws nothing, got Sampling",
    ),
    "length_penalty": ({"length_penalty": 1.0}, r"length_penalty: expected beams to choose from, got 1\.0 without"),
    "start": ({"start": 6}, "start: expected a token of 0 to 5, got 6"),
    "end": ({"end": -1}, "end: expected a token of 0 to 5, got -1"),
    "length": ({"length": 0}, "length: expected at least 1, got 0"),
    "key": ({"sampling": Sampling()}, r"key: expected a key to draw with at temperature 1\.0, got None"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_options_out_of_range_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        decode(MODEL, PARAMS, SOURCES, LENGTHS, **{"start": START, "end": END, "length": 3, **options})
