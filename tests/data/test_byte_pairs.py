"""Sub-words of language models: the tokens spell the text, and pairs are joined as a few lines of Python do it."""

import itertools
import json

import numpy as np
import pytest
from damage import damage, edits
from fuzz import at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from rnnjax.data import TokenVocabulary
from rnnjax.data.byte_pairs import BYTES, NEWLINE, bytes_of, learn_merges

TEXT = "the cat sat on the mat\na cat and a hat\n\nthat fat rat sat\n" * 3
LEARNT = TokenVocabulary.learn(TEXT, "subword", 270)


def spelt(vocabulary, tokens):
    return b"".join(bytes_of(vocabulary.tokens[token]) for token in tokens).decode()


def test_bytes_are_written_as_the_library_writes_them():
    assert sorted(BYTES) == sorted(pre_tokenizers.ByteLevel.alphabet())
    for byte in range(128):
        ((shown, _),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(chr(byte))
        assert shown == BYTES[byte]


@settings(max_examples=at_most(300))
@given(text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("the cat\n\r \U0001f600\u7535")))
def test_the_tokens_of_any_text_spell_it(text):
    tokens = LEARNT.encode(list(text), "here")
    assert tokens.dtype == np.int32
    assert spelt(LEARNT, tokens) == text
    # A newline is always a token of its own.
    assert np.count_nonzero(tokens == LEARNT.line_end) == text.count("\n")


@settings(max_examples=at_most(100))
@given(lines=st.lists(st.text(st.sampled_from("thecatsmonfr ")), max_size=5))
def test_lines_are_encoded_alone(lines):
    whole = LEARNT.encode([*"\n".join(lines)], "here").tolist()
    each = [[*LEARNT.encode([*line], "here").tolist(), LEARNT.line_end] for line in lines]
    assert whole == list(itertools.chain.from_iterable(each))[:-1]


def test_pairs_are_joined_in_their_order():
    for word in ("the", "cat", "that", "hat", "than"):
        parts = list(word)
        for first, second in LEARNT.merges:
            n = 0
            while n + 1 < len(parts):
                if parts[n : n + 2] == [first, second]:
                    parts[n : n + 2] = [first + second]
                n += 1
        assert [LEARNT.tokens[token] for token in LEARNT.encode([*word], "here")] == parts
    assert LEARNT.merges[0] == ("a", "t")  # the most frequent pair
    assert (len(LEARNT), LEARNT.unknown, LEARNT.line_end) == (270, None, BYTES.index(NEWLINE))


def test_a_vocabulary_has_room_for_all_bytes():
    assert learn_merges(TEXT, 256) == ()
    with pytest.raises(ValueError, match="vocabulary: expected at least 256 tokens, one for each byte, got 255"):
        learn_merges(TEXT, 255)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vocabularies")


def test_a_vocabulary_comes_back_from_its_file(folder):
    (folder / "own.json").write_text(LEARNT.to_str(pretty=True))
    assert TokenVocabulary.load(folder / "own.json") == LEARNT


@settings(max_examples=at_most(150), deadline=None, derandomize=True, database=None)
@given(spots=edits(b'"subword"', b'"word"', b'"a"', b'["a", "t"]', b"null", b"\\u0120", b'"merges"'))
def test_a_damaged_file(spots, folder):
    path = folder / "damaged.json"
    path.write_bytes(damage(json.dumps(json.loads(LEARNT.to_str())).encode(), spots))
    vocabulary = message = None
    try:
        vocabulary = TokenVocabulary.load(path)
    except ValueError as error:
        message = str(error)
    assert message is None or str(path) in message
    if vocabulary is not None and vocabulary.level == "subword":
        assert spelt(vocabulary, vocabulary.encode(list(TEXT), "here")) == TEXT
