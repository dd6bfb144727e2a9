"""Texts and tokens on disk: equal to those in memory, written once, and written again where they are broken."""

import os
import resource

import datasets
import datasets.config
import numpy as np
import pytest

from rnnjax.data import LabelledTexts, StoredTexts, encode, hold_out, learn_vocabulary, load_source, without
from rnnjax.data import text as text_module
from rnnjax.data.text import OOV, PAD

random = np.random.default_rng(0)
WORDS = [f"word{n}" for n in range(50)]
# Lengths 0, 1 and many; more rows than are read at once.
TEXTS = ["?!", "word1", " ".join(WORDS * 40), "café <br /> ÉTÉ"]
TEXTS += [" ".join(random.choice(WORDS, random.integers(0, 9))) + "." for _ in range(2500)]
LABELS = [n % 3 for n in range(len(TEXTS))]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder of `datasets`."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def stored(path, texts=TEXTS):
    """The texts as rows of a Parquet file."""
    datasets.Dataset.from_dict({"text": texts, "label": LABELS[: len(texts)]}).to_parquet(path)
    return load_source(str(path)).train


@pytest.fixture
def tokenizer():
    return learn_vocabulary(TEXTS, 30)[0]


def as_lists(sequences):
    return [sequences[n].tolist() for n in range(len(sequences))]


def files(cache, kind="tokens"):
    return sorted((cache / "rnnjax").glob(f"{kind}*"))


def test_stored_texts_are_a_sequence_of_the_same_texts(tmp_path, cache):
    texts = stored(tmp_path / "texts.parquet").texts
    assert isinstance(texts, StoredTexts)
    assert texts == TEXTS
    assert texts != TEXTS[:-1]
    assert texts != [*TEXTS[:-1], "other"]
    assert texts[3] == TEXTS[3]
    assert texts[-1] == TEXTS[-1]
    assert texts[1:2000:7] == TEXTS[1:2000:7]
    assert texts[5:5] == []
    with pytest.raises(IndexError):
        texts[len(TEXTS)]
    order = np.random.default_rng(1).permutation(len(TEXTS))
    shuffled = texts.take(order)
    assert shuffled == [TEXTS[row] for row in order]
    assert shuffled.take(np.array([4, 2, 4])) == [TEXTS[order[4]], TEXTS[order[2]], TEXTS[order[4]]]


def test_splits_of_stored_texts_are_those_of_texts_in_memory(tmp_path, cache):
    part, memory = stored(tmp_path / "texts.parquet"), LabelledTexts(TEXTS, LABELS)
    classes = ("0", "1", "2")
    assert hold_out(part, classes, 0.2, seed=3) == hold_out(memory, classes, 0.2, seed=3)
    train, held = hold_out(part, classes, 0.2, seed=3)
    kept = without(train, held)
    assert 0 < len(kept.texts) < len(train.texts)
    assert kept == without(*hold_out(memory, classes, 0.2, seed=3))
    assert learn_vocabulary(kept.texts)[0].get_vocab() == learn_vocabulary(list(kept.texts))[0].get_vocab()


def test_stored_texts_are_encoded_to_the_same_tokens_in_a_mapped_file(tmp_path, cache, tokenizer, monkeypatch):
    # Several batches of the tokenizer within one that is read.
    monkeypatch.setattr(text_module, "BATCH_CHARACTERS", 5000)
    part = stored(tmp_path / "texts.parquet")
    got, want = encode(tokenizer, part.texts), encode(tokenizer, TEXTS)
    assert as_lists(got) == as_lists(want)
    assert {0, 1, 2000} <= set(got.lengths)
    np.testing.assert_array_equal(got.lengths, want.lengths)
    assert not got.tokens.flags.writeable
    assert got.tokens.nbytes == files(cache)[0].stat().st_size
    order = np.random.default_rng(1).permutation(len(TEXTS))
    shuffled = encode(tokenizer, part.take(order).texts)
    assert as_lists(shuffled) == [want[row].tolist() for row in order]
    # Another order of the same rows is the same file.
    assert len(files(cache)) == 1
    assert as_lists(encode(tokenizer, part.take(order[:0]).texts)) == []


class Refusing:
    """A tokenizer that is not asked to encode."""

    def __init__(self, tokenizer):
        self.to_str = tokenizer.to_str


def test_the_same_texts_and_tokenizer_are_encoded_once(tmp_path, cache, tokenizer):
    want = as_lists(encode(tokenizer, stored(tmp_path / "texts.parquet").texts))
    assert as_lists(encode(Refusing(tokenizer), stored(tmp_path / "copy.parquet").texts)) == want  # pyright: ignore[reportArgumentType]
    assert len(files(cache)) == 1


def test_other_texts_and_other_tokenizers_are_other_files(tmp_path, cache, tokenizer):
    small = learn_vocabulary(TEXTS, 20)[0]
    # The same characters in all, divided otherwise.
    for number, texts in enumerate((["word1 word2", "word3"], ["word1", " word2word3"], ["word1 word2", "word3", "a"])):
        part = stored(tmp_path / f"{number}.parquet", texts)
        for known in (tokenizer, small):
            assert as_lists(encode(known, part.texts)) == as_lists(encode(known, texts))
    assert len(files(cache)) == 6


def test_a_vocabulary_is_learnt_once(tmp_path, cache, monkeypatch):
    texts = stored(tmp_path / "texts.parquet").texts
    learnt = {}
    for size in (None, 30):
        for special in ((PAD, OOV), (PAD,)):
            learnt[size, special] = learn_vocabulary(texts, size, special)
    # Two kinds of special words; a size is cut from the same words.
    assert len(files(cache, "words")) == 2
    monkeypatch.setattr(text_module, "_words", lambda *_: 1 / 0)
    for arguments, (tokenizer, count) in learnt.items():
        again, same = learn_vocabulary(texts, *arguments)
        assert (again.to_str(), same) == (tokenizer.to_str(), count)
    monkeypatch.undo()
    for arguments, (tokenizer, count) in learnt.items():
        memory, same = learn_vocabulary(TEXTS, *arguments)
        assert (memory.to_str(), same) == (tokenizer.to_str(), count)


def flip(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


BROKEN = {
    "empty": lambda content: b"",
    "short": lambda content: content[:3],
    "half": lambda content: content[: len(content) // 2],
    "without its last byte": lambda content: content[:-1],
    "a bit in the middle": lambda content: flip(content, len(content) // 2),
    "a bit of the checksum": lambda content: flip(content, len(content) - 1),
    "longer": lambda content: content + b"\0",
}


@pytest.mark.parametrize("breaking", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_written_again(breaking, tmp_path, cache, tokenizer):
    texts = stored(tmp_path / "texts.parquet").texts
    want = as_lists(encode(tokenizer, texts))
    (file,) = files(cache)
    content = file.read_bytes()
    file.write_bytes(breaking(content))
    assert as_lists(encode(tokenizer, texts)) == want
    assert files(cache) == [file]
    assert file.read_bytes() == content


def test_what_stops_in_the_middle_leaves_nothing(tmp_path, cache, tokenizer, monkeypatch):
    texts = stored(tmp_path / "texts.parquet").texts
    monkeypatch.setattr(text_module, "_record_batch", lambda ids: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encode(tokenizer, texts)
    assert files(cache) == []


def test_a_cache_folder_that_cannot_be_made_is_named(tmp_path, cache, tokenizer):
    texts = stored(tmp_path / "texts.parquet").texts
    (cache / "rnnjax").rename(tmp_path / "elsewhere")
    (cache / "rnnjax").write_text("a file")
    with pytest.raises(ValueError, match=r"rnnjax: expected a folder of user \d+ that only this user .*, got -rw-"):
        encode(tokenizer, texts)
    cache.rename(tmp_path / "moved")
    cache.write_text("a file")
    with pytest.raises(OSError, match=r"rnnjax: expected to write prepared data here, got: .*cache"):
        encode(tokenizer, texts)


def test_a_full_disk_is_named(tmp_path, cache, tokenizer):
    texts = stored(tmp_path / "texts.parquet").texts
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"rnnjax/tokens-\w{64}\.arrow: expected to write prepared .* too large"):
            encode(tokenizer, texts)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(cache) == []


def test_two_that_write_the_same_file_do_not_disturb_each_other(tmp_path, cache, tokenizer, monkeypatch):
    texts = stored(tmp_path / "texts.parquet").texts
    record_batch, others = text_module._record_batch, []

    def overtaken(ids):
        if not others:
            others.append(None)
            # Begins later and is done sooner.
            others[0] = encode(tokenizer, texts)
        return record_batch(ids)

    monkeypatch.setattr(text_module, "_record_batch", overtaken)
    got, want = encode(tokenizer, texts), as_lists(encode(tokenizer, TEXTS))
    assert as_lists(got) == want
    assert as_lists(others[0]) == want
    assert len(files(cache)) == 1


def test_lines_follow_the_files_content(tmp_path, cache):
    path = tmp_path / "lines.txt"
    for texts in (TEXTS, TEXTS[::-1]):
        path.write_text("".join(f"{text}\t{n % 2}\n" for n, text in enumerate(texts)), encoding="utf-8")
        os.utime(path, (0, 0))
        train = load_source(str(path)).train
        assert isinstance(train.texts, StoredTexts)
        assert train == LabelledTexts(texts, [n % 2 for n in range(len(texts))])
    assert len(files(cache, "lines")) == 2
