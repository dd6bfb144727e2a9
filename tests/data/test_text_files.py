"""Text files of language models: the parts of a folder by their names, compressed files, and the ends of lines."""

import gzip
import os
import re

import pytest
from fuzz import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.data import file_checks
from rnnjax.data.source_parts import PART_OF
from rnnjax.data.text_files import read_text, text_parts
from rnnjax.training import capacity


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("texts")


def made(folder, *names):
    for name in names:
        (folder / name).write_text("a\n")
    return text_parts(folder)


@pytest.mark.parametrize("suffix", [".txt", ".tokens", ".raw", ".text", ".txt.gz", ".txt.xz", ".TXT"])
@pytest.mark.parametrize("start", ["", "ptb.", "wiki-", "my_news_", "a.b."])
def test_a_part_is_known_by_its_name(start, suffix, tmp_path):
    for name, part in PART_OF.items():
        folder = tmp_path / name
        folder.mkdir()
        own = f"{start}{name}{suffix}"
        others = [] if part == "train" else ["train.txt"]
        found = made(folder, own, *others)
        assert found[part].name == own
        assert len(found) == 1 + len(others)


def test_what_looks_like_a_part_and_is_not_read_is_named(tmp_path):
    names = ("train.md", "valid.txt.7z", "test.csv", "train-00000.parquet", "more.txt", "Dev", "x.raw.zip")
    others = ("latest.py", "README.txt", "LICENSE", "contest.json", ".train.txt", "._train.txt", "retrain.yaml")
    with pytest.warns(UserWarning, match="not read: ") as said:
        found = made(tmp_path, "train.txt", *names, *others)
    (message,) = [str(warning.message) for warning in said]
    assert set(message.removeprefix(f"{tmp_path}: not read: ").split(", ")) == set(names)
    assert list(found) == ["train"]


def test_two_files_of_one_part_and_no_training_part_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a file train\.txt, got \['dev\.txt'\]"):
        made(tmp_path, "dev.txt")
    with pytest.raises(ValueError, match=r"expected one file of the validation part, got dev\.txt, val\.txt\.gz"):
        made(tmp_path, "train.txt", "val.txt.gz")
    other = tmp_path / "other"
    other.mkdir()
    assert made(other, "notes.md") == {}


LINES = st.lists(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])), min_size=1)


@settings(max_examples=at_most(100))
@given(lines=LINES, end=st.sampled_from(["\n", "\r\n", "\r"]), mark=st.booleans(), packed=st.booleans())
def test_every_line_end_is_a_newline(folder, lines, end, mark, packed):
    text = "\n".join(lines)
    if text.startswith("\ufeff"):
        mark = True  # else it would be taken for the mark
    content = text.replace("\n", end).encode("utf-8-sig" if mark else "utf-8")
    path = folder / ("text.gz" if packed else "text")
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read_text(path) == text


@pytest.mark.filterwarnings("ignore:.*read as", "ignore:.*null characters")
@settings(max_examples=at_most(200))
@given(content=st.binary(max_size=200), packed=st.booleans(), cut=st.integers(0, 30), at=st.integers(0, 60))
def test_any_bytes_are_a_text_or_a_documented_error(folder, content, packed, cut, at):
    if packed:
        content = gzip.compress(content)
        content = content[: max(len(content) - cut, 2)]
        content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] if 2 <= at < len(content) else content
    path = folder / ("bytes.gz" if packed else "bytes")
    path.write_bytes(content)
    text = message = ""
    try:
        text = read_text(path)
    except ValueError as error:
        message = str(error)
    assert "\r" not in text
    documented = "expected UTF-8|expected utf-|not readable as .gz|expected the data itself"
    assert not message or re.search(documented, message)


def test_null_characters_are_said(tmp_path):
    (tmp_path / "text").write_bytes(b"one film\nanother\0 film\0\n")
    with pytest.warns(UserWarning, match="text: 2 null characters, the first in line 2: it may be damaged"):
        assert read_text(tmp_path / "text") == "one film\nanother\0 film\0\n"


def test_what_unpacks_to_far_more_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(file_checks, "SMALL_BYTES", 1000)
    path = tmp_path / "bomb.txt.gz"
    path.write_bytes(gzip.compress(b"a" * 10**6))
    most = file_checks.MOST_TIMES * path.stat().st_size
    message = rf"bomb\.txt\.gz: not readable as \.gz: expected at most {most:,} bytes of such a file, unpacked"
    with pytest.raises(ValueError, match=message):
        read_text(path)
    path.write_bytes(gzip.compress(os.urandom(500)))
    monkeypatch.setattr(capacity, "memory", lambda: 400)
    with pytest.raises(ValueError, match="expected at most 400 bytes, this machine's memory, got 500"):
        read_text(path)
    path.write_bytes(gzip.compress(b"a b"))
    os.truncate(path, 10**12)
    with pytest.raises(ValueError, match=r"expected at most [\d,]+ bytes of a file that takes [\d,]+ on disk"):
        read_text(path)


def test_a_truncated_file_is_an_error(tmp_path):
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(b"some words " * 50)[:-5])
    with pytest.raises(ValueError, match=r"text\.gz: not readable as \.gz: "):
        read_text(path)
