"""Checks of untrusted data files, before libraries read them."""

import csv
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

# The first bytes of compressed files. `datasets` recognises them, whatever the name of the file, and unpacks it.
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"7z\xbc\xaf", b"Rar!")
# Arrow's limit of nested columns. Far beyond it, a stack overflow in its JSON reader would crash the process.
DEEPEST = 64
BLOCK = 1 << 20
# Limit on the columns of a table: each column needs a buffer in each batch.
MOST_COLUMNS = 1_000
# Limits on what is read as a whole: a line, and the header of a CSV file, which quote marks can extend over lines.
MOST_LINE_BYTES = 256 * 2**20
MOST_HEADER_BYTES = 2**20
# Limit on the unpacked size relative to the size on disk, except for small files: real texts compress less.
MOST_TIMES = 100
SMALL_BYTES = 64 * 2**20

# Characters with a structural role in JSON. A newline ends a string that was not closed.
NEWLINE, QUOTE, OPEN, CLOSE = 1, 2, 3, 4
_KINDS = np.zeros(256, np.uint8)
for _bytes, _kind in ((b"\n", NEWLINE), (b'"', QUOTE), (b"[{", OPEN), (b"]}", CLOSE)):
    _KINDS[list(_bytes)] = _kind


def check_file(path: Path, packed: bool = False) -> None:
    """Raises ValueError for a sparse file that is far larger than its space on disk.

    Unless it is to be unpacked, also for an archive or a compressed file, which could contain files of any name and
    size.
    """
    found = path.stat()
    most = most_bytes(found.st_blocks * 512)
    if found.st_size > most:
        raise ValueError(
            f"{path}: expected at most {most:,} bytes of a file that takes {found.st_blocks * 512:,} on disk, "
            f"got {found.st_size:,}"
        )
    if packed:
        return
    with path.open("rb") as file:
        compressed = file.read(8).startswith(COMPRESSED)
    if compressed or zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        raise ValueError(
            f"{path}: expected the data itself, got an archive or a compressed file; unpack it first, or name it by "
            f"what it is: {path.name}.gz, .bz2, .xz, .zst or .zip"
        )


def most_bytes(stored: int) -> int:
    """The maximum unpacked size for this many stored bytes."""
    return max(MOST_TIMES * stored, SMALL_BYTES)


def check_lines(path: Path) -> None:
    """Raises ValueError for a line longer than `MOST_LINE_BYTES`."""
    length = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            first, last = block.find(b"\n"), block.rfind(b"\n")
            length += len(block) if first < 0 else first
            if length > MOST_LINE_BYTES:
                raise ValueError(f"{path}: expected lines of at most {MOST_LINE_BYTES:,} bytes, got a longer one")
            length = length if last < 0 else len(block) - last - 1


def check_header(path: Path, separator: str, **options: Any) -> list[str]:
    """The fields of the first line of a CSV file. Raises ValueError for more than `MOST_COLUMNS`, or invalid ones."""
    with path.open("rb") as file:
        start = file.read(MOST_HEADER_BYTES)
    # Like the readers, count fields in a header that quotes may extend over several lines.
    lines = start.decode("utf-8-sig", "replace").splitlines(keepends=True)
    try:
        names = next(filter(None, csv.reader(lines, delimiter=separator, **options)), [])
    except csv.Error as error:
        raise ValueError(f"{path}: expected a line of column names, got: {error}") from error
    if len(names) > MOST_COLUMNS:
        raise ValueError(f"{path}: expected at most {MOST_COLUMNS:,} columns, got {len(names):,}")
    return names


def check_structure(path: Path) -> None:
    """Raises ValueError for a JSON file with several objects on a line, or nested more than `DEEPEST` deep."""
    depth, quoted, rest, line, ended = 0, False, b"", 1, False
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            block = rest + block
            # An escape sequence cut by the end of the block is moved to the next block.
            cut = len(block) - (len(block) - len(block.rstrip(b"\\"))) % 2
            block, rest = block[:cut], block[cut:]
            kinds = _KINDS[np.frombuffer(re.sub(rb"\\[^\n]", b"  ", block) if b"\\" in block else block, np.uint8)]
            kinds = kinds[kinds > 0]
            inside = _inside_strings(kinds, quoted)
            quoted = bool(inside[-1]) if len(inside) else quoted
            kinds = kinds[~inside & (kinds != QUOTE)]
            if not len(kinds):
                continue
            # The depth never falls below zero, so that unmatched closing brackets cannot hide later nesting.
            total = depth + np.cumsum((kinds == OPEN).astype(np.int64) - (kinds == CLOSE))
            depths = total - np.minimum(np.minimum.accumulate(total), 0)
            if depths.max() > DEEPEST:
                raise ValueError(f"{path}: expected lists and objects nested at most {DEEPEST} deep, got more")
            depth = int(depths[-1])
            ends = np.append(ended, (kinds == CLOSE) & (depths == 0))
            if len(crowded := np.flatnonzero(ends[:-1] & (kinds == OPEN))):
                line += int(np.sum(kinds[: crowded[0]] == NEWLINE))
                raise ValueError(f"{path}, line {line}: expected one object a line, got another one after it")
            line, ended = line + int(np.sum(kinds == NEWLINE)), bool(ends[-1])


def _inside_strings(kinds: np.ndarray, quoted: bool) -> np.ndarray:
    """Whether the text after each character is inside a string: an odd number of quotes since the last newline."""
    quotes = np.cumsum(kinds == QUOTE) + quoted
    before = np.maximum.accumulate(np.where(kinds == NEWLINE, quotes, 0))
    return (quotes - before) % 2 == 1
