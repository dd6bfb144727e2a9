"""Words and characters as they stand, and what is known of them."""

import json

import numpy as np
import pytest

from rnnjax.data import TokenVocabulary, split_text
from rnnjax.data.byte_pairs import BYTES

TEXT = " no it was n't black monday \n but while the <unk> <unk>\n\nN N"


def test_words_stand_as_they_are_and_each_line_ends():
    words = split_text(TEXT, "word")
    assert words[:7] == ["no", "it", "was", "n't", "black", "monday", "<eos>"]
    assert words[7:] == ["but", "while", "the", "<unk>", "<unk>", "<eos>", "<eos>", "N", "N", "<eos>"]
    assert split_text(TEXT + "\n", "word") == words
    assert split_text("", "word") == []


def test_characters_are_the_text():
    assert "".join(split_text(TEXT, "character")) == TEXT


def test_the_most_frequent_tokens_are_known_and_the_others_are_unknown():
    vocabulary = TokenVocabulary.learn(["the", "cat", "the", "dog", "a", "dog", "the", "<unk>", "a"], "word", 4)
    assert vocabulary.tokens == ("the", "a", "dog", "<unk>")
    np.testing.assert_array_equal(vocabulary.encode(["dog", "cat", "the"], "here"), [2, 3, 0])
    assert vocabulary.encode([], "here").dtype == np.int32


def test_nothing_is_unknown_that_the_text_does_not_leave_out():
    own = TokenVocabulary.learn(["a", "b", "<unk>"], "word", 3)
    assert own.tokens == ("<unk>", "a", "b")
    whole = TokenVocabulary.learn(["a", "b"], "word", 2)
    assert (whole.tokens, whole.unknown, whole.line_end) == (("a", "b"), None, None)
    message = (
        "there: expected words of the training part, which has no <unk>, got 'x' and 1 others; with a vocabulary below"
    )
    with pytest.raises(ValueError, match=message):
        whole.encode(["a", "x", "y", "x"], "there")


def test_a_vocabulary_comes_back_from_its_file(tmp_path):
    vocabulary = TokenVocabulary.learn(TEXT, "character", 7)
    (tmp_path / "vocabulary.json").write_text(vocabulary.to_str(pretty=True), encoding="utf-8")
    assert TokenVocabulary.load(tmp_path / "vocabulary.json") == vocabulary
    assert vocabulary.unknown == 6


BAD_FILES = {
    "other": ({"a": 1}, "expected a level, and lists of tokens and merges"),
    "level": (
        {"level": "byte", "tokens": ["a"]},
        r"expected one of \['word', 'subword', 'character'\], got 'byte'",
    ),
    "level_list": ({"level": ["word"], "tokens": ["a"]}, "level: expected one of"),
    "twice": ({"level": "word", "tokens": ["a", "a"]}, "tokens: expected unique tokens, got a duplicate"),
    "none": ({"level": "word", "tokens": []}, "tokens: expected 1 to 10,000,000, got 0"),
    "number": ({"level": "word", "tokens": [1]}, "tokens: expected words, got 1"),
    "list": ({"level": "word", "tokens": [["a"]]}, r"tokens: expected words, got \['a'\]"),
    "long": ({"level": "character", "tokens": ["ab"]}, "tokens: expected characters, got 'ab'"),
    "merges_of_words": ({"level": "word", "tokens": ["a"], "merges": [["a", "a"]]}, "merges: expected none of words"),
    "no_bytes": ({"level": "subword", "tokens": ["a"]}, "tokens: expected the 256 bytes and each of the merges"),
    "no_pair": ({"level": "subword", "tokens": [*BYTES], "merges": [["a"]]}, "expected pairs of tokens as merges"),
    "numbers": ({"level": "subword", "tokens": [*BYTES], "merges": [[1, 2]]}, "expected pairs of tokens as merges"),
    "stranger": (
        {"level": "subword", "tokens": [*BYTES], "merges": [["a", "bc"]]},
        "pairs of tokens, got 'bc'",
    ),
    "joined": ({"level": "subword", "tokens": [*BYTES], "merges": [["a", "b"]]}, "and each of the merges, got others"),
    "order": ({"level": "subword", "tokens": [*BYTES[::-1]]}, "tokens: expected the 256 bytes"),
    "empty": ({"level": "character", "tokens": [""]}, "tokens: expected characters, got ''"),
}


@pytest.mark.parametrize(("values", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_of_something_else_is_named(values, message, tmp_path):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"merges": []} | values))
    with pytest.raises(ValueError, match=message):
        TokenVocabulary.load(path)


def test_there_must_be_room_and_a_file(tmp_path):
    with pytest.raises(ValueError, match=r"vocabulary: expected at least 2 \(<unk> and one more\), got 1"):
        TokenVocabulary.learn("ab", "character", 1)
    with pytest.raises(FileNotFoundError, match="vocabulary: expected a file, got"):
        TokenVocabulary.load(tmp_path / "vocabulary.json")
