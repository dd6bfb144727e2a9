"""Files that are, or unpack to, far more than they seem are refused at once."""

import bz2
import gzip
import io
import lzma
import os
import time
import zipfile
from pathlib import Path

import datasets
import datasets.config
import pyarrow as pa
import pyarrow.parquet
import pytest

from rnnjax.data import file_checks, load_source
from rnnjax.data.series import Columns, csv_table, read_series
from rnnjax.data.text_files import read_text
from rnnjax.training import capacity


def strings(values, **options):
    """A Parquet file of these texts, with labels."""
    return written({"text": values, "label": [n % 2 for n in range(len(values))]}, **options)


def written(columns, **options):
    """A Parquet file of these columns."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), file, **options)
    return file.getvalue()


LARGE = {
    "one text in many rows": (
        lambda: strings(["x" * 10**5, "y"] * 2_000),
        r"expected at most [\d,]+ bytes of such a file, unpacked, got ",
    ),
    "compressed": (
        lambda: strings([f"{n}{'x' * 10**6}" for n in range(100)], compression="zstd", use_dictionary=False),
        r"expected at most [\d,]+ bytes of such a file, unpacked, got [\d,]{11}",
    ),
    "rows of one label": (
        lambda: strings(["a", "b"] * 2_500_000),
        r"expected at most [\d,]+ bytes of such a file, unpacked, got 80,000,000",
    ),
    "columns": (
        lambda: written({f"c{n}": ["a"] for n in range(1_001)}),
        "expected at most 1,000 columns, got 1,001",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE)
def test_parquet_that_unpacks_to_far_more_than_it_is(case, tmp_path):
    write, message = LARGE[case]
    path = tmp_path / "table.parquet"
    path.write_bytes(write())
    with pytest.raises(ValueError, match=rf"\.parquet: .*{message}"):
        load_source(str(path))


def zip_of(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return file.getvalue()


PACKERS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
    ".zip": zip_of,
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_compressed_file_that_unpacks_to_far_more_than_it_is(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(file_checks, "SMALL_BYTES", 2 * file_checks.BLOCK)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes(PACKERS[suffix](b"text,label\n" + b"x" * 4 * file_checks.BLOCK))
    with pytest.raises(ValueError, match=rf"\{suffix}: expected at most 2,097,152 bytes of such a file, unpacked"):
        load_source(str(path))
    assert list((tmp_path / "cache" / "rnnjax").iterdir()) == []


@pytest.mark.parametrize("header", ["{}", '"text\nlabel",{}'])
def test_a_table_of_100000_columns(header, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(header.format(",".join(f"c{n}" for n in range(100_000))) + "\n1\n")
    begun = time.perf_counter()
    for read_it in (load_source, lambda name: read_series(Path(name), Columns())):
        with pytest.raises(ValueError, match=r"\.csv(, line 1)?: expected at most 1,000 columns, got 100,00"):
            read_it(str(path))
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".parquet", ".txt"])
def test_a_file_of_holes_is_not_read(suffix, tmp_path):
    path = tmp_path / f"table{suffix}"
    path.write_bytes(b"text\tlabel\n")
    os.truncate(path, 200 * 10**9)
    readers = [load_source, lambda name: read_series(Path(name), Columns()), lambda name: read_text(Path(name))]
    begun = time.perf_counter()
    for read_it in readers:
        with pytest.raises(ValueError, match=r"expected at most 67,108,864 bytes of a file that takes [\d,]+ on disk"):
            read_it(str(path))
    assert time.perf_counter() - begun < 1
    path.unlink()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl", ".txt"])
def test_a_line_longer_than_any_text(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(file_checks, "MOST_LINE_BYTES", 3 * file_checks.BLOCK)
    path = tmp_path / f"table{suffix}"
    short, long = (b"x" * (times * file_checks.BLOCK + 9) for times in (2, 3))
    path.write_bytes(short + b"\n" + short + b"\n" + short)
    file_checks.check_lines(path)
    path.write_bytes(b"a\n" + short + b"\n" + long + b"\nb")
    with pytest.raises(ValueError, match="expected lines of at most 3,145,728 bytes, got a longer one"):
        load_source(str(path))


def test_a_whole_file_larger_than_the_memory_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "table.txt"
    path.write_bytes(b"date,value\n")
    monkeypatch.setattr(capacity, "memory", lambda: 10)
    with pytest.raises(ValueError, match=r"\.txt: expected at most 10 bytes, this machine's memory, got "):
        read_text(path)
    monkeypatch.setattr(csv_table, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match=r"\.txt: expected at most 10 bytes, got "):
        read_series(path, Columns())
