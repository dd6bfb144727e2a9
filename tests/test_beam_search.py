"""Beam search: against every text that there is, and a narrow search against lists of hypotheses in Python."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import random_variables
from reference import assert_close

from rnnjax import LSTM, RNN, LanguageModel, Scan
from rnnjax.beam_search import beam_search
from rnnjax.sampling import Sampling, read, sample, search

pytestmark = pytest.mark.usefixtures("quick_compile")

WORDS, LENGTH = 4, 4
MODEL = LanguageModel(WORDS, 3, RNN(LSTM(), 4, Scan()))
PROMPTS = jnp.asarray(np.random.default_rng(0).integers(0, WORDS, (3, 5)), jnp.int32)
PARAMS = jax.tree.map(lambda leaf: 4 * leaf, random_variables(MODEL, PROMPTS)["params"])
BEGUN = read(MODEL, PARAMS, PROMPTS)


def hypotheses(stop):
    """Every text that ends with its first stop token, or has the whole length."""
    for length in range(1, LENGTH + 1):
        for text in itertools.product(range(WORDS), repeat=length):
            if not set(text[:-1]) & set(stop) and (length == LENGTH or text[-1] in stop):
                yield text


def table_of(repetition_penalty=1.0):
    """The log probabilities `(V,)` after each prompt and every text that may follow it, by prompt and text."""
    table = {}
    for length in range(LENGTH):
        texts = list(itertools.product(range(WORDS), repeat=length))
        for row, prompt in enumerate(np.asarray(PROMPTS)):
            whole = np.array([[*prompt, *text] for text in texts], np.int32)
            logits = np.asarray(MODEL.apply({"params": PARAMS}, whole)[0], np.float64)[:, -1]
            for text, values in zip(whole, logits, strict=True):
                for word in set(text.tolist()):
                    values[word] *= 1 / repetition_penalty if values[word] > 0 else repetition_penalty
                table[row, tuple(text[len(prompt) :].tolist())] = values - np.log(np.exp(values).sum())
    return table


TABLE = table_of()


def score(row, text, alpha, table):
    total = sum(table[row, text[:place]][word] for place, word in enumerate(text))
    return total / ((5 + len(text)) / 6) ** alpha


@pytest.mark.quick("length_penalty", "two_stops")
@pytest.mark.parametrize(
    ("stop", "alpha", "penalty"),
    [((), 0.0, 1.0), ((2,), 0.0, 1.0), ((2,), 1.5, 1.0), ((0, 3), 0.7, 1.0), ((1,), 0.5, 2.0)],
    ids=["no_stop", "stop", "length_penalty", "two_stops", "repetition_penalty"],
)
def test_a_search_as_wide_as_there_are_texts_finds_all_in_their_order(stop, alpha, penalty):
    every, table = list(hypotheses(stop)), TABLE if penalty == 1 else table_of(penalty)
    beams = len(every) + 3
    found = search(MODEL, PARAMS, BEGUN, beams, LENGTH, stop, alpha, penalty)
    for row in range(len(PROMPTS)):
        ranked = sorted(every, key=lambda text, row=row: -score(row, text, alpha, table))
        scores = np.array([score(row, text, alpha, table) for text in ranked])
        assert_close(found.scores[row, : len(every)], scores, "values")
        assert np.isneginf(found.scores[row, len(every) :]).all()
        texts = [
            tuple(tokens[:length].tolist())
            for tokens, length in zip(np.asarray(found.tokens[row]), np.asarray(found.lengths[row]), strict=True)
        ]
        assert texts[0] == ranked[0]
        assert set(texts[: len(every)]) == set(every)
        padded = [(*text, *[text[-1]] * (LENGTH - len(text))) for text in texts[: len(every)]]
        np.testing.assert_array_equal(found.tokens[row, : len(every)], padded)


def narrow(row, beams, stop, alpha):
    """The search with a list of (text, whether it has ended)."""
    kept = [((), False)]
    for _ in range(LENGTH):
        candidates = []
        for text, ended in kept:
            candidates += [(text, True)] if ended else [((*text, word), word in stop) for word in range(WORDS)]
        kept = sorted(candidates, key=lambda one: -score(row, one[0], alpha, TABLE))[:beams]
    return [text for text, _ in kept]


@pytest.mark.quick("3-1.5")
@pytest.mark.parametrize(("beams", "alpha"), [(2, 0.0), (3, 1.5)])
def test_a_narrow_search_keeps_the_best_of_each_turn(beams, alpha):
    found = search(MODEL, PARAMS, BEGUN, beams, LENGTH, (2,), alpha)
    for row in range(len(PROMPTS)):
        texts = [
            tuple(np.asarray(found.tokens[row, beam])[: found.lengths[row, beam]].tolist()) for beam in range(beams)
        ]
        assert texts == narrow(row, beams, (2,), alpha)


def test_a_narrow_search_can_miss_what_a_wide_one_finds():
    """Otherwise nothing above could tell the two apart."""
    best = [[narrow(row, beams, (2,), 0.0)[0] for row in range(len(PROMPTS))] for beams in (1, 200)]
    assert best[0] != best[1]


def test_one_beam_is_greedy():
    greedy, _, _ = sample(MODEL, PARAMS, BEGUN, jax.random.key(0), LENGTH, Sampling(temperature=0), stop=(2,))
    np.testing.assert_array_equal(search(MODEL, PARAMS, BEGUN, 1, LENGTH, (2,)).tokens[:, 0], greedy)


def test_the_search_ends_when_all_hypotheses_have():
    steps = []

    def step(state, tokens):
        jax.debug.callback(lambda: steps.append(1))
        return state, following[state]

    # After its first token, every text ends.
    following = jnp.log(jnp.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]))
    begun = jnp.ones(1, jnp.int32), following[:1]
    found = jax.jit(lambda: beam_search(step, *begun, beams=2, length=1000, stop=(2,)))()
    jax.effects_barrier()
    assert len(steps) == 2
    np.testing.assert_array_equal(found.tokens[0, :, :3], [[0, 2, 2], [1, 2, 2]])
    np.testing.assert_array_equal(found.tokens[0, :, -1], [2, 2])
    np.testing.assert_array_equal(found.lengths, [[2, 2]])


WRONG = {
    "beams": ((0, 3), {}, "beams: expected at least 1, got 0"),
    "length": ((2, 0), {}, "length: expected at least 1, got 0"),
    "length_penalty": ((2, 3), {"length_penalty": -1.0}, "length_penalty: expected a number of at least 0, got -1.0"),
}


@pytest.mark.parametrize(("sizes", "options", "message"), WRONG.values(), ids=WRONG)
def test_values_out_of_range_are_named(sizes, options, message):
    with pytest.raises(ValueError, match=message):
        search(MODEL, PARAMS, BEGUN, *sizes, **options)
