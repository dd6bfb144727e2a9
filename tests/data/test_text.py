"""Words to integers: what counts as a word, which index it gets, and sequences of any length."""

from typing import Any, cast

import numpy as np
import pytest

from rnnjax.data import Sequences, encode, learn_vocabulary, load_vocabulary


def indices(texts, *, size=None, of=None):
    """Each text's indices under the vocabulary learnt from `texts`."""
    tokenizer, _ = learn_vocabulary(texts, size)
    sequences = encode(tokenizer, texts if of is None else of)
    return [sequences[n].tolist() for n in range(len(sequences))]


def test_vocabulary_goes_by_falling_frequency_then_alphabet_after_the_special_tokens():
    tokenizer, words = learn_vocabulary(["pear fig fig", "apple date fig", "zoo date apple"])
    want = {"<PAD>": 0, "<OOV>": 1, "fig": 2, "apple": 3, "date": 4, "pear": 5, "zoo": 6}
    assert tokenizer.get_vocab() == want
    assert words == 5


@pytest.mark.parametrize("size", [3, 5, 7, 100])
def test_size_caps_the_vocabulary_special_tokens_included(size):
    tokenizer, words = learn_vocabulary(["pear fig fig", "apple date fig", "zoo date apple"], size)
    kept = ["<PAD>", "<OOV>", "fig", "apple", "date", "pear", "zoo"][:size]
    assert tokenizer.get_vocab() == {word: index for index, word in enumerate(kept)}
    # How many words there are does not depend on how many are kept.
    assert words == 5


def test_words_outside_the_vocabulary_are_one_index():
    assert indices(["b b b a a c"], size=4, of=["c a b never b"]) == [[1, 3, 2, 1, 2]]


@pytest.mark.parametrize(
    "text",
    [
        "Good GOOD gooD",
        "good<br />good<br>good",
        "good<br/>good<BR />good",
        "good<br   />good\u0085good",
        "good, good!good",
        "...good\ngood\tgood--",
    ],
)
def test_case_line_breaks_and_punctuation_make_no_difference(text):
    tokenizer, words = learn_vocabulary([text])
    assert tokenizer.get_vocab() == {"<PAD>": 0, "<OOV>": 1, "good": 2}
    assert words == 1
    assert indices([text]) == [[2, 2, 2]]


def test_apostrophes_digits_and_letters_of_any_script_are_parts_of_words():
    tokenizer, _ = learn_vocabulary(["Don't dont 90s café ÉTÉ"])
    assert set(tokenizer.get_vocab()) == {"<PAD>", "<OOV>", "don't", "dont", "90s", "café", "été"}


def test_a_text_that_spells_a_special_token_is_a_word():
    tokenizer, _ = learn_vocabulary(["<PAD> <OOV>"])
    assert tokenizer.get_vocab() == {"<PAD>": 0, "<OOV>": 1, "oov": 2, "pad": 3}


def test_a_text_without_a_word_is_a_sequence_of_length_zero():
    tokenizer, _ = learn_vocabulary(["some words"])
    sequences = encode(tokenizer, ["", "some", "?! <br />", "words some"])
    assert sequences.lengths.tolist() == [0, 1, 0, 2]
    assert sequences[0].tolist() == []
    assert len(encode(tokenizer, [])) == 0


def test_a_saved_vocabulary_encodes_the_same(tmp_path):
    texts = ["It's <br /> a FILM", "a café; a b c"]
    tokenizer, _ = learn_vocabulary(texts, 6)
    tokenizer.save(str(tmp_path / "vocabulary.json"))
    loaded = load_vocabulary(tmp_path / "vocabulary.json")
    assert loaded.get_vocab() == tokenizer.get_vocab()
    of = [*texts, "unseen A film", ""]
    want, got = encode(tokenizer, of), encode(loaded, of)
    assert as_lists(got) == as_lists(want)
    assert got[2].tolist() == [1, 2, want[0][-1]]


def test_a_missing_vocabulary_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"vocabulary: expected a file, got .*none\.json"):
        load_vocabulary(tmp_path / "none.json")


@pytest.mark.parametrize("content", ["{", "{}", "", '{"version": "1.0"}'])
def test_a_file_that_is_no_vocabulary_is_an_error(tmp_path, content):
    path = tmp_path / "vocabulary.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"vocabulary\.json: expected (a tokenizer's )?JSON, got: \S+"):
        load_vocabulary(path)


@pytest.mark.parametrize("size", [2, 0, -1])
def test_a_size_without_room_for_a_word_is_an_error(size):
    with pytest.raises(ValueError, match=rf"vocabulary size: expected at least 3 \(.*\), got {size}"):
        learn_vocabulary(["a b"], size)


@pytest.mark.parametrize("texts", [[], ["", " <br /> ?!"]])
def test_texts_without_a_word_are_an_error(texts):
    with pytest.raises(ValueError, match="vocabulary: expected at least one word in the texts, got none"):
        learn_vocabulary(texts)


LISTS = [[5, 6, 7, 8], [], [9], [1, 2, 3], []]


def as_lists(sequences):
    return [sequences[n].tolist() for n in range(len(sequences))]


def test_sequences_hold_what_they_were_made_of():
    sequences = Sequences.of(LISTS)
    assert as_lists(sequences) == LISTS
    assert sequences.lengths.tolist() == [4, 0, 1, 3, 0]
    assert sequences.tokens.dtype == np.int32
    assert len(Sequences.of([])) == 0


@pytest.mark.parametrize("n", [-1, 5])
def test_a_sequence_that_is_not_there_is_an_error(n):
    with pytest.raises(IndexError, match=f"sequence: expected 0 to 4, got {n}"):
        Sequences.of(LISTS)[n]


@pytest.mark.parametrize("longest", [1, 2, 3, 9])
def test_truncated_cuts_the_start_or_the_end(longest):
    sequences = Sequences.of(LISTS)
    assert as_lists(sequences.truncated(longest, "end")) == [tokens[:longest] for tokens in LISTS]
    assert as_lists(sequences.truncated(longest, "start")) == [tokens[-longest:] for tokens in LISTS]


def test_an_order_reads_the_same_steps_otherwise():
    sequences = Sequences.of([[5, 6, 7, 8], [], [9], list(range(50)), list(range(50))])
    assert as_lists(sequences.ordered("reversed")) == [tokens[::-1] for tokens in as_lists(sequences)]
    shuffled = as_lists(sequences.ordered("shuffled"))
    assert [sorted(tokens) for tokens in shuffled] == as_lists(sequences)
    assert shuffled[3] != as_lists(sequences)[3]
    assert shuffled[3] == shuffled[4]  # wherever it stands
    assert as_lists(sequences.ordered("reversed").truncated(3, "start"))[0] == [8, 7, 6]
    with pytest.raises(ValueError, match="order: expected one of true, reversed, shuffled, got 'sorted'"):
        sequences.ordered(cast(Any, "sorted"))


def test_truncated_copies_nothing_and_can_be_cut_again():
    sequences = Sequences.of(LISTS)
    cut = sequences.truncated(3, "start")
    assert cut.tokens is sequences.tokens
    assert as_lists(cut.truncated(2, "end")) == [[6, 7], [], [9], [1, 2], []]
    assert as_lists(sequences) == LISTS


def test_the_share_of_a_token_counts_what_the_sequences_hold():
    sequences = Sequences.of([[1, 5, 1], [], [7], [1, 1, 2, 3]])
    assert sequences.share_of(1) == 4 / 8
    # The tokens that were cut off lie in the same array.
    assert sequences.truncated(2, "end").share_of(1) == 3 / 5
    assert Sequences.of([[]]).share_of(1) == 0


def test_truncated_rejects_what_it_cannot_do():
    with pytest.raises(ValueError, match="longest: expected at least 1, got 0"):
        Sequences.of(LISTS).truncated(0, "end")
    with pytest.raises(ValueError, match="cut: expected 'start' or 'end', got 'middle'"):
        Sequences.of(LISTS).truncated(1, "middle")  # pyright: ignore[reportArgumentType]
