"""What a stranger's data file could do to the libraries that read it, looked for before they do."""

import codecs
import csv
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

# By what a compressed file begins with `datasets` knows it, whatever its name, and unpacks it.
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"7z\xbc\xaf", b"Rar!")
# Arrow's own limit of nested columns; far beyond it, its reader of JSON runs out of stack and takes the process along.
DEEPEST = 64
BLOCK = 1 << 20
# Of a table that a user would read: every column more costs a buffer in each batch.
MOST_COLUMNS = 1_000
# A line is read as a whole, and of a CSV file all lines of a header that quote marks hold together.
MOST_LINE_BYTES = 256 * 2**20
MOST_HEADER_BYTES = 2**20
# How many times its size on disk a file may have: a text that compresses so well says nothing. Small files may.
MOST_TIMES = 100
SMALL_BYTES = 64 * 2**20
# Rows that are unpacked at once to be measured.
BATCH_ROWS = 1_000
_compute: Any = pyarrow.compute  # whose functions are made when it is imported

# What of JSON has structure: a newline ends whatever string was not closed before it.
NEWLINE, QUOTE, OPEN, CLOSE = 1, 2, 3, 4
_KINDS = np.zeros(256, np.uint8)
for _bytes, _kind in ((b"\n", NEWLINE), (b'"', QUOTE), (b"[{", OPEN), (b"]}", CLOSE)):
    _KINDS[list(_bytes)] = _kind


def check_file(path: Path) -> None:
    """Raises ValueError for an archive or a compressed file, which could hold anything under any name and size.

    So may a file of holes, which takes no place on its disk.
    """
    found = path.stat()
    most = most_bytes(found.st_blocks * 512)
    if found.st_size > most:
        raise ValueError(
            f"{path}: expected at most {most:,} bytes of a file that takes {found.st_blocks * 512:,} on disk, "
            f"got {found.st_size:,}"
        )
    with path.open("rb") as file:
        packed = file.read(8).startswith(COMPRESSED)
    if packed or zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        raise ValueError(f"{path}: expected the data itself, got an archive or a compressed file; unpack it first")


def most_bytes(stored: int) -> int:
    """How many bytes may come of so many stored ones."""
    return max(MOST_TIMES * stored, SMALL_BYTES)


def check_lines(path: Path) -> None:
    """Raises ValueError for a line longer than any text."""
    length = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            first, last = block.find(b"\n"), block.rfind(b"\n")
            length += len(block) if first < 0 else first
            if length > MOST_LINE_BYTES:
                raise ValueError(f"{path}: expected lines of at most {MOST_LINE_BYTES:,} bytes, got a longer one")
            length = length if last < 0 else len(block) - last - 1


def check_utf8(path: Path) -> None:
    """Raises ValueError for a file that is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    with path.open("rb") as file:
        while True:
            block = file.read(1 << 20)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}: expected UTF-8, got an invalid byte near offset {done + error.start}"
                ) from error
            if not block:
                return
            done += len(block)


def check_header(path: Path, separator: str) -> None:
    """Raises ValueError for a CSV file of more columns than `MOST_COLUMNS`, or names longer than any."""
    with path.open("rb") as file:
        start = file.read(MOST_HEADER_BYTES)
    # Fields are counted where quotes join lines to one header, as the readers do.
    lines = start.decode("utf-8", "replace").splitlines(keepends=True)
    try:
        columns = len(next(csv.reader(lines, delimiter=separator), []))
    except csv.Error as error:
        raise ValueError(f"{path}: expected a line of column names, got: {error}") from error
    if columns > MOST_COLUMNS:
        raise ValueError(f"{path}: expected at most {MOST_COLUMNS:,} columns, got {columns:,}")


def check_parquet(path: Path, columns: list[str]) -> None:
    """Raises ValueError for a Parquet file of too many columns, or one that unpacks to far more than it is.

    What a file says of itself is asked first; then its texts are measured batch by batch, as indices into the few
    different ones that it may hold for millions of rows.
    """
    most = most_bytes(path.stat().st_size)
    with pyarrow.parquet.ParquetFile(path) as file:
        found, schema = file.metadata, file.schema_arrow
        if found.num_columns > MOST_COLUMNS:
            raise ValueError(f"{path}: expected at most {MOST_COLUMNS:,} columns, got {found.num_columns:,}")
        # No less than what is in its row groups, and than a number a row.
        groups = sum(found.row_group(row).total_byte_size for row in range(found.num_row_groups))
        _check_unpacked(path, max(groups, 8 * found.num_rows * found.num_columns), most)
    texts = [name for name in columns if name in schema.names and _is_text(schema.field(name).type)]
    if not texts:
        return
    unpacked = 0
    with pyarrow.parquet.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=texts):
            unpacked += sum(map(_text_bytes, batch.columns))
            _check_unpacked(path, unpacked, most)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _text_bytes(column: Any) -> int:
    if pa.types.is_dictionary(column.type):
        lengths = _compute.binary_length(column.dictionary).take(column.indices)
    else:
        lengths = _compute.binary_length(column)
    return _compute.sum(_compute.cast(lengths, pa.int64())).as_py() or 0


def _check_unpacked(path: Path, unpacked: int, most: int) -> None:
    if unpacked > most:
        raise ValueError(f"{path}: expected at most {most:,} bytes of such a file, unpacked, got {unpacked:,}")


def check_depth(path: Path) -> None:
    """Raises ValueError for a JSON file whose lists and objects are nested more than `DEEPEST` deep."""
    depth, quoted, rest = 0, False, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            block = rest + block
            # An escape that the block's end cuts in two waits for the next one.
            cut = len(block) - (len(block) - len(block.rstrip(b"\\"))) % 2
            block, rest = block[:cut], block[cut:]
            kinds = _KINDS[np.frombuffer(re.sub(rb"\\[^\n]", b"  ", block) if b"\\" in block else block, np.uint8)]
            kinds = kinds[kinds > 0]
            inside = _inside_strings(kinds, quoted)
            quoted = bool(inside[-1]) if len(inside) else quoted
            steps = ((kinds == OPEN) & ~inside).astype(np.int64) - ((kinds == CLOSE) & ~inside)
            # A sum that never falls below zero: what closes nothing does not hide what follows.
            total = depth + np.cumsum(steps)
            depths = total - np.minimum(np.minimum.accumulate(total), 0)
            if len(depths) and depths.max() > DEEPEST:
                raise ValueError(f"{path}: expected lists and objects nested at most {DEEPEST} deep, got more")
            depth = int(depths[-1]) if len(depths) else depth


def _inside_strings(kinds: np.ndarray, quoted: bool) -> np.ndarray:
    """Whether each place, once it is read, is inside a string: quotes since the last newline, odd or even."""
    quotes = np.cumsum(kinds == QUOTE) + quoted
    before = np.maximum.accumulate(np.where(kinds == NEWLINE, quotes, 0))
    return (quotes - before) % 2 == 1


def check_column(rows: datasets.Dataset, column: str, path: Path) -> None:
    """Raises ValueError for a column that `datasets` would decode, or that is damaged: UTF-8 that is none, say.

    An image may name any file or address, which would be opened.
    """
    if _decoded(rows.features[column]):
        kind = type(rows.features[column]).__name__
        raise ValueError(f"{path}: expected texts, names or integers in column {column!r}, got {kind}")
    try:
        rows.data.column(column).validate(full=True)
    except ValueError as error:
        raise ValueError(f"{path}: expected a whole column {column!r}, got: {error}") from error


def _decoded(feature: Any) -> bool:
    if isinstance(feature, dict):
        return any(map(_decoded, feature.values()))
    inner = getattr(feature, "feature", None)
    return _decoded(inner) if inner is not None else hasattr(feature, "decode_example")
