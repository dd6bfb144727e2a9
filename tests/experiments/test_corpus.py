"""What a language model reads: words and characters, the parts of a text, where documents begin."""

import json
import warnings

import numpy as np
import pytest
from tiny_texts import LINES, text_of, write_treebank

from experiments.language_model.config import Documents, Language
from experiments.language_model.data import Text, encoded, read_corpus, read_source, read_text, resets_of
from rnnjax.data.byte_pairs import bytes_of


def corpus(source, **options):
    return read_corpus(Language(source=str(source), **options))


def test_the_treebanks_words_are_known_as_they_stand(tmp_path):
    found = corpus(write_treebank(tmp_path))
    assert list(found.parts) == ["train", "validation"]
    assert set(found.vocabulary.tokens) == {*" ".join(LINES).split(), "<eos>"}
    words = [found.vocabulary.tokens[token] for token in found.parts["validation"].tokens]
    assert " ".join(words).replace("<eos>", "\n").split() == text_of(12, seed=1).split()
    assert words.count("<eos>") == 12
    assert found.parts["train"].resets is None


def test_the_last_tenths_of_a_text_are_held_out(tmp_path):
    text = "".join(chr(97 + n % 26) for n in range(200))
    (tmp_path / "text.txt").write_text(text)
    found = corpus(tmp_path / "text.txt", level="character")
    got = {name: "".join(found.vocabulary.tokens[token] for token in part.tokens) for name, part in found.parts.items()}
    assert got == {"train": text[:160], "validation": text[160:180], "test": text[180:]}
    few = corpus(tmp_path / "text.txt", level="character", limit=100)
    assert [len(part.tokens) for part in few.parts.values()] == [80, 10, 10]
    less = corpus(tmp_path / "text.txt", level="character", hold_out=0.05)
    assert [len(part.tokens) for part in less.parts.values()] == [180, 10, 10]
    tested = tmp_path / "tested"
    tested.mkdir()
    (tested / "train.txt").write_text(text)
    (tested / "test.txt").write_text("abc")
    parts = corpus(tested, level="character").parts
    assert {name: len(part.tokens) for name, part in parts.items()} == {"train": 180, "validation": 20, "test": 3}


def test_rows_of_texts_are_documents(tmp_path):
    rows = [{"text": text} for text in ("a b", "c a\nb", "b") * 10]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    vocabulary, parts, _ = corpus(tmp_path / "rows.jsonl")
    train = parts["train"]
    assert train.resets is not None
    ends = [vocabulary.tokens[token] for token in train.tokens[train.resets]]
    assert set(ends) == {"<eos>"}
    # 100 words and line ends in all, 80 to train on; the line end within a row begins nothing.
    assert len(train.tokens) == 80
    assert train.resets.sum() == 24
    assert sum(train.tokens == vocabulary.line_end) == 32


def test_documents_begin_behind_the_line_end_that_is_read_before_them():
    text = Text(list("a\nb\n\nc\n"))
    assert resets_of(text, "none", "character") is None
    expected: dict[Documents, list[int]] = {"line": [1, 3, 4, 6], "blank-line": [4]}
    for documents, ends in expected.items():
        resets = resets_of(text, documents, "character")
        assert resets is not None
        np.testing.assert_array_equal(np.flatnonzero(resets), ends)


def test_another_text_has_another_fingerprint(tmp_path):
    treebank = write_treebank(tmp_path)
    prints = [corpus(treebank, **options).fingerprint for options in ({}, {"documents": "line"}, {"limit": 50})]
    assert len(set(prints)) == 3
    assert corpus(treebank).fingerprint == prints[0]


def words_of(found, part):
    return [found.vocabulary.tokens[token] for token in found.parts[part].tokens]


def test_one_line_of_words_has_no_line_end(tmp_path):
    path = tmp_path / "text8"
    words = " ".join("abcd"[n % 4] for n in range(100))
    for text in (words, f"{words}\n"):
        path.write_text(text)
        found = corpus(path)
        assert found.vocabulary.line_end is None
        assert [word for part in found.parts for word in words_of(found, part)] == words.split()
    # Words of another text with lines are read, its line ends are not.
    other = encoded(Text(["a", "b", "<eos>", "d", "<eos>"]), found.vocabulary, "line", "other")
    assert [found.vocabulary.tokens[token] for token in other.tokens] == ["a", "b", "d"]
    assert other.resets is not None
    assert other.resets.tolist() == [False, False, True]


def test_a_line_of_characters_may_end_with_a_newline(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abcd" * 25 + "\n")
    found = corpus(path, level="character")
    assert found.vocabulary.line_end is None
    assert len(found.parts["test"].tokens) == 9  # 10 of 101, without the newline
    with pytest.raises(ValueError, match=r"expected characters of the training part, .*got '\\n'"):
        encoded(Text(list("ab\ncd\n")), found.vocabulary, "none", "other")


@pytest.mark.parametrize("seed", range(5))
def test_a_text_without_a_token_keeps_its_documents(seed):
    random = np.random.default_rng(seed)
    tokens = random.choice(list("abx"), 30).tolist()
    ends = np.flatnonzero(random.random(30) < 0.3)
    found = Text(tokens, ends).without("x")
    assert found.tokens == [token for token in tokens if token != "x"]
    assert found.ends is not None
    # The first token that is left at an end or after it.
    want = {sum(token != "x" for token in tokens[:end]) for end in ends.tolist()} - {len(found.tokens)}
    assert found.ends.tolist() == sorted(want)


def test_files_of_a_folder_that_are_not_read_are_named(tmp_path):
    for name, text in {"train.txt": "a b\n" * 9, "dev.txt": "b a\n", "test.txt.7z": "a", "README": "a"}.items():
        (tmp_path / name).write_text(text)
    with pytest.warns(UserWarning, match=r": not read: test\.txt\.7z$"):
        assert list(corpus(tmp_path).parts) == ["train", "validation"]


def test_sub_words_are_learnt_from_the_training_part_only(tmp_path):
    text = "the cat sat\nthe hat\n\n" * 20
    path = tmp_path / "text.txt"
    path.write_text(text + "zzzzzzzz yyyyyyyy\n" * 10)
    found = corpus(path, level="subword", vocabulary=270, hold_out=0.2)
    whole = "".join(bytes_of(word).decode() for part in found.parts for word in words_of(found, part))
    assert whole == path.read_text()
    assert all("zz" not in token and "yy" not in token for token in found.vocabulary.tokens)
    assert "the" in found.vocabulary.tokens
    for documents, count in (("line", text.count("\n") + 10), ("blank-line", 20)):
        parts = corpus(path, level="subword", vocabulary=270, hold_out=0.2, documents=documents).parts
        resets = [part.resets for part in parts.values() if part.resets is not None]
        assert sum(int(own.sum()) for own in resets) == count
        assert all((part.tokens[part.resets] == found.vocabulary.line_end).all() for part in parts.values())


def test_rows_of_texts_are_documents_of_sub_words_too(tmp_path):
    rows = [{"text": text} for text in ("a \u7535", "c a\nb", "b") * 10]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = corpus(tmp_path / "rows.jsonl", level="subword", vocabulary=256)
    resets = [part.resets.sum() for part in found.parts.values() if part.resets is not None]
    assert sum(resets) == 30
    assert (found.parts["train"].tokens == found.vocabulary.line_end).sum() > resets[0]


def test_tables_are_read_as_their_options_say(tmp_path):
    """Parts by other names, a further file, another separator, and an encoding, which a text has as well."""
    (tmp_path / "train.csv").write_bytes("id;text\n1;ein schöner Film\n2;\n".encode("utf-16"))
    (tmp_path / "dev.csv").write_text("text;id\nein Film;3\n")
    (tmp_path / "other.csv").write_text("text\nleft\n")
    config = Language(source=str(tmp_path), separator=";", skip_bad=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        texts = read_source(str(tmp_path), "text", config, config)
    assert {part: text.tokens for part, text in texts.items()} == {
        "train": ["ein", "schöner", "Film", "<eos>"],
        "validation": ["ein", "Film", "<eos>"],
    }
    messages = [str(warning.message).removeprefix(str(tmp_path)) for warning in said]
    assert messages == [": not read: other.csv", " (train): 1 of 2 rows left out, which lack a text or label: 2"]
    (tmp_path / "text.txt").write_bytes("schön\n".encode("cp1252"))
    with pytest.warns(UserWarning, match=r"text\.txt: read as cp1252: not UTF-8, but fits a Western text"):
        assert read_text(tmp_path / "text.txt") == "schön\n"
    assert read_text(tmp_path / "text.txt", "cp1250") == "schön\n"
    with pytest.raises(ValueError, match=r"text\.txt: expected utf-8, got: .*; --encoding names another one"):
        read_text(tmp_path / "text.txt", "utf-8")
