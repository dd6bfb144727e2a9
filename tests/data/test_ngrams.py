"""N-grams as indices, against tuples counted in a dict."""

from collections import Counter

import numpy as np
import pytest

from rnnjax.data import Sequences
from rnnjax.data.ngrams import NgramVocabulary

TOKENS, LONGEST = 5, 3


def grams_at(tokens, end, longest):
    """The n-grams that end at a token, the shortest first."""
    return [tuple(tokens[end - size + 1 : end + 1]) for size in range(1, longest + 1) if size <= end + 1]


def random_texts(seed, texts=30, tokens=TOKENS):
    random = np.random.default_rng(seed)
    lengths = [0, 1, LONGEST - 1, LONGEST, *random.integers(0, 12, texts)]
    return [random.integers(0, tokens, length) for length in lengths]


def learnt_by_hand(texts, longest, least):
    counts = Counter(
        gram
        for text in texts
        for gram in {g for end in range(len(text)) for g in grams_at(text.tolist(), end, longest)}
    )
    return {gram for gram, count in counts.items() if count >= least}


def number(gram, tokens=TOKENS):
    value = 0
    for token in gram:
        value = value * (tokens + 1) + token + 1
    return value


@pytest.mark.parametrize("longest", [1, 2, LONGEST, 5])
@pytest.mark.parametrize("least", [1, 3, 10**6])
def test_what_is_learnt_and_encoded_is_counted_by_hand(longest, least):
    texts = random_texts(longest)
    vocabulary = NgramVocabulary.learn(Sequences.of(texts), TOKENS, longest, least)
    known = sorted(map(number, learnt_by_hand(texts, longest, least)))
    assert vocabulary.keys.tolist() == known
    assert (vocabulary.keys.dtype, vocabulary.longest, vocabulary.tokens) == (np.int64, longest, TOKENS)
    assert bool(known) == (least < 10**6)
    for text in [*texts, *random_texts(99)]:  # the latter have n-grams that were not learnt
        want, seen = np.zeros((len(text), longest), int), set()
        for end in range(len(text)):
            for size, gram in enumerate(grams_at(text.tolist(), end, longest)):
                if gram not in seen and number(gram) in known:
                    want[end, size] = known.index(number(gram)) + 1
                seen.add(gram)
        got = vocabulary.encode(text)
        assert got.dtype == np.int32
        np.testing.assert_array_equal(got, want)


def test_numbers_are_those_of_the_n_grams_and_zero_where_there_is_none():
    vocabulary = NgramVocabulary(np.empty(0, np.int64), LONGEST, TOKENS)
    for text in random_texts(7):
        want = np.zeros((len(text), LONGEST), np.int64)
        for end in range(len(text)):
            for size, gram in enumerate(grams_at(text.tolist(), end, LONGEST)):
                want[end, size] = number(gram)
        np.testing.assert_array_equal(vocabulary.numbers(text.astype(np.int32)), want)


def test_a_repeated_n_gram_has_its_index_where_it_occurs_first():
    text = np.array([1, 2, 1, 2, 1])
    vocabulary = NgramVocabulary.learn(Sequences.of([text]), TOKENS, 2, 1)  # 1, 2, (1, 2), (2, 1)
    np.testing.assert_array_equal(vocabulary.encode(text), [[1, 0], [2, 3], [0, 4], [0, 0], [0, 0]])


def test_n_grams_of_different_lengths_never_collide():
    longest = 4
    every = [np.array(np.unravel_index(n, (3,) * longest)) for n in range(3**longest)]
    vocabulary = NgramVocabulary(np.empty(0, np.int64), longest, 3)
    found = {int(n): size for text in every for row in vocabulary.numbers(text) for size, n in enumerate(row) if n}
    assert len(found) == sum(3**size for size in range(1, longest + 1))


def test_an_n_gram_counts_once_a_text_and_order_matters():
    texts = Sequences.of([[1, 1, 1], [2, 1], [1, 2]])
    assert NgramVocabulary.learn(texts, TOKENS, 1, 3).keys.tolist() == [number([1])]
    assert NgramVocabulary.learn(texts, TOKENS, 2, 2).keys.tolist() == [number([1]), number([2])]


def test_the_largest_number_fits():
    tokens = 2**31 - 2  # base 2**31 - 1: two digits fit 63 bits, three do not
    vocabulary = NgramVocabulary.learn(Sequences.of([[tokens - 1, tokens - 1]]), tokens, 2, 1)
    assert vocabulary.keys.tolist() == [tokens, (tokens + 1) ** 2 - 1]
    assert vocabulary.encode(np.array([tokens - 1, tokens - 1])).tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize(
    ("tokens", "longest", "message"),
    [
        (TOKENS, 0, "ngrams: expected at least 1 token, got 0"),
        (TOKENS, -1, "ngrams: expected at least 1 token, got -1"),
        (2**31, 3, "ngrams: expected at most 63 bits for n-grams of 2,147,483,648 tokens, got more"),
        (1, 63, "ngrams: expected at most 63 bits for n-grams of 1 tokens, got more"),
        (20_000, 10**9, "ngrams: expected at most 63 bits for n-grams of 20,000 tokens, got more"),  # at once
    ],
)
def test_n_grams_that_have_no_number(tokens, longest, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        NgramVocabulary(np.empty(0, np.int64), longest, tokens)
    with pytest.raises(ValueError, match=f"^{message}$"):
        NgramVocabulary.learn(Sequences.of([[0]]), tokens, longest, 1)


def test_at_least_no_text():
    with pytest.raises(ValueError, match=r"^least: expected at least 1, got 0$"):
        NgramVocabulary.learn(Sequences.of([[0]]), TOKENS, 1, 0)


def test_no_texts_have_no_n_grams():
    vocabulary = NgramVocabulary.learn(Sequences.of([]), TOKENS, LONGEST, 1)
    assert vocabulary.keys.shape == (0,)
    assert vocabulary.encode(np.array([1, 2])).tolist() == [[0, 0, 0], [0, 0, 0]]
