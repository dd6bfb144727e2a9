"""Data files and vocabularies that are damaged, or made to do harm: documented errors, and nothing else."""

import bz2
import csv
import functools
import gzip
import io
import itertools
import json
import lzma
import os
import re
import tarfile
import warnings
import zipfile

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest
from damage import Edit, damage, edits
from fuzz import at_most
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnjax.data import TextFormat, encode, learn_vocabulary, load_source, load_vocabulary
from rnnjax.data.encodings import found_encoding
from rnnjax.data.file_checks import DEEPEST
from rnnjax.data.text_format import DEFAULT

TEXTS, LABELS = ["good film", "bad, film", 'a "quoted" film', "ünï film"], ["1", "0", "1", "0"]


def separated(delimiter: str) -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([("text", "label"), *zip(TEXTS, LABELS, strict=True)])
    return file.getvalue().encode()


def parquet(rows: datasets.Dataset) -> bytes:
    """A file as another program may write it: `datasets` itself would look at what the columns name."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(rows.data.table, file)
    return file.getvalue()


ROWS = [{"text": text, "label": int(label)} for text, label in zip(TEXTS, LABELS, strict=True)]
FILES = {
    ".csv": separated(","),
    ".tsv": separated("\t"),
    ".txt": "".join(f"{text}\t{label}\n" for text, label in zip(TEXTS, LABELS, strict=True)).encode(),
    ".json": json.dumps(ROWS).encode(),
    ".jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
    ".parquet": parquet(datasets.Dataset.from_list(ROWS)),
}
PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
numbers = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(autouse=True)
def quiet(caplog):
    """What `datasets` logs of a file that it cannot read."""
    with caplog.at_level("CRITICAL"):
        yield


def load(loader, path, content: bytes):
    """What the loader makes of the content, or nothing where it raises the documented error, with the file's name.

    It may guess, and warn of it, with the file's name too.
    """
    path.write_bytes(content)
    loaded, message = None, str(path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            loaded = loader(path)
        except ValueError as error:
            message = str(error)
    assert all(str(path) in str(warning.message) for warning in said)
    assert str(path) in message
    return loaded


def read(path, content: bytes, given_format=DEFAULT) -> None:
    """Loads a data file; what comes is whole."""
    source = load(lambda path: load_source(str(path), given=given_format), path, content)
    if source is not None:
        assert len(source.classes) > 1
        assert all(text.strip() for text in source.train.texts)
        assert {*source.train.labels} <= set(range(len(source.classes)))


@pytest.mark.parametrize("suffix", FILES)
@settings(max_examples=at_most(25), deadline=None, derandomize=True, database=None)
@given(spots=edits(b"text", b"label", b",1\n", b'\n"', b'{"text": 1}', b"PAR1"))
@example(spots=[Edit("insert", 20, b"9" * 5000)])
@example(spots=[Edit("insert", 21, b"--1")])
@example(spots=[Edit("truncate", 9, b"")])
@example(spots=[Edit("overwrite", 0, b"BZh")])
def test_a_damaged_data_file(suffix, spots, folder):
    read(folder / f"{next(numbers)}{suffix}", damage(FILES[suffix], spots))


@pytest.mark.parametrize("suffix", PACKERS)
@settings(max_examples=at_most(25), deadline=None, derandomize=True, database=None)
@given(spots=edits(b"\x1f\x8b", b"\0"))
def test_a_damaged_compressed_file(suffix, spots, folder):
    read(folder / f"{next(numbers)}.csv{suffix}", damage(PACKERS[suffix](FILES[".csv"]), spots))


@settings(max_examples=at_most(25), deadline=None, derandomize=True, database=None)
@given(spots=edits(b"\xff\xff\xff\xff", b"\0"))
def test_a_damaged_arrow_stream(spots, folder):
    table, file = datasets.Dataset.from_list(ROWS).data.table, io.BytesIO()
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    read(folder / f"{next(numbers)}.arrow", damage(file.getvalue(), spots))


FORMATS = st.builds(
    TextFormat,
    columns=st.sampled_from([None, "label,text", "text,label", "text", "a,b,c", "label"]),
    separator=st.sampled_from([None, ";", "tab", "|", " ", "x"]),
    comment=st.sampled_from([None, "", "#", '"', "te"]),
    encoding=st.sampled_from([None, "utf-8", "utf-16", "cp1252", "utf-16-be", "shift-jis", "utf-7"]),
    skip_bad=st.booleans(),
)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
@settings(max_examples=at_most(60), deadline=None, derandomize=True, database=None)
@given(
    rows=st.lists(st.lists(st.text(max_size=9) | st.sampled_from(["text", "label", "1", "-1", "0.0"]), max_size=4)),
    separator=st.sampled_from([",", ";", "\t", "|", ", "]),
    end=st.sampled_from(["\n", "\r\n", "\r", ",\n"]),
    before=st.sampled_from(
        ["", "# title\n", "\ufeff", "text,label\n", "label\ttext\n", "text;label\n", ",text,label\n"]
    ),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-le", "cp1252", "gbk"]),
    given_format=FORMATS,
)
def test_tables_of_any_layout(suffix, rows, separator, end, before, encoding, given_format, folder):
    content = (before + "".join(separator.join(row) + end for row in rows)).encode(encoding, "ignore")
    read(folder / f"{next(numbers)}{suffix}", content, given_format)


@settings(max_examples=at_most(100), deadline=None, derandomize=True, database=None)
@given(text=st.text(min_size=1), place=st.integers(0), byte=st.binary(max_size=1))
def test_a_damaged_character_is_refused_or_said(text, place, byte, folder):
    """One byte lost or another: it is an error, or a guess that is said, or UTF-8 of other characters."""
    path, whole = folder / f"{next(numbers)}.txt", f"{text}é\t1\nb\t0\n".encode("utf-8", "ignore")
    place %= len(whole)
    content = whole[:place] + byte + whole[place + 1 :]
    path.write_bytes(content)
    try:
        encoding, how = found_encoding(path, None)
    except ValueError:
        return
    decoded = content.decode(encoding)
    assert (encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32")) == (how == "")
    if encoding == "utf-8":
        assert decoded.encode() == content


@settings(max_examples=at_most(25), deadline=None, derandomize=True, database=None)
@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["text", "label", "more"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                max_leaves=5,
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_json_of_any_types(rows, folder):
    read(folder / f"{next(numbers)}.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())


@pytest.mark.parametrize("line_ends", [b"", b"\n"])
@pytest.mark.parametrize("before", [b"", b'"]]]]]]]]\n', b']]]]\n{"a": "\\\\\\""}\n'])
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_json_is_refused_before_its_depth_takes_the_process_along(suffix, before, line_ends, folder):
    path = folder / f"{next(numbers)}{suffix}"
    levels = 500_000
    path.write_bytes(before + (b'{"a":' + line_ends) * levels + b"1" + b"}" * levels + b"\n")
    with pytest.raises(ValueError, match=f"expected lists and objects nested at most {DEEPEST} deep, got more"):
        load_source(str(path))


def test_brackets_in_a_text_are_no_depth(folder):
    path = folder / "brackets.jsonl"
    # Backslashes and quotes beside them, some of them where a block of the file ends.
    rows = [{"text": f'{"[" * 300} \\ " {n} \\', "label": n % 2} for n in range(5_000)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load_source(str(path)).train.texts == [row["text"] for row in rows]


def archive(kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as members:
            members.writestr("../../outside.csv", FILES[".csv"])
        return file.getvalue()
    if kind == "bzip2":
        return bz2.compress(FILES[".csv"])
    if kind == "gzip":
        return gzip.compress(FILES[".csv"])
    if kind == "zstd":
        return pa.compress(FILES[".csv"], "zstd", asbytes=True)
    with tarfile.open(fileobj=file, mode="w") as members:
        member = tarfile.TarInfo("../../outside.csv")
        member.size = len(FILES[".csv"])
        members.addfile(member, io.BytesIO(FILES[".csv"]))
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".txt"])
@pytest.mark.parametrize("kind", ["zip", "tar", "bzip2", "gzip", "zstd"])
def test_an_archive_is_not_unpacked(kind, suffix, tmp_path):
    path = tmp_path / f"films{suffix}"
    path.write_bytes(archive(kind))
    with pytest.raises(ValueError, match=r"films.*: expected the data itself, got an archive"):
        load_source(str(path))
    assert os.listdir(tmp_path) == [path.name]


def test_a_column_of_images_is_not_opened(folder, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"no image")
    features = datasets.Features({"text": datasets.Image(), "label": datasets.Value("int64")})
    images = [{"path": str(tmp_path / "secret.png"), "bytes": None}] * 2
    rows = datasets.Dataset.from_dict({"text": images, "label": [0, 1]}, features=features)
    path = folder / "images.parquet"
    path.write_bytes(parquet(rows))
    with pytest.raises(ValueError, match="expected texts, names or numbers in column 'text', got Image"):
        load_source(str(path))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "train.csv")
    with pytest.raises(ValueError, match=r"source: expected a file or folder, got .*train\.csv', a pipe or device"):
        load_source(str(tmp_path / "train.csv"))
    with pytest.raises(ValueError, match=r"train\.csv: expected a file, got a folder, pipe or device"):
        load_source(str(tmp_path))


def test_devices_and_strange_paths_are_not_read():
    with pytest.raises(ValueError, match="source: expected a file or folder, got '/dev/zero', a pipe or device"):
        load_source("/dev/zero")
    for path in ("\0", "~nobody-of-this-name/films.csv", "http://localhost/films.csv", "s3://films/films.csv"):
        with pytest.raises(FileNotFoundError, match=re.escape(f"source: expected {path!r}"[:17])):
            load_source(path)


@functools.cache
def vocabulary() -> dict:
    return json.loads(learn_vocabulary(TEXTS)[0].to_str())


@settings(max_examples=at_most(150), deadline=None, derandomize=True, database=None)
@given(spots=edits(b"<OOV>", b'"Regex"', b'"type":', b"WordLevel", b'"(a+)+$"'))
@example(spots=[Edit("overwrite", 500, b'"\\ud800"')])
def test_a_damaged_vocabulary(spots, folder):
    tokenizer = load(load_vocabulary, folder / "vocabulary.json", damage(json.dumps(vocabulary()).encode(), spots))
    if tokenizer is not None:
        assert encode(tokenizer, TEXTS).tokens.max() < tokenizer.get_vocab_size()


@pytest.mark.parametrize(
    "change",
    [
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Removed", "invert": False}},
        {"normalizer": None},
        {"post_processor": {"type": "TemplateProcessing"}},
        {"added_tokens": [{"id": 2, "content": "good"}]},
        {"truncation": {"max_length": 10**18}},
        {"padding": {"strategy": {"Fixed": 10**12}}},
        {"decoder": {"type": "Fuse"}},
        {"plugin": "evil"},
    ],
)
def test_a_vocabulary_with_other_parts(change, tmp_path):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps(vocabulary() | change))
    with pytest.raises(ValueError, match=f"expected the '{next(iter(change))}' of learn_vocabulary"):
        load_vocabulary(path)
    path.write_text(json.dumps(vocabulary() | {"model": vocabulary()["model"] | {"type": "BPE"}}))
    with pytest.raises(ValueError, match="expected the model 'type' of learn_vocabulary, WordLevel, got 'BPE'"):
        load_vocabulary(path)


def test_a_vocabulary_out_of_bounds(tmp_path, monkeypatch):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps(vocabulary()))
    load_vocabulary(path)
    monkeypatch.setattr("rnnjax.data.text.MOST_WORDS", 3)
    with pytest.raises(ValueError, match="expected at most 3 words, got 8"):
        load_vocabulary(path)
    monkeypatch.setattr("rnnjax.data.text.MOST_BYTES", 100)
    with pytest.raises(ValueError, match="expected at most 100 bytes, got "):
        load_vocabulary(path)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    with pytest.raises(ValueError, match=r"link\.json: expected a file, got a symbolic link"):
        load_vocabulary(link)
