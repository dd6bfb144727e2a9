"""Byte pair encoding: learnt and applied as a few lines of Python do it; nothing is unknown; files are checked."""

import collections
import itertools
import json
import re
from unicodedata import normalize

import numpy as np
import pytest
from damage import damage, edits
from fuzz import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.data import StoredTexts, encode, learn_vocabulary, load_vocabulary
from rnnjax.data.ngrams import NgramVocabulary
from rnnjax.data.splitting import Kind

# What is not kept: entities and line breaks of HTML, apostrophes of typesetting, and what is not seen.
CHANGED = "&<\u00ad\u00b4\u02bc\u2018\u2019\u201b\u2032\ufeff\uff07" + "".join(map(chr, range(0x200B, 0x2070)))
SIZE = 278  # two special tokens, 256 bytes, 20 merges
TEXTS = ["the cat sat on the mat", "a cat and a hat", "that fat rat sat", "cats at the mat"] * 3


def learnt(size=SIZE, **options):
    tokenizer, count = learn_vocabulary(TEXTS, size, kind="bpe", **options)
    return tokenizer, json.loads(tokenizer.to_str())["model"], count


def pieces(text):
    """Words of ASCII letters with the space before them, as the characters of GPT-2."""
    return [word.replace(" ", "\u0120") for word in re.findall(r" ?[a-zA-Z]+", text)]


def joined(word, pair):
    """A word with each occurrence of the pair as one."""
    found, n = [], 0
    while n < len(word):
        if tuple(word[n : n + 2]) == tuple(pair):
            found.append("".join(pair))
            n += 2
        else:
            found.append(word[n])
            n += 1
    return found


def test_each_merge_is_of_the_most_frequent_pair():
    _, model, count = learnt()
    words = [list(word) for text in TEXTS for word in pieces(text)]
    assert len(model["merges"]) == SIZE - 258
    assert count == SIZE - 2
    for pair in map(tuple, model["merges"]):
        counts = collections.Counter(two for word in words for two in itertools.pairwise(word))
        assert counts[pair] == max(counts.values())
        words = [joined(word, pair) for word in words]


@settings(max_examples=at_most(100))
@given(text=st.text(st.sampled_from("catshmneo  "), max_size=40))
def test_a_text_is_encoded_by_the_merges_in_their_order(text):
    tokenizer, model, _ = learnt()
    text = text.strip()
    text = re.sub(" +", " ", text)
    want = []
    for word in pieces(text):
        parts = list(word)
        for pair in model["merges"]:
            parts = joined(parts, pair)
        want += [model["vocab"][part] for part in parts]
    assert encode(tokenizer, [text])[0].tolist() == want


@settings(max_examples=at_most(200))
@given(text=st.text(st.characters(exclude_categories=["Cn", "Cs"], exclude_characters=CHANGED), max_size=40))
def test_nothing_is_unknown_and_nothing_is_lost(text):
    tokenizer, _, _ = learnt(lowercase=False)
    tokens = encode(tokenizer, [text])[0]
    assert (tokens > 1).all()
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = itertools.count(256)
    byte_of = {chr(byte if byte in shown else next(others)): byte for byte in range(256)}
    known = {index: word for word, index in tokenizer.get_vocab().items()}
    assert bytes(byte_of[character] for token in tokens.tolist() for character in known[token]).decode() == normalize(
        "NFC", text
    )


def test_a_text_that_spells_a_special_token_is_a_text():
    tokenizer, _ = learn_vocabulary(["<PAD> <OOV>"] * 9, 400, kind="bpe", lowercase=False)
    assert (encode(tokenizer, ["<PAD><OOV> <PAD>"])[0] > 1).all()


def test_case_and_breaks():
    lower, _, _ = learnt()
    assert encode(lower, ["The CAT<br />sat"])[0].tolist() == encode(lower, ["the cat sat"])[0].tolist()
    kept, _, _ = learnt(lowercase=False)
    assert encode(kept, ["CAT"])[0].tolist() != encode(kept, ["cat"])[0].tolist()


def test_n_grams_of_sub_words_are_counted():
    tokenizer, _, _ = learnt()
    sequences = encode(tokenizer, TEXTS)
    found = NgramVocabulary.learn(sequences, tokenizer.get_vocab_size(), 3, 3)
    grams = {
        tuple(tokens[end - size : end].tolist())
        for tokens in (sequences[n] for n in range(4))
        for size in (1, 2, 3)
        for end in range(size, len(tokens) + 1)
    }
    assert len(found.keys) == len(grams)  # each text is there three times


def test_stored_texts_have_the_sub_words_of_the_same_texts_in_memory(tmp_path):
    import datasets

    table = datasets.Dataset.from_dict({"text": TEXTS})
    stored = StoredTexts(table, "text", np.arange(len(TEXTS)))
    for _ in range(2):  # learnt, then from the cache
        assert learn_vocabulary(stored, SIZE, kind="bpe")[0].to_str() == learnt()[0].to_str()
    assert learn_vocabulary(stored, SIZE - 1, kind="bpe")[0].to_str() == learnt(SIZE - 1)[0].to_str()


def test_sizes_and_kinds_that_do_not_fit():
    assert learnt(258)[2] == 256
    with pytest.raises(
        ValueError, match=r"vocabulary size: expected at least 258 \(padding, unknown, 256 bytes\), got 257"
    ):
        learnt(257)
    with pytest.raises(ValueError, match="kind: expected one of words, bpe, got 'letters'"):
        learn_vocabulary(TEXTS, kind="letters")  # pyright: ignore[reportArgumentType]


# Files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vocabularies")


def written(folder, content):
    path = folder / "vocabulary.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


@pytest.mark.parametrize("lowercase", [True, False])
def test_a_saved_vocabulary_encodes_the_same(lowercase, tmp_path):
    tokenizer, _, _ = learnt(lowercase=lowercase)
    path = written(tmp_path, tokenizer.to_str(pretty=True).encode())
    loaded = load_vocabulary(path, "bpe", lowercase)
    assert loaded.to_str() == tokenizer.to_str()
    others: list[tuple[Kind, bool]] = [("bpe", not lowercase), ("words", lowercase)]
    for other in others:
        with pytest.raises(ValueError, match="of learn_vocabulary"):
            load_vocabulary(path, *other)


@settings(max_examples=at_most(150), deadline=None, derandomize=True, database=None)
@given(spots=edits(b"<OOV>", b'"Regex"', b'"type":', b"BPE", b'"a"', b'"merges"', b"\\u0120", b"null", b"true"))
def test_a_damaged_vocabulary(spots, folder):
    path = written(folder, damage(learnt()[0].to_str().encode(), spots))
    try:
        tokenizer = load_vocabulary(path, "bpe")
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        tokens = encode(tokenizer, TEXTS).tokens
        assert 1 < tokens.min() <= tokens.max() < tokenizer.get_vocab_size()


def changed(change):
    value = json.loads(learnt()[0].to_str())
    change(value["model"])
    return value


BAD = {
    "no merges": (lambda model: model.pop("merges"), "expected pairs of sub-words"),
    "a merge of three": (lambda model: model["merges"].append(["a", "b", "c"]), "expected pairs of sub-words"),
    "a merge of numbers": (lambda model: model["merges"].append([1, 2]), "expected pairs of sub-words"),
    "an unknown part": (lambda model: model["merges"].append(["qq", "a"]), "expected pairs of sub-words"),
    "an unknown result": (lambda model: model["merges"].append(["q", "q"]), "and what is merged as vocabulary"),
    "a merge less": (lambda model: model["merges"].pop(), "and what is merged as vocabulary"),
    "a byte less": (lambda model: model["vocab"].update({"qqq": model["vocab"].pop("q")}), "expected"),
    "dropout": (lambda model: model.update(dropout=0.5), "expected the model 'dropout' of learn_vocabulary"),
    "a prefix": (lambda model: model.update(continuing_subword_prefix="##"), "expected the model 'continuing_subword_"),
    "words": (lambda model: model.update(type="WordLevel"), "expected the model 'type' of learn_vocabulary, BPE"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_vocabulary_that_does_not_fit(case, tmp_path):
    change, message = BAD[case]
    with pytest.raises(ValueError, match=rf"vocabulary\.json: .*{message}"):
        load_vocabulary(written(tmp_path, changed(change)), "bpe")


def test_a_merge_that_makes_padding(tmp_path):
    pairs = [["P", "A"], ["PA", "D"], ["PAD", ">"], ["<", "PAD>"]]
    value = changed(lambda model: model["merges"].extend(pairs))
    value["model"]["vocab"] |= {"PA": SIZE, "PAD": SIZE + 1, "PAD>": SIZE + 2}
    with pytest.raises(ValueError, match="expected <PAD>, <OOV>, the 256 bytes"):
        load_vocabulary(written(tmp_path, value), "bpe")
